"""``lengthwise run --dry-run`` prints the plan, as tables or as JSON, with an estimate of the training time."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.bench.time_estimate import Pace
from harness.cli.console import table
from harness.cli.preview import Paces, Preview, group_key
from harness.config.stages import pipeline_name
from harness.execution.plan import Plan, PlannedTask
from harness.execution.progress import duration
from harness.registry.options import Spec, build_task


def preview_tables(preview: Preview) -> Iterator[RenderableType]:
    """Yield the status of the folder, the tables of the plan, and the sentence on the time."""
    plan = preview.plan
    yield f"Suite {plan.suite.name}, records in {preview.output}: {preview.status}."
    tables = (tasks_table(plan), architectures_table(plan, preview), _not_applicable(plan), _notes(plan))
    yield from (rows for rows in tables if rows.row_count)
    yield f"\n{preview}"
    yield from (Text(f"Error: {error}", "red") for error in preview.errors)


def preview_data(preview: Preview) -> dict[str, Any]:
    """Return the plan as JSON values. ``seconds`` is the estimate for all workers together."""
    plan, status = preview.plan, preview.status
    counts = {"done": status.done, "failed": status.failed, "stale": status.stale, "to_train": status.to_train}
    return {
        "suite": plan.suite.name,
        "output": str(preview.output),
        "cells": len(plan.cells),
        **{name: len(cells) for name, cells in counts.items()},
        "groups": preview.groups,
        "seconds": round(preview.seconds, 1),
        "tasks": [_task_data(planned) for planned in plan.tasks],
        "architectures": [str(spec) for spec in plan.architectures],
        "pairs": [
            {"architecture": str(pair.architecture), "task": str(pair.task.task), "parameters": pair.parameters}
            for pair in plan.pairs
        ],
        "not_applicable": [
            {"architecture": str(pair.architecture), "task": str(pair.task.task), "reason": pair.obstacle}
            for pair in plan.not_applicable
        ],
        "notes": list(plan.notes),
        "errors": preview.errors,
    }


def _task_data(planned: PlannedTask) -> dict[str, Any]:
    variants = {variant.name or "plain": list(variant.lengths) for variant in planned.variants}
    return {"task": str(planned.task), "recipe": planned.recipe.canonical, "lengths": variants}


def tasks_table(plan: Plan) -> Table:
    """Return a table of the tasks and their variants. Test lengths within the training range are not shown."""
    rows = table("Tasks", "task", "answer", ">train lengths", "test lengths", ">steps", ">batch")
    staged = any(planned.recipe.stages for planned in plan.tasks)
    for planned in plan.tasks:
        recipe, (main, *variants) = planned.recipe, planned.variants
        longer = [length for length in main.lengths if length > recipe.train_lengths.high]
        trained, steps = f"{recipe.train_lengths.low} to {recipe.train_lengths.high}", f"{recipe.steps:,}"
        rows.add_row(str(planned.task), _answer(planned), trained, _listed(longer), steps, str(recipe.batch_size))
        if staged:
            rows.add_row(f"  {pipeline_name(recipe.stages)}")
        for variant in variants:
            rows.add_row(f"  {variant.name}: {variant.task}", "", "", _listed(variant.lengths))
    return rows


def _answer(planned: PlannedTask) -> str:
    recipe = planned.recipe
    try:
        answer = recipe.answer or build_task(planned.task).answer
    except Exception:  # the notes have the error
        return "raises"
    return ", ".join([answer, *(["start token"] * recipe.begin), *([f"think {recipe.think}"] if recipe.think else [])])


def _listed(lengths: Sequence[int]) -> str:
    if len(lengths) <= 5:
        return ", ".join(map(str, lengths))
    return f"{lengths[0]}, {lengths[1]}, ... {lengths[-1]} ({len(lengths)} lengths)"


def architectures_table(plan: Plan, preview: Preview | None = None) -> Table:
    """Return a table of the architectures with parameters, tasks and cells.

    With a preview it also has the number of cells to train and the training time.
    """
    paces = preview.paces if preview else {}
    has_populations = any(isinstance(pace, Pace) and pace.models > 1 for pace in paces.values())
    columns = ["architecture", ">parameters", ">tasks", ">cells"]
    if preview is not None:
        columns += [">to train", ">at once", ">time"] if has_populations else [">to train", ">time"]
    rows = table("Architectures", *columns)
    tuning = len(plan.suite.learning_rates) * plan.suite.tuning_seeds if plan.searches else 0
    cells_per_pair = plan.suite.seeds + tuning
    for spec in plan.architectures:
        pairs = [pair for pair in plan.pairs if pair.architecture == spec]
        row: list[str | Text] = [str(spec), _parameters(spec, plan), str(len(pairs)), str(cells_per_pair * len(pairs))]
        if preview is not None:
            own_paces = {pair: pace for pair, pace in paces.items() if pair in pairs}
            row.append(str(sum(preview.missing[group_key(pair)] for pair in pairs)))
            if has_populations:
                row.append(_population_sizes(own_paces))
            row.append(_time(preview, own_paces))
        rows.add_row(*row)
    return rows


def _parameters(spec: Spec, plan: Plan) -> str:
    sizes = sorted(pair.parameters for pair in plan.pairs if pair.architecture == spec and pair.parameters)
    if not sizes:
        return "unknown"
    return f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"


def _population_sizes(paces: Paces) -> str:
    sizes = sorted({pace.models for pace in paces.values() if isinstance(pace, Pace)})
    if not sizes:
        return ""
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def _time(preview: Preview, paces: Paces) -> Text:
    raises = any(isinstance(pace, str) for pace in paces.values())
    return Text("raises", "red") if raises else Text(duration(preview.seconds_of(paces)))


def _not_applicable(plan: Plan) -> Table:
    rows = table("Not applicable", "architecture", "task", "reason")
    for pair in plan.not_applicable:
        rows.add_row(str(pair.architecture), str(pair.task.task), pair.obstacle)
    return rows


def _notes(plan: Plan) -> Table:
    rows = table("Notes", "")
    rows.show_header = False
    for note in plan.notes:
        rows.add_row(note)
    return rows
