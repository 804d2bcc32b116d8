"""Benchmarks of memory and growth: measured in fresh processes, estimated, written to tables and drawn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from harness.bench.isolated import Usage, call_in_fresh_process, measure_usage
from harness.bench.long import measure_long_evaluations, score_one_row
from harness.bench.plot_scaling import draw_growth, duration
from harness.bench.scaling import (
    AXES,
    CELL_STEPS,
    CELLS,
    Point,
    estimate_cells,
    measure_growth,
    measure_steps,
    with_width,
)
from harness.cli import app
from harness.evaluation.malloc import LARGE, return_large_blocks_to_os
from harness.registry.catalog import Catalog
from harness.registry.options import Spec

MIB = 1 << 20
SMALL = "lstm:depth=1,width=8"


def allocate(size: int) -> Usage:
    """Measure a tensor of ``size`` bytes, which is freed before a smaller one is allocated."""
    return measure_usage(lambda: lambda: (torch.ones(size // 4).sum(), torch.ones(8).sum()), "cpu")


def kill_process() -> None:
    os._exit(1)


def test_peak_memory_is_measured_in_a_fresh_process() -> None:
    usage = call_in_fresh_process(allocate, 200 * MIB)
    assert usage is not None
    assert 199 * MIB < usage.bytes < 240 * MIB
    assert usage.seconds > 0


def test_a_killed_process_returns_none() -> None:
    assert call_in_fresh_process(kill_process) is None


def test_a_row_is_scored_at_lengths_within_the_maximum_length() -> None:
    (evaluation,) = measure_long_evaluations(SMALL, lengths=(40,))
    assert evaluation.length == 40
    assert evaluation.usage is not None
    assert measure_long_evaluations("transformer:position=learned,reach=64", lengths=(1000,)) == []
    assert score_one_row(SMALL, (), "cpu", 10).seconds > 0


def test_growth_is_measured_along_each_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def record_call(call: object, *arguments: object) -> Usage:
        calls.append((call, *arguments))
        return Usage(2.0, 100)

    monkeypatch.setattr("harness.bench.scaling.call_in_fresh_process", record_call)
    points = list(measure_growth("lstm", steps=3))
    assert calls == [(measure_steps, "lstm", (), "cpu", 3, axis, n) for axis, values in AXES.items() for n in values]
    assert [(point.axis, point.value) for point in points[-len(CELLS) :]] == [("cells", n) for n in CELLS]


@pytest.mark.parametrize(("axis", "value"), [("length", 3), ("width", 16), ("population", 2)])
def test_steps_are_measured_on_each_axis(axis: str, value: int) -> None:
    assert measure_steps(SMALL, (), "cpu", 1, axis, value).seconds > 0


def test_a_width_replaces_the_width_of_the_spec() -> None:
    assert dict(with_width(Spec.parse("architecture", "lstm:width=8,depth=1", Catalog()), 32).options) == {
        "width": 32,
        "depth": 1,
    }


def test_cells_are_estimated_in_the_fastest_populations() -> None:
    populations = {1: Usage(1.0, 10), 8: Usage(2.0, 50)}
    assert estimate_cells(1, populations) == Usage(1.0 * CELL_STEPS, 10)
    assert estimate_cells(9, populations) == Usage(4.0 * CELL_STEPS, 50)


def test_growth_is_drawn(tmp_path: Path) -> None:
    values = {**AXES, "cells": CELLS}
    points = [
        Point(name, axis, value, Usage(1e-3 * value, 1000 * value))
        for name in ("lstm", "transformer")
        for axis in values
        for value in values[axis]
    ]
    file = draw_growth([*points, Point("gru", "length", 10, None)], tmp_path / "growth.png")
    svg = file.with_suffix(".svg").read_text()
    assert file.stat().st_size > 1000
    for text in ("lstm", "transformer", "source length", "models in the population", "Time of all cells"):
        assert text in svg
    assert "gru" not in svg


def start_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace each measurement in a fresh process by a fixed result."""
    for module in ("scaling", "long"):
        monkeypatch.setattr(
            f"harness.bench.{module}.call_in_fresh_process", lambda call, *arguments: Usage(2.0, 3 * MIB)
        )


def bench(*words: str) -> str:
    result = CliRunner().invoke(app, ["bench", *words], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_bench_growth_writes_rows_and_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_no_processes(monkeypatch)
    stdout = bench("growth", "-a", "lstm", "--output", f"{tmp_path}/growth.csv")
    rows = (tmp_path / "growth.csv").read_text().splitlines()
    assert rows[:2] == ["architecture,of,value,seconds,MiB", "lstm,length,10,2,3.0"]
    assert len(rows) == 1 + sum(map(len, AXES.values())) + len(CELLS)
    assert (tmp_path / "growth.png").exists()
    assert "Picture: " in stdout


def test_bench_long_writes_one_row_for_each_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_no_processes(monkeypatch)
    bench("long", "-a", "lstm", "-a", "transformer:position=learned", "--output", f"{tmp_path}/long.csv")
    assert (tmp_path / "long.csv").read_text().splitlines() == [
        "architecture,s@1000,s@10000,MiB@1000,MiB@10000",
        "lstm,2,2,3.0,3.0",
        "transformer:position=learned,2,beyond reach,3.0,",
    ]


def test_durations_are_written_in_a_suitable_unit() -> None:
    assert [duration(value) for value in (0.0012, 3.0, 600, 7200)] == ["1.2 ms", "3 s", "10 min", "2 h"]


BLOCK_BEHIND_A_FREED_ONE = """
import torch
from contextlib import nullcontext
from harness.bench.isolated import memory_bytes
from harness.evaluation.malloc import return_large_blocks_to_os
torch.ones(6 << 20).sum()  # 24 MiB; glibc raises its own threshold when a mapped block is freed
before = memory_bytes("cpu", peak=False)
with {context}:
    freed = torch.ones(4 << 20)  # 16 MiB
    kept = torch.ones(2 << 20)  # 8 MiB, behind the other block if both are in the heap
    del freed
    print(memory_bytes("cpu", peak=False) - before)
"""


def memory_growth(context: str) -> int:
    """Return by how many bytes memory has grown after one of two blocks is freed."""
    code = BLOCK_BEHIND_A_FREED_ONE.format(context=context)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="tests glibc's allocator")
def test_freed_blocks_are_returned_to_the_system() -> None:
    assert memory_growth("return_large_blocks_to_os()") < 12 * MIB
    assert memory_growth("nullcontext()") > 20 * MIB


def test_an_error_leaves_the_allocator_usable() -> None:
    with pytest.raises(RuntimeError, match="inside"), return_large_blocks_to_os():
        raise RuntimeError("inside")
    assert torch.ones(LARGE).sum() == LARGE
