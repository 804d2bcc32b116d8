"""The evaluator: what has no record is scored, and an error of one model or variant stays there."""

from pathlib import Path
from typing import Any

import pytest
from test_resume import QUIET, plan, run

from harness.analysis.load import frames
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.execution import evaluator
from harness.execution.evaluator import fitting_lengths
from harness.execution.run import EvaluationRequest, evaluate
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder

VARIANT = {
    "architectures": ["lstm:width=8,depth=1"],
    "tasks": ["mqar:pairs=2,keys=4,values=4"],
    "recipe": {"steps": 3, "batch_size": 4, "train_lengths": "8:9", "warmup": 0},
    "seeds": 1,
    "samples": 8,
    "test_lengths": "12",
    "evaluation": [{"name": "more pairs", "task": "mqar:pairs=4,keys=4,values=4", "test_lengths": "20"}],
}


def test_a_variant_without_a_training_length_is_scored(tmp_path: Path) -> None:
    planned = plan(**VARIANT)
    assert run(planned, tmp_path).failed == 0
    (cell,) = RunFolder(tmp_path).cell_ids()
    (record,) = (record for record in RunFolder(tmp_path).cell(cell).evaluations if record.variant)
    assert (record.status, record.n) == ("ok", 8)
    assert record.shortcut


def test_a_model_that_cannot_be_loaded_is_one_failed_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plan(seeds=2)
    run(planned, tmp_path)
    first, second = RunFolder(tmp_path).cell_ids()
    load, broken = evaluator.load, [first]

    def changed(models: list[Any], weights: list[Any], *rest: Any) -> Any:
        if len(models) > 1 or broken:
            del broken[: len(models) == 1]
            raise KeyError("head.weight")
        return load(models, weights, *rest)

    monkeypatch.setattr(evaluator, "load", changed)
    longer = plan(seeds=2, test_lengths="6,8")
    assert run(longer, tmp_path).failed == 1
    statuses = [{e.status for e in RunFolder(tmp_path).cell(cell).evaluations} for cell in (first, second)]
    assert statuses == [{"ok", "raised KeyError: 'head.weight'"}, {"ok"}]


def test_an_evaluation_without_scores_does_not_hide_one_with_scores(tmp_path: Path) -> None:
    run(plan(seeds=1), tmp_path)
    folder = RunFolder(tmp_path)
    (cell,) = folder.cell_ids()
    scored = folder.cell(cell).evaluations[0]
    folder.add(cell, [scored.model_copy(update={"status": "out of memory", "rows": 10**6})])
    _, scores, _ = frames([tmp_path], Catalog())
    assert scores[scores.length == scored.length].exact.tolist() == [scored.exact / scored.n]


def test_a_variant_cannot_take_the_name_of_another_one(tmp_path: Path) -> None:
    planned = plan(**VARIANT)
    run(planned, tmp_path)
    options, catalog = RunOptions("cpu", 1), Catalog()
    same = EvaluationRequest("more pairs", "mqar:keys=4,values=4,pairs=4", (20,))
    assert evaluate(tmp_path, [same], options, catalog, console=QUIET) == 0
    other = EvaluationRequest("more pairs", "mqar:pairs=3,keys=4,values=4", (16,))
    with pytest.raises(UserError, match=r"is mqar:keys=4,values=4, not mqar:keys=4,pairs=3"):
        evaluate(tmp_path, [other], options, catalog, console=QUIET)


def test_readers_are_fitted_at_training_lengths_where_a_task_has_them() -> None:
    (pair,) = plan(**VARIANT).pairs
    main, other = (Presentation.of(variant.task, pair.task.recipe) for variant in pair.task.variants)
    assert fitting_lengths(main, pair.task.recipe) == [8]
    assert min(fitting_lengths(other, pair.task.recipe)) > 9
