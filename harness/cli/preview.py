"""``lengthwise run --dry-run``: the plan as tables, and the time it takes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from harness.catalog import Catalog
from harness.cell import group
from harness.cli.estimate import seconds_per_step
from harness.cli.page import table
from harness.launch.jobs import Stale, Standing, standing
from harness.launch.local import default_workers, resolve_device
from harness.launch.progress import duration
from harness.numerics import Numerics
from harness.options import Spec, build_task
from harness.plan import Plan, Question
from harness.recipe import Recipe
from harness.run import population_of
from harness.store.folder import RunFolder

Pair = tuple[Spec, Question]
Kin = tuple[Spec, Spec, Recipe]
Seconds = dict[Pair, float | None]
"""The time to train a pair's missing cells; None where its model raises."""


def preview(
    plan: Plan,
    output: Path,
    device: str,
    numerics: Numerics,
    workers: int | None,
    stale: Stale | None,
    retry_failed: bool,
    out: Console,
) -> None:
    """Print what a run would do; nothing is written."""
    device, folder = resolve_device(device), RunFolder(output)
    folder.check(plan.suite.name)
    state = standing(plan, folder, stale, retry_failed)
    missing = Counter(cell.kin for cell in state.to_train)
    seconds = _measure(plan, missing, device, numerics, out)
    out.print(f"Suite {plan.suite.name}, records in {output}: {state}.", soft_wrap=True)
    for each in (tasks_table(plan), architectures_table(plan, missing, seconds), _not_applicable(plan), _notes(plan)):
        if each.row_count:
            out.print(each)
    out.print(f"\n{_total(state, seconds, workers or default_workers(device), device)}")


def _total(state: Standing, seconds: Seconds, workers: int, device: str) -> str:
    size = population_of(device)
    groups = len(group(state.to_train, size))
    each = sum(known for known in seconds.values() if known is not None)
    time = duration(each / max(1, min(workers, groups)))
    plural = "s" if workers > 1 else ""
    measured = "by steps measured just now, evaluation aside"
    models = f" of at most {size} models, halved where memory runs out," if size > 1 else ""
    return f"{groups} groups{models} to train on {device} with {workers} worker{plural}: about {time}, {measured}."


def _measure(plan: Plan, missing: Counter[Kin], device: str, numerics: Numerics, out: Console) -> Seconds:
    """Time each pair that has cells to train, in one thread as a worker does."""
    torch.set_num_threads(1)
    pairs = [pair for pair in dict.fromkeys(plan.pairs) if missing[_kin(pair)]]
    shown = track(pairs, "measuring steps", console=out, transient=True, disable=not out.is_terminal)
    return {pair: _seconds(pair, missing[_kin(pair)], plan.catalog, device, numerics) for pair in shown}


def _seconds(pair: Pair, cells: int, catalog: Catalog, device: str, numerics: Numerics) -> float | None:
    try:
        with numerics.settled():
            each = seconds_per_step(*pair, catalog, device, numerics)
    except Exception:  # the run itself will record why
        return None
    return each * pair[1].recipe.steps * len(range(0, cells, population_of(device)))


def _kin(pair: Pair) -> Kin:
    spec, question = pair
    return spec, question.task, question.recipe


def tasks_table(plan: Plan) -> Table:
    """Return how each task is asked, and where."""
    made = table("Tasks", "task", "asked as", ">trained on", "tested beyond at", ">steps", ">batch")
    for question in plan.questions:
        recipe, (main, *variants) = question.recipe, question.variants
        beyond = [length for length in main.lengths if length > recipe.span[1]]
        trained, steps = recipe.train_lengths.replace(":", " to "), f"{recipe.steps:,}"
        way = _way(question, plan.catalog)
        made.add_row(str(question.task), way, trained, _grid(beyond), steps, str(recipe.batch_size))
        for variant in variants:
            made.add_row(f"  {variant.name}: {variant.task}", "", "", _grid(variant.lengths))
    return made


def _way(question: Question, catalog: Catalog) -> str:
    recipe = question.recipe
    way = recipe.answer or build_task(question.task, catalog).answer
    return f"{way}, think {recipe.think}" if recipe.think else way


def _grid(lengths: Sequence[int]) -> str:
    if len(lengths) <= 5:
        return ", ".join(map(str, lengths))
    return f"{lengths[0]}, {lengths[1]}, ... {lengths[-1]} ({len(lengths)} lengths)"


def architectures_table(plan: Plan, missing: Counter[Kin] | None = None, seconds: Seconds | None = None) -> Table:
    """Return the size of each architecture and, where known, what is left to train of it and the time it takes."""
    todo = [">to train", ">training time"] if missing is not None else []
    made = table("Architectures", "architecture", ">parameters", ">tasks", ">cells", *todo)
    each_pair = plan.suite.seeds * len(plan.suite.learning_rates)
    for spec in plan.architectures:
        pairs = [pair for pair in dict.fromkeys(plan.pairs) if pair[0] == spec]
        row: list[str | Text] = [str(spec), _parameters(spec, plan), str(len(pairs)), str(each_pair * len(pairs))]
        if missing is not None:
            row += [str(sum(missing[_kin(pair)] for pair in pairs)), _time(pairs, seconds or {})]
        made.add_row(*row)
    return made


def _parameters(spec: Spec, plan: Plan) -> str:
    sizes = sorted(size for (architecture, _), size in plan.sizes.items() if architecture == spec)
    if not sizes:
        return "unknown"
    return f"{sizes[0]:,}" if sizes[0] == sizes[-1] else f"{sizes[0]:,} to {sizes[-1]:,}"


def _time(pairs: list[Pair], seconds: Seconds) -> Text:
    known = [seconds[pair] for pair in pairs if pair in seconds]
    return Text("raises", "red") if None in known else Text(duration(sum(each or 0 for each in known)))


def _not_applicable(plan: Plan) -> Table:
    made = table("Not applicable", "architecture", "task", "because")
    for architecture, task, reason in plan.not_applicable:
        made.add_row(str(architecture), str(task), reason)
    return made


def _notes(plan: Plan) -> Table:
    made = table("Notes", "")
    made.show_header = False
    for note in plan.notes:
        made.add_row(note)
    return made
