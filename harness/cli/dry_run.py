"""``lengthwise run --dry-run``: the plan as tables, and the time it takes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from harness.bench.time_estimate import Pace, pace_of
from harness.cli.console import table
from harness.config.cell import make_groups
from harness.config.recipe import Recipe
from harness.execution.plan import Pair, Plan, PlannedTask
from harness.execution.progress import duration
from harness.execution.run_options import RunOptions
from harness.execution.run_status import RunStatus, run_status
from harness.registry.options import Spec, build_task
from harness.storage.folder import RunFolder

Kin = tuple[Spec, Spec, Recipe]
Paces = dict[Pair, Pace | None]
"""How fast a pair's missing cells are trained; None where its model raises."""


def preview(plan: Plan, output: Path, options: RunOptions, out: Console) -> None:
    """Print what a run would do; nothing is written."""
    options, folder = options.resolved(), RunFolder(output)
    folder.check(plan.suite.name)
    state = run_status(plan, folder, options.stale, options.retry_failed)
    missing = Counter(cell.group_key for cell in state.to_train)
    paces = _measure(plan, missing, options, out)
    out.print(f"Suite {plan.suite.name}, records in {output}: {state}.", soft_wrap=True)
    for each in (tasks_table(plan), architectures_table(plan, missing, paces), _not_applicable(plan), _notes(plan)):
        if each.row_count:
            out.print(each)
    out.print(f"\n{_total(state, _seconds(paces, missing), options)}")


def _total(state: RunStatus, seconds: float, options: RunOptions) -> str:
    size, workers, device = options.population, options.worker_count, options.device
    groups = len(make_groups(state.to_train, size))
    time = duration(seconds / max(1, min(workers, groups) if device == "cpu" else 1))
    plural = "s" if workers > 1 else ""
    measured = "by steps measured just now, evaluation aside"
    models = f" of at most {size} models, halved where memory runs out," if size > 1 else ""
    return f"{groups} groups{models} to train on {device} with {workers} worker{plural}: about {time}, {measured}."


def _measure(plan: Plan, missing: Counter[Kin], options: RunOptions, out: Console) -> Paces:
    """Time each pair that has cells to train, in one thread as a worker does."""
    torch.set_num_threads(1)
    pairs = [pair for pair in plan.pairs if missing[_kin(pair)]]
    shown = track(pairs, "measuring steps", console=out, transient=True, disable=not out.is_terminal)
    return {pair: _pace(pair, min(missing[_kin(pair)], options.population), options) for pair in shown}


def _pace(pair: Pair, models: int, options: RunOptions) -> Pace | None:
    try:
        with options.numerics.applied():
            return pace_of(pair, options.device, options.numerics, models)
    except Exception:  # the run itself will record why
        return None


def _seconds(paces: Paces, missing: Counter[Kin]) -> float:
    """Return the seconds to train all missing cells of these pairs, one group after another."""
    known = ((pair, pace) for pair, pace in paces.items() if pace is not None)
    return sum(pace.training(missing[_kin(pair)], pair.task.recipe.steps) for pair, pace in known)


def _kin(pair: Pair) -> Kin:
    return pair.architecture, pair.task.task, pair.task.recipe


def tasks_table(plan: Plan) -> Table:
    """Return how each task is asked, and where."""
    made = table("Tasks", "task", "asked as", ">trained on", "tested beyond at", ">steps", ">batch")
    for planned in plan.tasks:
        recipe, (main, *variants) = planned.recipe, planned.variants
        beyond = [length for length in main.lengths if length > recipe.train_lengths.high]
        trained, steps = f"{recipe.train_lengths.low} to {recipe.train_lengths.high}", f"{recipe.steps:,}"
        way = _way(planned)
        made.add_row(str(planned.task), way, trained, _grid(beyond), steps, str(recipe.batch_size))
        for variant in variants:
            made.add_row(f"  {variant.name}: {variant.task}", "", "", _grid(variant.lengths))
    return made


def _way(planned: PlannedTask) -> str:
    recipe = planned.recipe
    way = recipe.answer or build_task(planned.task).answer
    return f"{way}, think {recipe.think}" if recipe.think else way


def _grid(lengths: Sequence[int]) -> str:
    if len(lengths) <= 5:
        return ", ".join(map(str, lengths))
    return f"{lengths[0]}, {lengths[1]}, ... {lengths[-1]} ({len(lengths)} lengths)"


def architectures_table(plan: Plan, missing: Counter[Kin] | None = None, paces: Paces | None = None) -> Table:
    """Return the size of each architecture and, where known, what is left to train of it and the time it takes."""
    together = any(pace and pace.models > 1 for pace in (paces or {}).values())
    todo = [">to train", *[">at once"] * together, ">training time"] if missing is not None else []
    made = table("Architectures", "architecture", ">parameters", ">tasks", ">cells", *todo)
    each_pair = plan.suite.seeds * len(plan.suite.learning_rates)
    for spec in plan.architectures:
        pairs = [pair for pair in plan.pairs if pair.architecture == spec]
        row: list[str | Text] = [str(spec), _parameters(spec, plan), str(len(pairs)), str(each_pair * len(pairs))]
        if missing is not None:
            own = {pair: pace for pair, pace in (paces or {}).items() if pair in pairs}
            row += [str(sum(missing[_kin(pair)] for pair in pairs)), *[_at_once(own)] * together, _time(own, missing)]
        made.add_row(*row)
    return made


def _parameters(spec: Spec, plan: Plan) -> str:
    sizes = sorted(pair.parameters for pair in plan.pairs if pair.architecture == spec and pair.parameters)
    if not sizes:
        return "unknown"
    return f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"


def _at_once(paces: Paces) -> str:
    sizes = sorted({pace.models for pace in paces.values() if pace})
    return f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(*sizes)


def _time(paces: Paces, missing: Counter[Kin]) -> Text:
    return Text("raises", "red") if None in paces.values() else Text(duration(_seconds(paces, missing)))


def _not_applicable(plan: Plan) -> Table:
    made = table("Not applicable", "architecture", "task", "because")
    for pair in plan.not_applicable:
        made.add_row(str(pair.architecture), str(pair.task.task), pair.obstacle)
    return made


def _notes(plan: Plan) -> Table:
    made = table("Notes", "")
    made.show_header = False
    for note in plan.notes:
        made.add_row(note)
    return made
