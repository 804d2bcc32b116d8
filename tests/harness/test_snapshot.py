"""Snapshots: a killed training resumes with the same result; a snapshot that cannot be used is ignored."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.training.trainer
from harness.config.cell import Cell
from harness.config.recipe import Recipe
from harness.execution import worker
from harness.execution.job import Event, Job
from harness.execution.plan import Variant
from harness.execution.worker import Worker, run_job
from harness.models.precision import Numerics
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.storage.folder import RunFolder
from harness.storage.records import Cause
from harness.storage.snapshots import Snapshots
from harness.training.code_version import cell_fingerprints
from harness.training.snapshot import Snapshot
from harness.training.trainer import Trainer

CATALOG = Catalog()
TASK = Spec.parse("task", "reverse:alphabet=2", CATALOG)
EASY = Spec.parse("task", "reverse:alphabet=1", CATALOG)
RECIPE = Recipe(steps=12, batch_size=4, train_lengths="1:4", warmup=2, checkpoints=3, validations=4)
ARCHITECTURES = (
    "lstm:width=8,depth=1",
    "transformer:width=16,depth=1,dropout=0.3",
    "transformer:width=16,depth=1,position=rope,places=randomized",
    "ngram:order=2",
)


class Killed(BaseException):
    """Raised in place of the end of the process."""


def cells(architecture: str, count: int = 1, **recipe: Any) -> tuple[Cell, ...]:
    spec, full_recipe = Spec.parse("architecture", architecture, CATALOG), Recipe(**{**RECIPE.model_dump(), **recipe})
    return tuple(Cell(spec, TASK, full_recipe, 1e-2, seed) for seed in range(count))


SCORED = (Variant("", TASK, (2, 6)),)


def train(folder: Path, group: tuple[Cell, ...], variants: tuple[Variant, ...] = SCORED, **job: Any) -> list[str]:
    """Run a job to its end; return its notes."""
    RunFolder(folder).cells.mkdir(parents=True, exist_ok=True)
    events: list[Event] = []
    run_job(Job(group, variants, 8, RunFolder(folder), **job), 0, events.append)
    return [event.text for event in events if event.kind == "note"]


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that trains with a snapshot after every step and raises :class:`Killed` in a given step."""

    def kill(step: int, folder: Path, group: tuple[Cell, ...], **job: Any) -> None:
        def step_or_die(trainer: Trainer) -> None:
            if trainer.done == step:
                raise Killed
            original_step(trainer)

        with monkeypatch.context() as patch:
            original_step = Trainer.step
            patch.setattr("harness.training.trainer.SNAPSHOT_SECONDS", 0.0)
            patch.setattr(Trainer, "step", step_or_die)
            with pytest.raises(Killed):
                train(folder, group, **job)

    return kill


def result(folder: Path, cell: Cell) -> tuple[Any, ...]:
    """Return the results that a resumed training must have in common with an uninterrupted one."""
    store = RunFolder(folder)
    record = store.cell(cell.id).training
    assert record is not None
    weights = {step: store.weights(cell.id, step) for step in record.checkpoints}
    facts = (record.curve, record.steps_used, record.distinct, record.validation_exact, record.validation_loss)
    scores = [(e.length, e.step, e.exact, e.right, e.loss) for e in store.cell(cell.id).evaluations]
    return facts, scores, {s: {name: value.tolist() for name, value in w.items()} for s, w in weights.items()}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_result_is_that_of_an_uninterrupted_training(
    architecture: str, count: int, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Losses, validation, checkpoints, distinct questions and scores are bit-equal after two kills."""
    group = cells(architecture, count)
    for step in (5, 9):
        killed_at(step, tmp_path / "killed", group)
        assert len(list((tmp_path / "killed" / "snapshots").iterdir())) == 1
    torch.rand(5)
    notes = train(tmp_path / "killed", group)
    assert len(notes) == 1
    assert notes[0].endswith("resumes from step 9 of 12")
    assert not (tmp_path / "killed" / "snapshots").exists()
    assert train(tmp_path / "whole", group) == []
    for cell in group:
        assert result(tmp_path / "killed", cell) == result(tmp_path / "whole", cell)


def test_a_model_that_was_frozen_stays_frozen(tmp_path: Path, killed_at: Callable[..., None]) -> None:
    (quick,) = cells("lstm:width=8,depth=1", stop_when_fitted=True, train_lengths="1:1", steps=60, validations=30)
    group = (replace(quick, task=EASY, learning_rate=4e-2), replace(quick, task=EASY, learning_rate=1e-9))
    killed_at(50, tmp_path / "killed", group)
    train(tmp_path / "killed", group)
    train(tmp_path / "whole", group)
    whole = [result(tmp_path / "whole", cell) for cell in group]
    assert [result(tmp_path / "killed", cell) for cell in group] == whole
    used = [facts[1] for facts, _, _ in whole]
    assert used[0] < 50 < used[1]


def test_snapshots_are_saved_after_an_interval_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(Snapshots, "save", lambda self, cells, conditions, snapshot: steps.append(snapshot.done))
    train(tmp_path / "short", cells("lstm:width=8,depth=1"))
    assert steps == []
    monkeypatch.setattr("harness.training.trainer.SNAPSHOT_SECONDS", 0.0)
    train(tmp_path / "each", cells("lstm:width=8,depth=1"))
    assert steps == list(range(1, 13))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "a bit flipped": flip,
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_bytes(b'{"a": 1}\n'),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_snapshot_is_ignored_with_a_note(name: str, tmp_path: Path, killed_at: Callable[..., None]) -> None:
    group = cells("lstm:width=8,depth=1")
    killed_at(7, tmp_path / "killed", group)
    DAMAGE[name](next((tmp_path / "killed" / "snapshots").iterdir()))
    notes = train(tmp_path / "killed", group)
    assert [note.partition(": ")[2] for note in notes] == ["its snapshot is ignored because it is damaged"]
    train(tmp_path / "whole", group)
    assert result(tmp_path / "killed", group[0]) == result(tmp_path / "whole", group[0])


def test_a_snapshot_of_other_code_is_ignored_with_a_note(
    tmp_path: Path, killed_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = cells("lstm:width=8,depth=1")
    killed_at(7, tmp_path, group)
    monkeypatch.setattr(worker, "cell_fingerprints", lambda cell: cell_fingerprints(cell) | {"task": "another"})
    assert [note.partition(": ")[2] for note in train(tmp_path, group)] == [
        "its snapshot is ignored because it was saved with different task code"
    ]


def test_a_snapshot_of_another_number_format_is_ignored_with_a_note(
    tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    group = cells("lstm:width=8,depth=1")
    killed_at(7, tmp_path, group)
    assert [note.partition(": ")[2] for note in train(tmp_path, group, numerics=Numerics("bfloat16"))] == [
        "its snapshot is ignored because it was saved with different number format"
    ]


def test_a_larger_group_resumes_the_cells_that_have_a_snapshot(tmp_path: Path, killed_at: Callable[..., None]) -> None:
    group = cells("lstm:width=8,depth=1", 4)
    killed_at(7, tmp_path / "killed", group[1:3])
    assert len(train(tmp_path / "killed", group)) == 1
    assert not (tmp_path / "killed" / "snapshots").exists()
    sizes = [RunFolder(tmp_path / "killed").cell(cell.id).training.population for cell in group]  # type: ignore[union-attr]
    assert sizes == [2, 2, 2, 2]
    train(tmp_path / "whole", group[1:3])
    for cell in group[1:3]:
        assert result(tmp_path / "killed", cell) == result(tmp_path / "whole", cell)


def test_a_smaller_group_starts_again_with_a_message(tmp_path: Path, killed_at: Callable[..., None]) -> None:
    group, store = cells("lstm:width=8,depth=1", 3), RunFolder(tmp_path)
    killed_at(7, tmp_path, group)
    planned = [cell.id for cell in group[:2]]
    messages = list(store.snapshots.remove_unusable([planned]))
    assert len(messages) == 1
    assert messages[0].endswith("this run does not train its 3 models in one group")
    assert list(store.snapshots.groups()) == []
    assert train(tmp_path, group[:2]) == []


@pytest.mark.parametrize("cause", ["model", "machine"])
def test_a_cell_that_fails_by_itself_leaves_no_snapshot(
    cause: Cause, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    group = cells("lstm:width=8,depth=1")
    killed_at(7, tmp_path, group)
    Worker(Job(group, (), 8, RunFolder(tmp_path)), 0, lambda event: None).fail(group[0], RuntimeError("died"), cause)
    assert (tmp_path / "snapshots").exists() == (cause == "machine")


def test_a_full_disk_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.training.trainer.SNAPSHOT_SECONDS", 0.0)
    monkeypatch.setattr(Snapshots, "save", full)
    (cell,) = cells("lstm:width=8,depth=1", steps=3)
    notes = train(tmp_path, (cell,))
    assert notes[0] == f"{cell}: its snapshot cannot be written: No space left on device"
    assert RunFolder(tmp_path).cell(cell.id).training is not None


def test_a_part_of_a_snapshot_has_the_state_of_its_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots: list[Snapshot] = []
    group = cells("lstm:width=8,depth=1", 3)
    monkeypatch.setattr(Trainer, "_finish", lambda self, seconds: snapshots.append(self.state_dict()))
    Worker(Job(group, (), 8, RunFolder(tmp_path)), 0, lambda event: None)._train(group)
    part = snapshots[0].part(slice(1, 3))
    assert {len(row) for row in part.rows.values()} == {len(part.models)} == {2}
    assert all(torch.equal(part.rows[name], snapshots[0].rows[name][1:]) for name in part.rows)
    assert part.models == snapshots[0].models[1:]


LONG = cells("transformer:width=16,depth=1,dropout=0.2", steps=150)
ENDLESS = "import sys, test_snapshot; test_snapshot.snapshots_always(sys.argv[1])"


def snapshots_always(folder: str) -> None:
    """Train with a snapshot after every step; the test runs this in a process and kills it."""
    harness.training.trainer.SNAPSHOT_SECONDS = 0.0
    train(Path(folder), LONG)


def test_a_training_resumes_after_kill_9(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    while not list(RunFolder(tmp_path / "killed").snapshots.groups()):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert "resumes from step" in train(tmp_path / "killed", LONG)[0]
    train(tmp_path / "whole", LONG)
    assert result(tmp_path / "killed", LONG[0]) == result(tmp_path / "whole", LONG[0])
    assert not (tmp_path / "killed" / "snapshots").exists()
