"""Memory limits: a population that does not fit is split in half; no step is repeated and no result is lost."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_snapshot import TASK, Killed, cells, result, train

from harness.cli.preview import total_text
from harness.data.presentation import Batch
from harness.execution.job import Event, Job
from harness.execution.plan import Variant
from harness.execution.run_options import RunOptions
from harness.execution.worker import Worker, run_job
from harness.models.population import Population
from harness.storage.folder import RunFolder
from harness.training.memory import check_fits_in_memory, split_in_half
from harness.training.optimizer import AdamW
from harness.training.trainer import Trainer

LSTM = "lstm:width=8,depth=1"
Cap = Callable[..., None]


@pytest.fixture
def memory_for(monkeypatch: pytest.MonkeyPatch) -> Cap:
    """Return a function that makes forwards of more than ``models`` models raise an out-of-memory error.

    Only forwards of sequences longer than ``length`` raise it, and only from call number ``after`` on.
    """

    def cap(models: int, *, length: int = 0, after: int = 0, training: bool | None = None) -> None:
        original, calls = Population._logits, iter(range(10**9))

        def scarce(self: Population, source: torch.Tensor, *others: torch.Tensor | None) -> torch.Tensor:
            counted = training is None or self.model.training == training
            if counted and next(calls) >= after and self.size > models and source.shape[-1] > length:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return original(self, source, *others)  # type: ignore[arg-type]

        monkeypatch.setattr(Population, "_logits", scarce)

    return cap


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that receives each finished step as (models, step)."""
    finished: list[tuple[int, int]] = []
    original = Trainer.step

    def recording_step(self: Trainer) -> None:
        original(self)
        finished.append((self.population.size, self.done))

    monkeypatch.setattr(Trainer, "step", recording_step)
    return finished


def sizes(folder: Path, group: tuple) -> list[int]:
    return [RunFolder(folder).cell(cell.id).training.population for cell in group]  # type: ignore[union-attr]


def test_a_population_is_halved_until_it_fits(tmp_path: Path, memory_for: Cap) -> None:
    group = cells(LSTM, 5)
    for part in (group[:2], group[2:3], group[3:]):
        train(tmp_path / "parts", part)
    memory_for(2)
    notes = train(tmp_path / "halved", group)
    assert sizes(tmp_path / "halved", group) == [2, 2, 1, 2, 2]
    assert [note.partition(": ")[2] for note in notes] == [
        "out of memory with 5 models at once, continues in two halves",
        "out of memory with 3 models at once, continues in two halves",
    ]
    for cell in group:
        assert result(tmp_path / "halved", cell) == result(tmp_path / "parts", cell)


@pytest.mark.parametrize("training", [True, False])
def test_running_out_of_memory_during_training_loses_nothing(
    training: bool, tmp_path: Path, memory_for: Cap, steps: list[tuple[int, int]]
) -> None:
    """Memory runs out in the seventh step or in the third validation; curves and checkpoints are complete."""
    group = cells(LSTM, 4)
    train(tmp_path / "whole", group)
    steps.clear()
    memory_for(2, after=6 if training else 2 * 4, training=training)
    notes = train(tmp_path / "halved", group)
    done = 6 if training else 9
    assert [note.partition(": ")[2] for note in notes][1:] == [f"resumes from step {done} of 12"] * 2
    assert steps == [(4, n) for n in range(1, done + 1)] + [(2, n) for n in range(done + 1, 13)] * 2
    assert sizes(tmp_path / "halved", group) == [2] * 4
    for cell in group:
        (halved, whole) = (RunFolder(tmp_path / name).cell(cell.id).training for name in ("halved", "whole"))
        assert halved is not None
        assert whole is not None
        assert (halved.checkpoints, halved.steps_used, halved.distinct) == ([4, 8, 12], 12, whole.distinct)
        for point, wanted in zip(halved.curve, whole.curve, strict=True):
            assert point == pytest.approx(wanted, rel=1e-4)
    assert not (tmp_path / "halved" / "snapshots").exists()


def test_both_halves_resume_after_a_kill(
    tmp_path: Path, memory_for: Cap, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[int, int]]
) -> None:
    group = cells(LSTM, 4)
    memory_for(2, after=6, training=True)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_training_record", lambda *arguments: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(tmp_path, group)
    assert len(list(RunFolder(tmp_path).snapshots.groups())) == 2
    assert not list(RunFolder(tmp_path).snapshots.remove_unusable([[cell.id for cell in group]]))
    steps.clear()
    train(tmp_path, group)
    assert steps == [(2, n) for n in range(7, 13)] * 2


def test_one_model_that_does_not_fit_is_a_failure(tmp_path: Path, memory_for: Cap) -> None:
    group = cells(LSTM, 2)
    memory_for(0)
    train(tmp_path, group)
    failures = [RunFolder(tmp_path).cell(cell.id).failure for cell in group]
    assert [failure.reason for failure in failures if failure] == [
        "raised OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    ] * 2


def test_evaluation_is_halved_too(tmp_path: Path, memory_for: Cap) -> None:
    """A length is recorded as out of memory only if a single model cannot be evaluated at it."""
    group, variants = cells(LSTM, 4), (Variant("", TASK, (2, 6, 9)),)
    train(tmp_path / "whole", group, variants=variants)
    memory_for(1, length=5)
    train(tmp_path / "halved", group, variants=variants)
    assert sizes(tmp_path / "halved", group) == [4] * 4
    for cell in group:
        halved, whole = (RunFolder(tmp_path / name).cell(cell.id).evaluations for name in ("halved", "whole"))
        assert [(e.length, e.status, e.exact, e.right) for e in halved] == [
            (e.length, e.status, e.exact, e.right) for e in whole
        ]


def test_the_memory_check_has_the_longest_length_and_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = cells("transformer:width=16,depth=1,dropout=0.3", 2)
    train(tmp_path / "plain", group)
    lengths: list[int] = []
    run = Trainer.run

    def checked_run(self: Trainer) -> object:
        losses = self.population.losses

        def recording_losses(batch: Batch, *rest: float) -> torch.Tensor:
            lengths.append(batch.source.shape[1])
            return losses(batch, *rest)

        self.population.losses = recording_losses  # type: ignore[method-assign]
        check_fits_in_memory(self)
        self.population.losses = losses  # type: ignore[method-assign]
        return run(self)

    monkeypatch.setattr(Trainer, "run", checked_run)
    train(tmp_path / "checked", group)
    assert lengths == [4]
    for cell in group:
        assert result(tmp_path / "checked", cell) == result(tmp_path / "plain", cell)


def test_an_optimizer_step_allocates_less_than_one_models_parameters() -> None:
    values = torch.zeros(3, 10_000)
    optimizer = AdamW(values, torch.ones_like(values), torch.ones(3), weight_decay=0.1, clip=1.0)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        optimizer.step(1.0)
    assert max(event.self_cpu_memory_usage for event in profile.key_averages()) < values[0].nbytes


def test_what_cannot_be_batched_is_trained_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group, original = cells(LSTM, 3), Population._logits
    train(tmp_path / "plain", group)

    def not_batchable(self: Population, *inputs: torch.Tensor | None) -> torch.Tensor:
        if self.size > 1:
            raise RuntimeError("vmap: It looks like you're calling .item() on a Tensor.")
        return original(self, *inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Population, "_logits", not_batchable)
    (note,) = train(tmp_path / "single", group)
    assert "cannot be trained at once, continues one by one (raised RuntimeError: vmap: It looks" in note
    assert sizes(tmp_path / "single", group) == [1, 1, 1]
    for cell in group:
        (curve, *_), (expected, *_) = (result(tmp_path / name, cell)[0] for name in ("single", "plain"))
        assert curve[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=1e-5)


def test_what_cannot_be_batched_is_evaluated_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group, original = cells(LSTM, 3), Population._logits
    train(tmp_path, group)

    def not_batchable(self: Population, *inputs: torch.Tensor | None) -> torch.Tensor:
        if self.size > 1:
            raise RuntimeError("Batching rule not implemented for aten::gru.input. We could not generate a fallback.")
        return original(self, *inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Population, "_logits", not_batchable)
    events: list[Event] = []
    run_job(Job(group, (Variant("", TASK, (7,)),), 8, RunFolder(tmp_path), train=False), 0, events.append)
    assert [event.kind for event in events if event.cell] == ["cell"] * 3
    for cell in group:
        records = RunFolder(tmp_path).cell(cell.id).evaluations
        assert {record.status for record in records if record.length == 7} == {"ok"}


def test_halves_cover_the_population() -> None:
    for count in (2, 3, 64):
        first, second = (list(range(count))[part] for part in split_in_half(count))
        assert first + second == list(range(count))
        assert first
        assert second


def test_the_dry_run_names_the_group_size() -> None:
    several = total_text(3, 0.0, False, RunOptions("cuda", 1))
    assert "3 groups of at most 64 models, halved where memory runs out, to train and evaluate on cuda" in several
    assert "0 groups to train and evaluate on cpu" in total_text(0, 0.0, False, RunOptions("cpu", 1))
    assert "at most about 1 s, less where models fit early" in total_text(1, 1.0, True, RunOptions("cpu", 1))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and glibc")
def test_memory_that_training_kept_is_returned_before_the_next_one() -> None:
    """Small blocks in use keep the heap of a training from shrinking; its free pages are returned nevertheless."""
    code = """
import torch
from harness.bench.isolated import memory_bytes
from harness.evaluation.malloc import keep_freed_memory
from harness.training.memory import release_memory

keep_freed_memory()
blocks = [torch.ones(1 << (8 if index % 2 else 20)) for index in range(200)]  # 400 MiB, with small blocks between
del blocks[::2]
kept = memory_bytes("cpu", peak=False)
release_memory(torch.device("cpu"))
print(kept - memory_bytes("cpu", peak=False))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) > 300 << 20
