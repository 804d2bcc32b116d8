"""``lengthwise run --dry-run`` prints the plan as tables, with an estimate of the training time."""

from collections import Counter
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from harness.bench.time_estimate import Pace, pace_of, scored_symbols
from harness.cli.console import table
from harness.config.cell import GroupKey
from harness.execution.plan import Pair, Plan, PlannedTask
from harness.execution.progress import duration
from harness.execution.rate_search import with_chosen_rates
from harness.execution.run_options import RunOptions
from harness.execution.run_status import run_status
from harness.registry.options import Spec, build_task
from harness.storage.folder import RunFolder

Paces = dict[Pair, Pace | None]
"""The measured pace of each pair; ``None`` where its model raises an error."""


def preview(plan: Plan, output: Path, options: RunOptions, out: Console) -> None:
    """Print the plan of a run and the estimated time; write nothing."""
    options, folder = options.resolved(), RunFolder(output)
    folder.check(plan.suite.name)
    plan = with_chosen_rates(plan, folder)
    status = run_status(plan, folder, options.stale, options.retry_failed)
    missing = Counter(cell.canonical_form().group_key for cell in status.to_train)
    missing.update({_group_key(pair): plan.suite.seeds for pair in plan.pairs if not plan.reported_cells(pair)})
    paces = _measure(plan, missing, options, out)
    out.print(f"Suite {plan.suite.name}, records in {output}: {status}.", soft_wrap=True)
    for rows in (tasks_table(plan), architectures_table(plan, missing, paces), _not_applicable(plan), _notes(plan)):
        if rows.row_count:
            out.print(rows)
    groups = sum(ceil(count / options.population) for count in missing.values())
    stops = any(task.recipe.stop_when_fitted for task in plan.tasks)
    out.print(f"\n{_total(groups, _seconds(paces, missing, plan.suite.samples), stops, options)}")


def _total(groups: int, seconds: float, stops: bool, options: RunOptions) -> str:
    """Return the sentence on all groups.

    ``seconds`` is the time to train and score them one after another; ``stops`` says that fitted models stop early.
    """
    size, workers, device = options.population, options.worker_count, options.device
    time = duration(seconds / max(1, min(workers, groups) if device == "cpu" else 1))
    plural = "s" if workers > 1 else ""
    limit = "at most about" if stops else "about"
    early = ", less where models fit early" if stops else ""
    models = f" of at most {size} models, halved where memory runs out," if size > 1 else ""
    return (
        f"{groups} groups{models} to train and evaluate on {device} with {workers} worker{plural}: "
        f"{limit} {time}{early}, as measured just now."
    )


def _measure(plan: Plan, missing: Counter[GroupKey], options: RunOptions, out: Console) -> Paces:
    """Measure the pace of each pair that has cells to train, in one thread as a worker does."""
    torch.set_num_threads(1)
    pairs = [pair for pair in plan.pairs if missing[_group_key(pair)]]
    tracked = track(pairs, "measuring steps", console=out, transient=True, disable=not out.is_terminal)
    return {pair: _pace(pair, min(missing[_group_key(pair)], options.population), options) for pair in tracked}


def _pace(pair: Pair, models: int, options: RunOptions) -> Pace | None:
    try:
        with options.numerics.applied():
            return pace_of(pair, options.device, options.numerics, models)
    except Exception:  # the run itself records the error
        return None


def _seconds(paces: Paces, missing: Counter[GroupKey], samples: int) -> float:
    """Return the seconds to train and score all missing cells of these pairs, one group after another."""
    measured = ((pair, pace) for pair, pace in paces.items() if pace is not None)
    return sum(
        pace.total(missing[_group_key(pair)], pair.task.recipe.steps, scored_symbols(pair.task, samples))
        for pair, pace in measured
    )


def _group_key(pair: Pair) -> GroupKey:
    return pair.architecture, pair.task.task, pair.task.recipe


def tasks_table(plan: Plan) -> Table:
    """Return a table of the tasks and their variants. Test lengths within the training range are not shown."""
    rows = table("Tasks", "task", "answer", ">train lengths", "test lengths", ">steps", ">batch")
    for planned in plan.tasks:
        recipe, (main, *variants) = planned.recipe, planned.variants
        longer = [length for length in main.lengths if length > recipe.train_lengths.high]
        trained, steps = f"{recipe.train_lengths.low} to {recipe.train_lengths.high}", f"{recipe.steps:,}"
        rows.add_row(str(planned.task), _answer(planned), trained, _listed(longer), steps, str(recipe.batch_size))
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


def architectures_table(plan: Plan, missing: Counter[GroupKey] | None = None, paces: Paces | None = None) -> Table:
    """Return a table of the architectures with parameters, tasks and cells.

    With ``missing`` and ``paces`` it also has the number of cells to train and the training time.
    """
    has_populations = any(pace and pace.models > 1 for pace in (paces or {}).values())
    columns = ["architecture", ">parameters", ">tasks", ">cells"]
    if missing is not None:
        columns += [">to train", ">at once", ">time"] if has_populations else [">to train", ">time"]
    rows = table("Architectures", *columns)
    tuning = len(plan.suite.learning_rates) * plan.suite.tuning_seeds if plan.searches else 0
    cells_per_pair = plan.suite.seeds + tuning
    for spec in plan.architectures:
        pairs = [pair for pair in plan.pairs if pair.architecture == spec]
        row: list[str | Text] = [str(spec), _parameters(spec, plan), str(len(pairs)), str(cells_per_pair * len(pairs))]
        if missing is not None:
            pair_paces = {pair: pace for pair, pace in (paces or {}).items() if pair in pairs}
            row.append(str(sum(missing[_group_key(pair)] for pair in pairs)))
            if has_populations:
                row.append(_population_sizes(pair_paces))
            row.append(_time(pair_paces, missing, plan.suite.samples))
        rows.add_row(*row)
    return rows


def _parameters(spec: Spec, plan: Plan) -> str:
    sizes = sorted(pair.parameters for pair in plan.pairs if pair.architecture == spec and pair.parameters)
    if not sizes:
        return "unknown"
    return f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"


def _population_sizes(paces: Paces) -> str:
    sizes = sorted({pace.models for pace in paces.values() if pace})
    if not sizes:
        return ""
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def _time(paces: Paces, missing: Counter[GroupKey], samples: int) -> Text:
    return Text("raises", "red") if None in paces.values() else Text(duration(_seconds(paces, missing, samples)))


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
