"""What a run would do and how long it would take: the plan, what the folder already has, and measured step times."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from harness.bench.time_estimate import Pace, pace_of, scored_symbols
from harness.config.cell import GroupKey
from harness.execution.job import error_text
from harness.execution.plan import Pair, Plan
from harness.execution.progress import duration
from harness.execution.rate_search import with_chosen_rates
from harness.execution.run_options import RunOptions
from harness.execution.run_status import RunStatus, run_status
from harness.registry.user_code import contained
from harness.report.number_format import plural
from harness.storage.folder import RunFolder

Paces = dict[Pair, Pace | str]
"""The measured pace of each pair, or the error that its model raises."""


@dataclass(frozen=True)
class Preview:
    """The plan of a run next to its folder.

    Attributes:
        missing: cells to train by group; those whose learning rate is not chosen yet are included.
        paces: of the pairs with cells to train.
    """

    plan: Plan
    output: Path
    options: RunOptions
    status: RunStatus
    missing: Counter[GroupKey]
    paces: Paces

    @classmethod
    def of(cls, plan: Plan, output: Path, options: RunOptions, console: Console) -> "Preview":
        """Read the folder and measure a few steps of each pair; ``console`` shows the progress. Nothing is written."""
        options, folder = options.resolved(), RunFolder(output)
        folder.check(plan.suite.name)
        plan = with_chosen_rates(plan, folder)
        status = run_status(plan, folder, options.stale, options.retry_failed)
        missing = Counter(cell.canonical_form().group_key for cell in status.to_train)
        missing.update({group_key(pair): plan.suite.seeds for pair in plan.pairs if not plan.reported_cells(pair)})
        return cls(plan, output, options, status, missing, _measure(plan, missing, options, console))

    @cached_property
    def errors(self) -> list[str]:
        """One line for each pair whose model raises an error."""
        failed = ((pair, pace) for pair, pace in self.paces.items() if isinstance(pace, str))
        return [f"{pair.architecture} on {pair.task.task} {error}" for pair, error in failed]

    @property
    def groups(self) -> int:
        """The number of populations to train."""
        return sum(ceil(count / self.options.population) for count in self.missing.values())

    @property
    def models(self) -> int:
        """The number of models to train."""
        return self.missing.total()

    def seconds_of(self, paces: Paces) -> float:
        """Return the seconds to train and score all missing cells of these pairs, one group after another."""
        samples, measured = self.plan.suite.samples, [p for p in paces.items() if isinstance(p[1], Pace)]
        return sum(
            pace.total(self.missing[group_key(pair)], pair.task.recipe.steps, scored_symbols(pair.task, samples))
            for pair, pace in measured
            if isinstance(pace, Pace)
        )

    @property
    def seconds(self) -> float:
        """The estimated seconds of the run with its workers."""
        workers = min(self.options.worker_count, self.groups) if self.options.device == "cpu" else 1
        return self.seconds_of(self.paces) / max(1, workers)

    @property
    def stops(self) -> bool:
        """Whether models that fit stop early, so that the estimate is an upper bound."""
        return any(task.recipe.stop_when_fitted for task in self.plan.tasks)

    def __str__(self) -> str:
        return total_text(self.groups, self.seconds, self.stops, self.options)


def total_text(groups: int, seconds: float, stops: bool, options: RunOptions) -> str:
    """Return the sentence on all groups; ``stops`` says that fitted models stop early."""
    size, device = options.population, options.device
    models = f" of at most {size} models, halved where memory runs out," if size > 1 else ""
    return (
        f"{plural(groups, 'group')}{models} to train and evaluate on {device} with "
        f"{plural(options.worker_count, 'worker')}: {time_text(seconds, stops)}, as measured just now."
    )


def time_text(seconds: float, stops: bool) -> str:
    """Return an estimated time in words."""
    return f"at most about {duration(seconds)}, less where models fit early" if stops else f"about {duration(seconds)}"


def group_key(pair: Pair) -> GroupKey:
    """Return the key of the groups of a pair's cells."""
    return pair.architecture, pair.task.task, pair.task.recipe


def _measure(plan: Plan, missing: Counter[GroupKey], options: RunOptions, console: Console) -> Paces:
    """Measure the pace of each pair that has cells to train, in one thread as a worker does."""
    torch.set_num_threads(1)
    pairs = [pair for pair in plan.pairs if missing[group_key(pair)]]
    tracked = track(pairs, "measuring steps", console=console, transient=True, disable=not console.is_terminal)
    return {pair: _pace(pair, min(missing[group_key(pair)], options.population), options) for pair in tracked}


def _pace(pair: Pair, models: int, options: RunOptions) -> Pace | str:
    try:
        with options.numerics.applied(), contained():
            return pace_of(pair, options.device, options.numerics, models)
    except Exception as error:  # the run itself records it
        return error_text(error)
