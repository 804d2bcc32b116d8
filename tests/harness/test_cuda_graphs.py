"""CUDA graphs: replayed steps equal plain steps; a function that waits for the device is not captured."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import call
from test_snapshot import cells, train
from test_trainer import SHORT, make_trainer
from torch import Tensor

from harness.bench import time_estimate as estimate
from harness.bench.roofline import PeakRates, Work, peak_rates, work_of
from harness.bench.time_estimate import Pace, pace_of
from harness.bench.workload import make_workload
from harness.check.graph_replay import CPURecorder
from harness.config.recipe import Recipe
from harness.config.stages import canonical_stages
from harness.config.suite import make
from harness.data.presentation import Batch
from harness.execution.make_plan import make_plan
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.storage.folder import RunFolder
from harness.training.cuda_graphs import CaptureError, GraphedFunction
from harness.training.memory import check_fits_in_memory
from harness.training.trained import Training
from harness.training.trainer import Trainer

CALLS = 6
CATALOG = Catalog()
SUITE = make({"name": "one", "architectures": ["lstm:width=8"], "tasks": ["parity"]}, "suite")
(PAIR,) = make_plan(SUITE, CATALOG).pairs


def doubling(lengths: list[int]) -> Callable[[int, Tensor], Tensor]:
    def double(length: int, x: Tensor) -> Tensor:
        lengths.append(length)
        return 2 * x

    return double


def test_the_third_call_of_a_length_is_captured_and_later_ones_are_replayed() -> None:
    lengths: list[int] = []
    captured = GraphedFunction(doubling(lengths), CPURecorder())
    for length in (3, 5):
        for value in range(CALLS):
            assert captured(length, torch.full((length,), value)).tolist() == [2 * value] * length
    assert lengths == [3, 3, 3, 5, 5, 5]
    assert str(captured) == "CUDA graph"


def test_a_function_that_waits_runs_once_per_call_and_is_never_captured() -> None:
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
        raise RuntimeError("broken anyway")

    captured = GraphedFunction(fail, CPURecorder())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken anyway"):
            captured(1)


MANY = Recipe(**{**SHORT, "steps": 40, "train_lengths": "1:3", "validations": 2, "weight_decay": 0.1, "checkpoints": 2})


def test_a_replayed_training_equals_a_plain_one() -> None:
    plain, replayed = (make_trainer("reverse", MANY, (1e-2, 3e-2)) for _ in range(2))
    replayed.use_graphs(CPURecorder())
    one, other = plain.run(), replayed.run()
    assert one.programs == {}
    assert other.programs == {"draw": "CUDA graph", "learn": "CUDA graph"}
    for a, b in zip(one.models, other.models, strict=True):
        assert a.curve == b.curve
        assert a.distinct == b.distinct
    assert torch.equal(one.population.values, other.population.values)


def test_a_replayed_training_resumes_from_a_snapshot() -> None:
    full, first, rest = (make_trainer("reverse", MANY, (1e-2, 3e-2)) for _ in range(3))
    for _ in range(MANY.steps):
        full.step()
    for trainer, steps in ((first, 17), (rest, MANY.steps - 17)):
        trainer.use_graphs(CPURecorder())
        if trainer is rest:
            rest.load_state_dict(first.state_dict())
        for _ in range(steps):
            trainer.step()
    assert torch.equal(rest.population.values, full.population.values)
    assert torch.equal(rest.losses, full.losses)


def test_steps_are_captured_even_if_their_data_cannot_be() -> None:
    trainer = make_trainer("count:numbers=8", Recipe(**{**SHORT, "steps": CALLS, "train_lengths": "4:4"}), (1e-2, 3e-2))
    trainer.use_graphs(CPURecorder())
    assert trainer.run().programs == {"draw": "launched one by one: waits for the device", "learn": "CUDA graph"}


def test_the_record_names_captured_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Trainer.run

    def replayed_run(self: Trainer) -> Training:
        self.use_graphs(CPURecorder())
        return run(self)

    monkeypatch.setattr(Trainer, "run", replayed_run)
    out = tmp_path / "out"
    options = "-a mingru:width=8,depth=1 -t parity --steps 5 --train-lengths 3:3 --seeds 1 --test-lengths 4 --workers 1"
    assert call("run", *options.split(), "--output", out).exit_code == 0
    (record,) = out.glob("cells/*/training.json")
    assert '"learn": "CUDA graph"' in record.read_text()


@pytest.mark.parametrize(("replayed", "times"), [(False, 1), (True, 2)])
def test_captured_steps_have_a_second_memory_check(replayed: bool, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, lengths = make_trainer("reverse", MANY), []
    if replayed:
        trainer.use_graphs(CPURecorder())
    before, losses = trainer.population.values.clone(), trainer.population.losses

    def recording_losses(batch: Batch, *rest: float) -> Tensor:
        lengths.append(batch.source.shape[1])
        return losses(batch, *rest)

    monkeypatch.setattr(trainer.population, "losses", recording_losses)
    check_fits_in_memory(trainer)
    assert lengths == [3] * times
    assert torch.equal(trainer.population.values, before)


def test_a_trainer_is_freed_without_garbage_collection() -> None:
    """Otherwise its memory, with that of its graphs, would still be allocated when the next trainer starts."""
    trainer = make_trainer("reverse", MANY)
    trainer.use_graphs(CPURecorder())
    trainer.step()
    reference = weakref.ref(trainer)
    gc.disable()
    try:
        del trainer
        assert reference() is None
    finally:
        gc.enable()


def test_a_failed_capture_is_trained_without_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, group = Trainer.run, cells("lstm:width=8,depth=1", 3)

    def failing_run(self: Trainer) -> Training:
        if self.population.numerics.capture:
            raise CaptureError("operation not permitted when stream is capturing")
        return run(self)

    monkeypatch.setattr(Trainer, "run", failing_run)
    (note,) = train(tmp_path, group)
    assert "steps cannot be captured, trains without CUDA graphs (raised CaptureError: operation not permitted" in note
    records = [RunFolder(tmp_path).cell(cell.id).training for cell in group]
    assert [record.population for record in records if record] == [3, 3, 3]


def test_a_time_estimate_halves_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def seconds(*arguments: Any) -> tuple[float, int, float]:
        sizes.append(arguments[-1])
        if arguments[-1] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.5, arguments[-1], 0.1

    monkeypatch.setattr(estimate, "_seconds", seconds)
    pace = pace_of(PAIR, "cpu", models=64)
    assert sizes == [64, 32, 16]
    assert pace == Pace(0.5, 16, 0.1)
    assert pace.total(cells=64, steps=10, symbols=20) == 4 * (10 * 0.5 + 20 * 0.1)


def test_a_time_estimate_uses_single_models_that_cannot_be_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(*arguments: Any) -> tuple[float, int, float]:
        if arguments[-1] > 1:
            raise RuntimeError("vmap: It looks like you're calling .item() on a Tensor.")
        return 0.5, 1, 0.1

    monkeypatch.setattr(estimate, "_seconds", seconds)
    assert pace_of(PAIR, "cpu", models=64) == Pace(0.5, 1, 0.1)


def test_a_time_estimate_raises_if_a_single_model_cannot_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_seconds", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pace_of(PAIR, "cpu", models=64)


def test_a_time_estimate_measures_a_whole_population() -> None:
    assert pace_of(PAIR, "cpu", models=3).models == 3


def test_a_time_estimate_counts_each_stage_by_its_steps_and_what_it_prepares_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def seconds(call: Callable[[], object], times: int, device: str) -> float:
        trainer = getattr(call, "__self__", None)
        if not isinstance(trainer, Trainer):
            return 0.0
        stage = trainer.stage
        is_first = trainer.done == stage.part.first
        call()
        return (2.0 if stage.part.first == 0 else 6.0) + (100.0 if is_first and stage.part.first else 0.0)

    monkeypatch.setattr(estimate, "time_calls", seconds)
    recipe = PAIR.task.recipe.model_copy(
        update={"stages": canonical_stages("supervised:share=0.25 + dpo"), "steps": 200}
    )
    pair = replace(PAIR, task=replace(PAIR.task, recipe=recipe))
    assert pace_of(pair, "cpu").seconds == pytest.approx(0.25 * 2 + 0.75 * 6 + 100 / 200)


def test_the_least_time_of_a_step() -> None:
    assert Work(6.0, 8.0).seconds(PeakRates(2.0, 4.0)) == 3.0
    assert Work(6.0, 8.0).seconds(PeakRates(6.0, 4.0)) == 2.0
    rates = peak_rates("cpu")
    assert min(rates.operations, rates.bytes) > 1e8


def test_work_is_that_of_one_model() -> None:
    """The recurrent product of an LSTM has 2 x 4 x width^2 operations a token, and twice as many in the backward pass.

    The product with the inputs is one for each symbol, not one for each token.
    """
    small, large = (
        make_workload(str(Spec.parse("architecture", f"lstm:depth=1,width={width}", CATALOG)), CATALOG, "cpu")
        for width in (32, 64)
    )
    products = 3 * 2 * (4 * 64 * 64) * large.tokens
    assert products < work_of(large).operations < 2 * products
    assert 3 < work_of(large).operations / work_of(small).operations < 4.2
    assert work_of(large).bytes > work_of(small).bytes > 9 * 4 * sum(p.numel() for p in small.build().parameters())


@pytest.mark.usefixtures("temporary_folder")
def test_the_benchmark_of_populations_has_a_row_for_each_size() -> None:
    output = call("bench", "populations", "-a", "lstm:width=8,depth=1", "--steps", "8", "--output", "rows.csv").stdout
    assert "x floor" in output
    rows = [line.split(",") for line in Path("rows.csv").read_text().splitlines()[1:]]
    assert [row[-6] for row in rows] == ["1", "2", "4", "8"]
    assert all(float(row[-3]) > 0 and row[-2] == "" and float(row[-1]) > 1 for row in rows)
