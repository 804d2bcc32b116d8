"""Peaks of memory are those of one thing alone; growth is measured, estimated, written down and drawn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from harness.bench.isolated import Spent, in_fresh_process, spend
from harness.bench.long import long_costs, score_one_row
from harness.bench.plot_scaling import draw_growth, duration
from harness.bench.scaling import AXES, CELL_STEPS, CELLS, Point, growth, of_cells, take_steps, widened
from harness.cli import app
from harness.evaluation.malloc import LARGE, return_large_blocks_to_os
from harness.registry.catalog import Catalog
from harness.registry.options import Spec

MIB = 1 << 20
SMALL = "lstm:depth=1,width=8"


def hold(size: int) -> Spent:
    """Hold a tensor of so many bytes, and let it go before a smaller one."""
    return spend(lambda: lambda: (torch.ones(size // 4).sum(), torch.ones(8).sum()), "cpu")


def die() -> None:
    os._exit(1)


def test_a_peak_is_seen_in_a_process_of_its_own() -> None:
    spent = in_fresh_process(hold, 200 * MIB)
    assert spent is not None
    assert 199 * MIB < spent.bytes < 240 * MIB
    assert spent.seconds > 0


def test_a_process_that_is_killed_leaves_nothing() -> None:
    assert in_fresh_process(die) is None


def test_a_row_is_scored_at_lengths_within_reach() -> None:
    (alone,) = long_costs(SMALL, lengths=(40,))
    assert alone.length == 40
    assert alone.spent is not None
    assert long_costs("transformer:position=learned,reach=64", lengths=(1000,)) == []
    assert score_one_row(SMALL, (), "cpu", 10).seconds > 0


def test_growth_follows_each_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def measured(call: object, *arguments: object) -> Spent:
        calls.append((call, *arguments))
        return Spent(2.0, 100)

    monkeypatch.setattr("harness.bench.scaling.in_fresh_process", measured)
    points = list(growth("lstm", steps=3))
    assert calls == [(take_steps, "lstm", (), "cpu", 3, axis, n) for axis, values in AXES.items() for n in values]
    assert [(point.axis, point.value) for point in points[-len(CELLS) :]] == [("cells", n) for n in CELLS]


@pytest.mark.parametrize(("axis", "value"), [("length", 3), ("width", 16), ("population", 2)])
def test_a_step_is_taken_along_each_axis(axis: str, value: int) -> None:
    assert take_steps(SMALL, (), "cpu", 1, axis, value).seconds > 0


def test_a_width_replaces_another() -> None:
    assert dict(widened(Spec.parse("architecture", "lstm:width=8,depth=1", Catalog()), 32).options) == {
        "width": 32,
        "depth": 1,
    }


def test_cells_go_into_the_fastest_populations() -> None:
    populations = {1: Spent(1.0, 10), 8: Spent(2.0, 50)}
    assert of_cells(1, populations) == Spent(1.0 * CELL_STEPS, 10)
    assert of_cells(9, populations) == Spent(4.0 * CELL_STEPS, 50)


def test_growth_is_drawn(tmp_path: Path) -> None:
    values = {**AXES, "cells": CELLS}
    points = [
        Point(name, axis, value, Spent(1e-3 * value, 1000 * value))
        for name in ("lstm", "transformer")
        for axis in values
        for value in values[axis]
    ]
    drawn = draw_growth([*points, Point("gru", "length", 10, None)], tmp_path / "growth.png")
    said = drawn.with_suffix(".svg").read_text()
    assert drawn.stat().st_size > 1000
    for words in ("lstm", "transformer", "source length", "models in the population", "Time of all cells"):
        assert words in said
    assert "gru" not in said


def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the processes."""
    for module in ("scaling", "long"):
        monkeypatch.setattr(f"harness.bench.{module}.in_fresh_process", lambda call, *arguments: Spent(2.0, 3 * MIB))


def bench(*words: str) -> str:
    done = CliRunner().invoke(app, ["bench", *words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_bench_of_growth_writes_rows_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured_here(monkeypatch)
    said = bench("growth", "-a", "lstm", "--output", f"{tmp_path}/growth.csv")
    rows = (tmp_path / "growth.csv").read_text().splitlines()
    assert rows[:2] == ["architecture,of,value,seconds,MiB", "lstm,length,10,2,3.0"]
    assert len(rows) == 1 + sum(map(len, AXES.values())) + len(CELLS)
    assert (tmp_path / "growth.png").exists()
    assert "Picture: " in said


def test_the_bench_of_long_evaluations_has_a_row_an_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_here(monkeypatch)
    bench("long", "-a", "lstm", "-a", "transformer:position=learned", "--output", f"{tmp_path}/long.csv")
    assert (tmp_path / "long.csv").read_text().splitlines() == [
        "architecture,s@1000,s@10000,MiB@1000,MiB@10000",
        "lstm,2,2,3.0,3.0",
        "transformer:position=learned,2,beyond reach,3.0,",
    ]


def test_durations_have_a_unit_that_suits_them() -> None:
    assert [duration(value) for value in (0.0012, 3.0, 600, 7200)] == ["1.2 ms", "3 s", "10 min", "2 h"]


FRAGMENTS = """
import torch
from contextlib import nullcontext
from harness.bench.isolated import held
from harness.evaluation.malloc import return_large_blocks_to_os
kept, large = [], []
torch.ones(1 << 20).sum()  # glibc raises its own threshold when a mapped block is freed
before = held("cpu", most=False)
with {context}:
    for step in range(400):
        for _ in range(3):
            temporary = torch.ones(1 << 18) + 1  # 1 MiB
        del temporary
        kept.append(torch.ones(300))
print(held("cpu", most=True) - before)
"""


def grown(context: str) -> int:
    """Bytes by which a loop grows that keeps a little of every step."""
    said = subprocess.run([sys.executable, "-c", FRAGMENTS.format(context=context)], capture_output=True, check=True)
    return int(said.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="is about glibc")
def test_freed_blocks_are_given_back() -> None:
    assert grown("return_large_blocks_to_os()") < 16 * MIB
    assert grown("nullcontext()") > 16 * MIB  # 40 to 420 MiB, by how the heap happens to be laid out


def test_the_heap_is_left_as_it_was_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside"), return_large_blocks_to_os():
        raise RuntimeError("inside")
    assert torch.ones(LARGE).sum() == LARGE
