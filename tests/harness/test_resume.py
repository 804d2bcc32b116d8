"""Repeated runs: records are kept, missing ones are computed, and the same cell gives the same scores."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.analysis.load import frames
from harness.config.suite import make
from harness.execution.make_plan import make_plan
from harness.execution.plan import Plan
from harness.execution.run import EvaluationRequest, Outcome, evaluate, execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
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
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.glob("cells/*/*.json*")}


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
        f"cells/{lost}/{name}" for name in ("training.json", "evaluations.jsonl")
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
    monkeypatch.setattr("harness.execution.run_status.cell_fingerprints", lambda cell: {"task": "other code"})
    assert len(run(planned, folder, stale="keep").before.done) == 1
    assert len(run(planned, folder).before.to_train) == 1
    built_in = plan(seeds=1)
    run(built_in, tmp_path / "built-in")
    again = run(built_in, tmp_path / "built-in").before
    assert (len(again.done), len(again.stale), len(again.to_train)) == (1, 1, 0)


WRITTEN: dict[str, Any] = {"architectures": ["lstm:depth=2,width=8"], "tasks": ["reverse:alphabet=4"], "seeds": 2}
"""A suite with an option at its default, which was part of the id of a cell in older records."""


@contextmanager
def older_ids(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep options at their default in specs, as older versions did."""
    with monkeypatch.context() as patch:
        patch.setattr(Spec, "canonical", Spec.as_written)
        yield


def test_an_older_cell_is_found_under_the_id_of_its_options_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with older_ids(monkeypatch):
        older = plan(**WRITTEN)
        run(older, tmp_path)
    ids, planned, before = [cell.id for cell in older.cells], plan(**WRITTEN), written(tmp_path)
    assert set(ids).isdisjoint(cell.id for cell in planned.cells)
    assert len(run(planned, tmp_path).before.done) == 2
    assert written(tmp_path) == before
    run(plan(**WRITTEN, test_lengths="6,9,12"), tmp_path)
    evaluate(tmp_path, [EvaluationRequest("", "", (15,))], RunOptions("cpu", 1), Catalog(), console=QUIET)
    for cell in ids:
        lengths = [each.length for each in RunFolder(tmp_path).cell(cell).evaluations]
        assert sorted(lengths) == [1, 2, 3, 4, 6, 9, 12, 15]
    cells, results, meta = frames([tmp_path], Catalog())
    assert (list(cells.cell), set(cells.architecture)) == (ids, {"lstm:width=8"})
    assert set(cells.task) == {"reverse"}
    assert set(results.cell) == set(ids)
    assert not meta.notes
    assert [cell.id for cell in run(planned, tmp_path, stale="rerun").before.to_train] == []
    monkeypatch.setattr("harness.execution.run_status.cell_fingerprints", lambda cell: {"task": "other code"})
    assert [cell.id for cell in run(planned, tmp_path, stale="rerun").before.to_train] == ids
    assert sorted(path.name for path in (tmp_path / "cells").iterdir()) == sorted(ids)


def test_a_cell_with_two_older_ids_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = WRITTEN | {"architectures": ["lstm:depth=2,width=8", "lstm:width=8"], "tasks": ["reverse"]}
    with older_ids(monkeypatch):
        older = plan(**both)
        assert len(older.cells) == 4
        run(older, tmp_path)
    cells, scores, meta = frames([tmp_path], Catalog())
    assert list(cells.cell) == [cell.id for cell in older.cells if str(cell.architecture) == "lstm:width=8"]
    assert set(scores.cell) == set(cells.cell)
    assert list(meta.notes) == [
        "2 cells are recorded twice, with and without options at their default; one of each is shown"
    ]


def test_labels_show_in_what_an_architecture_differs_from_its_bare_name(tmp_path: Path) -> None:
    """An option of the suite is left out, and an option at its default is shown where the suite sets another value."""
    values = {"architectures": ["lstm", "lstm:depth=2", "lstm:width=4"], "model": {"width": 8, "depth": 1}, "seeds": 1}
    planned = plan(**values)
    assert [str(spec) for spec in planned.architectures] == [
        "lstm:depth=1,width=8",
        "lstm:width=8",
        "lstm:depth=1,width=4",
    ]
    run(planned, tmp_path)
    assert list(frames([tmp_path], Catalog())[0].architecture) == ["lstm", "lstm:depth=2", "lstm:width=4"]
