"""Repeated runs: records are kept, missing ones are computed, and the same cell gives the same scores."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.config.suite import make
from harness.execution.plan import Plan, make_plan
from harness.execution.run import EvaluationRequest, Outcome, evaluate, execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder
from harness.storage.records import EvaluationRecord

SUITE: dict[str, Any] = {
    "name": "small",
    "architectures": ["lstm:width=8,depth=1"],
    "tasks": ["parity"],
    "seeds": 3,
    "samples": 32,
    "test_lengths": "6,9",
    "recipe": {"steps": 6, "batch_size": 4, "train_lengths": "1:4", "warmup": 0},
}

QUIET = Console(file=io.StringIO())


def plan(plugins: tuple[Path, ...] = (), **values: Any) -> Plan:
    return make_plan(make(SUITE | values, "test"), Catalog(plugins))


def run(planned: Plan, folder: Path, **options: Any) -> Outcome:
    return execute(planned, folder, RunOptions("cpu", 1, **options), QUIET)


def written(folder: Path) -> dict[str, int]:
    """Return the time at which each record was last written, by path."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.glob("cells/*/*.json")}


def scores(folder: Path, cell: str) -> list[EvaluationRecord]:
    return [record.model_copy(update={"seconds": 0.0}) for record in RunFolder(folder).cell(cell).evaluations]


def test_every_cell_is_trained_and_evaluated(tmp_path: Path) -> None:
    planned, folder = plan(), RunFolder(tmp_path)
    assert run(planned, tmp_path).failed == 0
    assert folder.cell_ids() == sorted(cell.id for cell in planned.cells)
    for cell in planned.cells:
        record = folder.cell(cell.id).training
        assert record is not None
        assert record.cell == cell.canonical()
        assert record.steps_used == 6
        assert [each.length for each in folder.cell(cell.id).evaluations] == [1, 2, 3, 4, 6, 9]
        assert all(each.rows == 32 and each.status == "ok" for each in folder.cell(cell.id).evaluations)


def test_another_seed_gives_other_scores_and_the_same_seed_the_same(tmp_path: Path) -> None:
    planned = plan()
    for name in ("first", "again"):
        run(planned, tmp_path / name)
    cells = [cell.id for cell in planned.cells]
    assert len({tuple(each.loss for each in scores(tmp_path / "first", cell)) for cell in cells}) == len(cells)
    assert len({each.set_hash for cell in cells for each in scores(tmp_path / "first", cell)}) == 6
    for cell in cells:
        assert scores(tmp_path / "first", cell) == scores(tmp_path / "again", cell)


def test_only_missing_cells_are_trained(tmp_path: Path) -> None:
    planned = plan(seeds=2)
    run(planned, tmp_path)
    before = written(tmp_path)
    assert len(run(planned, tmp_path).before.done) == 2
    assert written(tmp_path) == before
    lost = planned.cells[0].id
    (tmp_path / "cells" / lost / "training.json").unlink()
    expected = scores(tmp_path, lost)
    outcome = run(plan(), tmp_path)
    assert [cell.id for cell in outcome.before.to_train] == [lost, plan().cells[2].id]
    after = written(tmp_path)
    assert {path for path in before if after[path] != before[path]} == {
        f"cells/{lost}/{name}.json" for name in ("training", "evaluations")
    }
    assert scores(tmp_path, lost) == expected


def test_more_lengths_are_added_without_training(tmp_path: Path) -> None:
    run(plan(), tmp_path)
    before = written(tmp_path)
    run(plan(test_lengths="6,9,12"), tmp_path)
    assert evaluate(tmp_path, [EvaluationRequest("", "", (9, 15))], RunOptions("cpu", 1), Catalog(), console=QUIET) == 0
    after = written(tmp_path)
    assert all(after[path] == before[path] for path in before if path.endswith("training.json"))
    for cell in plan().cells:
        assert [each.length for each in RunFolder(tmp_path).cell(cell.id).evaluations] == [1, 2, 3, 4, 6, 9, 12, 15]


def test_each_checkpoint_is_evaluated(tmp_path: Path) -> None:
    planned = plan(seeds=1, recipe=SUITE["recipe"] | {"checkpoints": 2})
    run(planned, tmp_path)
    evaluated = [(record.length, record.step) for record in RunFolder(tmp_path).cell(planned.cells[0].id).evaluations]
    assert evaluated == [(length, step) for length in (1, 2, 3, 4, 6, 9) for step in (3, 6)]


RAISES = '''"""Raises on long streams."""
from torch import nn
from architectures.base import Mixer

class Fragile(Mixer):
    """Raises an error."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        if {condition}:
            raise ValueError("too long for me")
        return self.out(x)
'''


def test_a_failure_is_recorded_and_retried_on_request(tmp_path: Path) -> None:
    file = tmp_path / "fragile.py"
    file.write_text(RAISES.format(condition="self.training"))
    planned = plan((file,), architectures=["fragile:width=8", "lstm:width=8,depth=1"], seeds=1)
    folder = tmp_path / "run"
    assert run(planned, folder).failed == 1
    failure = RunFolder(folder).cell(planned.cells[0].id).failure
    assert failure is not None
    assert failure.reason == "raised ValueError: too long for me"
    assert "fragile.py" in failure.details
    assert RunFolder(folder).cell(planned.cells[1].id).training is not None
    before = written(folder)
    assert run(planned, folder).failed == 1
    assert written(folder) == before
    assert run(planned, folder, retry_failed=True).failed == 1
    after = written(folder)
    assert [path for path in before if after[path] != before[path]] == [f"cells/{planned.cells[0].id}/failure.json"]


def test_changed_code_of_a_plug_in_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(RAISES.format(condition="False"))
    planned, folder = plan((file,), architectures=["mine:width=8"], seeds=1), tmp_path / "run"
    run(planned, folder)
    monkeypatch.setattr("harness.execution.run_status.fingerprints_of", lambda specs: {"task": "other code"})
    assert len(run(planned, folder, stale="keep").before.done) == 1
    assert len(run(planned, folder).before.to_train) == 1
    built_in = plan(seeds=1)
    run(built_in, tmp_path / "built-in")
    again = run(built_in, tmp_path / "built-in").before
    assert (len(again.done), len(again.stale), len(again.to_train)) == (1, 1, 0)
