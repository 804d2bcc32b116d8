"""Captured steps: what is replayed does what it did; what waits for the device is found out and goes on as before."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import call
from test_snapshot import cells, train
from test_trainer import SHORT, trainer
from torch import Tensor

from harness.bench import time_estimate as estimate
from harness.bench.roofline import PeakRates, Work, peak_rates, work_of
from harness.bench.time_estimate import Pace, pace_of
from harness.bench.workload import make_workload
from harness.check.graph_replay import CPURecorder
from harness.config.recipe import Recipe
from harness.config.suite import make
from harness.execution.plan import make_plan
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.storage.folder import RunFolder
from harness.training.cuda_graphs import CaptureError, GraphedFunction
from harness.training.memory import check_fits_in_memory
from harness.training.trainer import Trainer, Training

CALLS = 6
CATALOG = Catalog()
SUITE = make({"name": "one", "architectures": ["lstm:width=8"], "tasks": ["parity"]}, "suite")
(PAIR,) = make_plan(SUITE, CATALOG).pairs


def doubled(seen: list[int]) -> Callable[[int, Tensor], Tensor]:
    def double(length: int, x: Tensor) -> Tensor:
        seen.append(length)
        return 2 * x

    return double


def test_the_third_call_of_a_length_is_captured_and_later_ones_are_replayed() -> None:
    seen: list[int] = []
    captured = GraphedFunction(doubled(seen), CPURecorder())
    for length in (3, 5):
        for value in range(CALLS):
            assert captured(length, torch.full((length,), value)).tolist() == [2 * value] * length
    assert seen == [3, 3, 3, 5, 5, 5]
    assert str(captured) == "CUDA graph"


def test_what_waits_is_done_once_a_call_and_never_captured() -> None:
    total = torch.zeros(1)

    def add(length: int, x: Tensor) -> None:
        total.add_(x * float(x.max().item() > 0))

    captured = GraphedFunction(add, CPURecorder())
    for value in range(1, CALLS + 1):
        captured(4, torch.tensor(float(value)))
    assert total.item() == sum(range(1, CALLS + 1))
    assert str(captured) == "launched one by one: waits for the device"


def test_other_errors_are_not_hidden() -> None:
    def fail(length: int) -> None:
        raise RuntimeError("the dog ate it")

    captured = GraphedFunction(fail, CPURecorder())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="dog"):
            captured(1)


MANY = Recipe(**{**SHORT, "steps": 40, "train_lengths": "1:3", "validations": 2, "weight_decay": 0.1, "checkpoints": 2})


def test_a_training_of_replays_is_the_training() -> None:
    plain, replayed = (trainer("reverse", MANY, (1e-2, 3e-2)) for _ in range(2))
    replayed.use_graphs(CPURecorder())
    one, other = plain.run(), replayed.run()
    assert one.programs == {}
    assert other.programs == {"draw": "CUDA graph", "learn": "CUDA graph"}
    for a, b in zip(one.models, other.models, strict=True):
        assert a.curve == b.curve
        assert a.distinct == b.distinct
    assert torch.equal(one.population.values, other.population.values)


def test_a_snapshot_goes_on_in_replays() -> None:
    whole, begun, rest = (trainer("reverse", MANY, (1e-2, 3e-2)) for _ in range(3))
    for _ in range(MANY.steps):
        whole.step()
    for made, steps in ((begun, 17), (rest, MANY.steps - 17)):
        made.use_graphs(CPURecorder())
        if made is rest:
            rest.load_state_dict(begun.state_dict())
        for _ in range(steps):
            made.step()
    assert torch.equal(rest.population.values, whole.population.values)
    assert torch.equal(rest.losses, whole.losses)


def test_data_that_wait_leave_the_rest_captured() -> None:
    made = trainer("count:numbers=8", Recipe(**{**SHORT, "steps": CALLS, "train_lengths": "4:4"}), (1e-2, 3e-2))
    made.use_graphs(CPURecorder())
    assert made.run().programs == {"draw": "launched one by one: waits for the device", "learn": "CUDA graph"}


def test_the_record_says_how_steps_were_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self: (self.use_graphs(CPURecorder()), run(self))[1])
    out = tmp_path / "out"
    words = "-a mingru:width=8,depth=1 -t parity --steps 5 --train-lengths 3:3 --seeds 1 --test-lengths 4 --workers 1"
    assert call("run", *words.split(), "--output", out).exit_code == 0
    (record,) = out.glob("cells/*/training.json")
    assert '"learn": "CUDA graph"' in record.read_text()


@pytest.mark.parametrize(("replayed", "times"), [(False, 1), (True, 2)])
def test_captured_steps_are_rehearsed_twice(replayed: bool, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = trainer("reverse", MANY), []
    if replayed:
        made.use_graphs(CPURecorder())
    before, whole = made.population.values.clone(), made.population.losses
    monkeypatch.setattr(made.population, "losses", lambda batch, *rest: (seen.append(batch), whole(batch, *rest))[1])
    check_fits_in_memory(made)
    assert [batch.source.shape[1] for batch in seen] == [3] * times
    assert torch.equal(made.population.values, before)


def test_a_trainer_ends_with_its_last_use() -> None:
    """Its memory, captured steps included, would otherwise stand beside the next one's."""
    made = trainer("reverse", MANY)
    made.use_graphs(CPURecorder())
    made.step()
    gone = weakref.ref(made)
    gc.disable()
    try:
        del made
        assert gone() is None
    finally:
        gc.enable()


def test_what_cannot_be_captured_is_trained_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, group = Trainer.run, cells("lstm:width=8,depth=1", 3)

    def breaking(self: Trainer) -> Training:
        if self.population.numerics.capture:
            raise CaptureError("operation not permitted when stream is capturing")
        return run(self)

    monkeypatch.setattr(Trainer, "run", breaking)
    (note,) = train(tmp_path, group)
    assert "its steps cannot be captured, goes on without (raised CaptureError: operation not permitted" in note
    records = [RunFolder(tmp_path).cell(cell.id).training for cell in group]
    assert [record.population for record in records if record] == [3, 3, 3]


def test_a_plan_halves_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def seconds(*arguments: Any) -> float:
        tried.append(arguments[-1])
        if arguments[-1] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.5

    monkeypatch.setattr(estimate, "seconds_per_step", seconds)
    pace = pace_of(PAIR, "cpu", models=64)
    assert tried == [64, 32, 16]
    assert pace == Pace(0.5, 16)
    assert pace.training(cells=64, steps=10) == 4 * 10 * 0.5


def test_a_plan_takes_one_at_a_time_what_cannot_be_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(*arguments: Any) -> float:
        if arguments[-1] > 1:
            raise RuntimeError("vmap: It looks like you're calling .item() on a Tensor.")
        return 0.5

    monkeypatch.setattr(estimate, "seconds_per_step", seconds)
    assert pace_of(PAIR, "cpu", models=64) == Pace(0.5, 1)


def test_a_plan_raises_where_not_even_one_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "seconds_per_step", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pace_of(PAIR, "cpu", models=64)


def test_a_plan_measures_as_many_models_as_are_trained_at_once() -> None:
    assert pace_of(PAIR, "cpu", models=3).models == 3


def test_the_least_a_step_needs() -> None:
    assert Work(6.0, 8.0).seconds(PeakRates(2.0, 4.0)) == 3.0
    assert Work(6.0, 8.0).seconds(PeakRates(6.0, 4.0)) == 2.0
    rates = peak_rates("cpu")
    assert min(rates.operations, rates.bytes) > 1e8


def test_work_is_that_of_one_model() -> None:
    """A feed-forward of 4 widths: 2 products forward and 4 backward of 2 x 4 x width^2 operations a token."""
    small, large = (
        make_workload(str(Spec.parse("architecture", f"lstm:depth=1,width={width}", CATALOG)), CATALOG, "cpu")
        for width in (32, 64)
    )
    products = 3 * 2 * (8 * 64 * 64) * large.tokens
    assert products < work_of(large).operations < 2 * products
    assert 3 < work_of(large).operations / work_of(small).operations < 4.2
    assert work_of(large).bytes > work_of(small).bytes > 9 * 4 * sum(p.numel() for p in small.build().parameters())


@pytest.mark.usefixtures("temporary_folder")
def test_the_bench_of_populations_has_a_row_a_size() -> None:
    said = call("bench", "populations", "-a", "lstm:width=8,depth=1", "--steps", "8", "--output", "made.csv").stdout
    assert "x floor" in said
    rows = [line.split(",") for line in Path("made.csv").read_text().splitlines()[1:]]
    assert [row[-6] for row in rows] == ["1", "2", "4", "8"]
    assert all(float(row[-3]) > 0 and row[-2] == "" and float(row[-1]) > 1 for row in rows)
