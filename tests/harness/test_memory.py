"""A population that does not fit its memory is halved and goes on: no step is taken twice, no result is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_snapshot import TASK, Killed, cells, result, train

from harness.cli.dry_run import _total
from harness.execution.plan import Variant
from harness.execution.run_options import RunOptions
from harness.execution.run_status import RunStatus
from harness.execution.worker import Worker
from harness.models.population import Population
from harness.storage.folder import RunFolder
from harness.training.memory import check_fits_in_memory, split_in_half
from harness.training.optimizer import AdamW
from harness.training.trainer import Trainer

LSTM = "lstm:width=8,depth=1"
Cap = Callable[..., None]


@pytest.fixture
def memory_for(monkeypatch: pytest.MonkeyPatch) -> Cap:
    """Give forwards of sequences longer than ``length`` memory for so many models, from the given call on."""

    def cap(models: int, *, length: int = 0, after: int = 0, training: bool | None = None) -> None:
        whole, calls = Population._logits, iter(range(10**9))

        def scarce(self: Population, source: torch.Tensor, prefix: torch.Tensor | None) -> torch.Tensor:
            counted = training is None or self.model.training == training
            if counted and next(calls) >= after and self.size > models and source.shape[-1] > length:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return whole(self, source, prefix)

        monkeypatch.setattr(Population, "_logits", scarce)

    return cap


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every step that is finished, as (models, step)."""
    taken: list[tuple[int, int]] = []
    whole = Trainer.step

    def noting(self: Trainer) -> None:
        whole(self)
        taken.append((self.population.size, self.done))

    monkeypatch.setattr(Trainer, "step", noting)
    return taken


def sizes(folder: Path, group: tuple) -> list[int]:
    return [RunFolder(folder).cell(cell.id).training.population for cell in group]  # type: ignore[union-attr]


def test_one_that_never_fits_is_halved_until_it_does(tmp_path: Path, memory_for: Cap) -> None:
    group = cells(LSTM, 5)
    for part in (group[:2], group[2:3], group[3:]):
        train(tmp_path / "parts", part)
    memory_for(2)
    notes = train(tmp_path / "halved", group)
    assert sizes(tmp_path / "halved", group) == [2, 2, 1, 2, 2]
    assert [note.partition(": ")[2] for note in notes] == [
        "out of memory with 5 models at once, goes on with half as many",
        "out of memory with 3 models at once, goes on with half as many",
    ]
    for cell in group:
        assert result(tmp_path / "halved", cell) == result(tmp_path / "parts", cell)


@pytest.mark.parametrize("training", [True, False])
def test_in_the_middle_nothing_is_lost(
    training: bool, tmp_path: Path, memory_for: Cap, steps: list[tuple[int, int]]
) -> None:
    """Memory runs out in the seventh step, or in the third validation: curves and checkpoints are whole ones."""
    group = cells(LSTM, 4)
    train(tmp_path / "whole", group)
    steps.clear()
    memory_for(2, after=6 if training else 2 * 4, training=training)
    notes = train(tmp_path / "halved", group)
    moved = 6 if training else 9
    assert [note.partition(": ")[2] for note in notes][1:] == [f"goes on from step {moved} of 12"] * 2
    assert steps == [(4, n) for n in range(1, moved + 1)] + [(2, n) for n in range(moved + 1, 13)] * 2
    assert sizes(tmp_path / "halved", group) == [2] * 4
    for cell in group:
        (halved, whole) = (RunFolder(tmp_path / name).cell(cell.id).training for name in ("halved", "whole"))
        assert halved is not None
        assert whole is not None
        assert (halved.checkpoints, halved.steps_used, halved.distinct) == ([4, 8, 12], 12, whole.distinct)
        for point, wanted in zip(halved.curve, whole.curve, strict=True):
            assert point == pytest.approx(wanted, rel=1e-4)
    assert not (tmp_path / "halved" / "snapshots").exists()


def test_a_kill_after_it_was_halved_loses_neither_half(
    tmp_path: Path, memory_for: Cap, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[int, int]]
) -> None:
    group = cells(LSTM, 4)
    memory_for(2, after=6, training=True)
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_training_record", lambda *arguments: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train(tmp_path, group)
    assert len(list(RunFolder(tmp_path).snapshots.groups())) == 2
    assert not list(RunFolder(tmp_path).snapshots.sweep([[cell.id for cell in group]]))
    steps.clear()
    train(tmp_path, group)
    assert steps == [(2, n) for n in range(7, 13)] * 2


def test_one_model_that_does_not_fit_is_a_failure(tmp_path: Path, memory_for: Cap) -> None:
    group = cells(LSTM, 2)
    memory_for(0)
    train(tmp_path, group)
    failures = [RunFolder(tmp_path).cell(cell.id).failure for cell in group]
    assert [each.reason for each in failures if each] == [
        "raised OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    ] * 2


def test_evaluation_is_halved_too(tmp_path: Path, memory_for: Cap) -> None:
    """Only a length that one model alone cannot do is out of memory."""
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


def test_a_rehearsal_takes_the_longest_and_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = cells("transformer:width=16,depth=1,dropout=0.3", 2)
    train(tmp_path / "plain", group)
    seen: list[int] = []

    def rehearsed(self: Trainer) -> object:
        lengths: list[int] = []
        whole = self.population.losses
        self.population.losses = lambda batch, *rest: (lengths.append(batch.source.shape[1]), whole(batch, *rest))[1]  # type: ignore[method-assign]
        check_fits_in_memory(self)
        self.population.losses = whole  # type: ignore[method-assign]
        seen.extend(lengths)
        return run(self)

    run = Trainer.run
    monkeypatch.setattr(Trainer, "run", rehearsed)
    train(tmp_path / "rehearsed", group)
    assert seen == [4]
    for cell in group:
        assert result(tmp_path / "rehearsed", cell) == result(tmp_path / "plain", cell)


def test_a_step_of_the_optimizer_asks_for_no_memory_of_the_size_of_the_models() -> None:
    values = torch.zeros(3, 10_000)
    optimizer = AdamW(values, torch.ones_like(values), torch.ones(3), weight_decay=0.1, clip=1.0)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        optimizer.step(1.0)
    assert max(event.self_cpu_memory_usage for event in profile.key_averages()) < values[0].nbytes


def test_what_cannot_be_batched_is_trained_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group, whole = cells(LSTM, 3), Population._logits
    train(tmp_path / "plain", group)

    def stubborn(self: Population, *inputs: torch.Tensor | None) -> torch.Tensor:
        if self.size > 1:
            raise RuntimeError("vmap: It looks like you're calling .item() on a Tensor.")
        return whole(self, *inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Population, "_logits", stubborn)
    (note,) = train(tmp_path / "alone", group)
    assert "cannot be trained at once, goes on one by one (raised RuntimeError: vmap: It looks" in note
    assert sizes(tmp_path / "alone", group) == [1, 1, 1]
    for cell in group:
        (curve, *_), (known, *_) = (result(tmp_path / name, cell)[0] for name in ("alone", "plain"))
        assert curve[-1]["loss"] == pytest.approx(known[-1]["loss"], rel=1e-5)


def test_halves_are_all_of_it() -> None:
    for count in (2, 3, 64):
        first, second = (list(range(count))[part] for part in split_in_half(count))
        assert first + second == list(range(count))
        assert first
        assert second


def test_the_plan_says_how_many_at_once() -> None:
    assert "groups of at most 64 models, halved where memory runs out, to train on cuda" in _total(
        RunStatus(), 0.0, RunOptions("cuda", 1)
    )
    assert "0 groups to train on cpu" in _total(RunStatus(), 0.0, RunOptions("cpu", 1))
