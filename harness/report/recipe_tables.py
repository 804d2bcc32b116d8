"""Tables of runs that train in several ways: scores by recipe, after each stage, and after training on other tasks."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.analysis.sample_efficiency import base_name, settings
from harness.config.stages import Supervised, parse_stages, pipeline_name
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results

Compared = dict[tuple[str, str], dict[str, str]]
"""The label of a task by the name of its pipeline, for each task and its further settings."""


def compared_tasks(results: Results) -> Compared:
    """Return the tasks that were trained with more than one pipeline of stages, and otherwise with equal settings."""
    recipes = results.meta.recipes
    found: Compared = {}
    for task in (task for task in results.tasks if task in recipes):
        key = base_name(task), settings(recipes[task], "stages")
        found.setdefault(key, {})[pipeline_of(recipes[task])] = task
    return {key: tasks for key, tasks in found.items() if len(tasks) > 1}


def pipeline_of(recipe: Mapping[str, Any]) -> str:
    """Return the name of a recipe's pipeline."""
    return pipeline_name(recipe.get("stages", ""))


def recipes_table(results: Results) -> Table:
    """Return exact match beyond the training lengths: tasks and architectures by recipe."""
    by_label, rows = {result.task: result for result in results.main_results}, []
    for (task, _), tasks in compared_tasks(results).items():
        for architecture in results.architectures:
            cells = {name: results.table_cell(architecture, by_label[label]) for name, label in tasks.items()}
            if any(cell.has_scores for cell in cells.values()):
                scores = {name: cell.score_text("exact") for name, cell in cells.items()}
                rows.append({"task": task, "architecture": architecture, **scores})
    caption = (
        "Exact match beyond the training lengths by recipe. All recipes of a task take the same number of steps. A "
        f"step in which a model answers questions takes more time than one with given answers. {selection(results)}"
    )
    frame = pd.DataFrame(rows).fillna(fmt.NOTHING)
    return Table("recipes", "Ways to train", caption, frame, frame, ("task",))


def transfer_table(results: Results) -> Table:
    """Return exact match beyond the training lengths: the first task of a training by the task that is tested."""
    by_label = {result.task: result for result in results.main_results}
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for (task, _), tasks in compared_tasks(results).items():
        for label in tasks.values():
            source = first_task(results.meta.recipes[label].get("stages", ""))
            for architecture in results.architectures if source is not None else ():
                cell = results.table_cell(architecture, by_label[label])
                if cell.has_scores:
                    rows.setdefault((architecture, source or "nothing else"), {})[task] = cell.score_text("exact")
    pretrained = any(source != "nothing else" for _, source in rows)
    found = [
        {"architecture": architecture, "trained first on": source, **scores}
        for (architecture, source), scores in (rows.items() if pretrained else ())
    ]
    caption = (
        "Exact match beyond the training lengths, a column for each task. Models were trained on another task first, "
        "and then on that of the column; those in the row of nothing else took all steps on the task of the column. "
        f"All took the same number of steps. {selection(results)}"
    )
    frame = pd.DataFrame(found).fillna(fmt.NOTHING)
    return Table("transfer", "Transfer between tasks", caption, frame, frame, ("architecture",))


def first_task(stages: str) -> str | None:
    """Return the other task on which a pipeline trains before its own, empty for none; ``None`` for other pipelines.

    >>> first_task("supervised:task=sort + supervised"), first_task(""), first_task("supervised + dpo")
    ('sort', '', None)
    """
    if not stages:
        return ""
    first, *rest = parse_stages(stages)
    others = [stage for stage in rest if not isinstance(stage, Supervised) or stage.task]
    return (getattr(first, "task", "") or None) if rest and not others else None


def stages_table(results: Results) -> Table:
    """Return the median exact match at each length after each stage or round of a recipe."""
    keys = {"task": "base", "architecture": "architecture", "recipe": "recipe", "after step": "step"}
    rows = []
    for key, same in after_each_stage(results).groupby(list(keys.values()), sort=False):
        by_length: dict[Any, float] = same.groupby("length").exact.median().to_dict()
        row: dict[str, Any] = dict(zip(keys, key, strict=True))
        row["after step"] = fmt.count(row["after step"])
        rows.append(row | {f"at {fmt.count(length)}": fmt.score(score) for length, score in by_length.items()})
    caption = (
        "Median exact match over seeds, at each length, after each stage and after each round of self-improvement. "
        f"{selection(results)}"
    )
    frame = pd.DataFrame(rows).fillna(fmt.NOTHING)
    return Table("stages", "Scores after each stage", caption, frame, frame, ("task",))


def after_each_stage(results: Results) -> pd.DataFrame:
    """Return the scores of reported cells at all checkpoints of recipes with stages, with ``base`` and ``recipe``."""
    names = results.selected.loc[results.selected.status == "done", ["cell", "architecture", "task", "seed"]]
    staged = {task: pipeline_of(recipe) for task, recipe in results.meta.recipes.items() if recipe.get("stages")}
    names = names[names.task.isin(list(staged))]
    scores = results.scores[results.scores.variant == ""].merge(names, on="cell")
    if scores.empty:
        return scores.assign(base="", recipe="")
    return scores.assign(base=scores.task.map(base_name), recipe=scores.task.map(staged))
