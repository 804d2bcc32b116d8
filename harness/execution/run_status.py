"""The status of a run: which cells of the plan have records in the folder, and the jobs that remain."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.config.cell import TUNING_SEED, Cell, Group, GroupKey, make_groups
from harness.config.recipe import Recipe
from harness.config.suite import Suite
from harness.errors import UserError
from harness.execution.job import Job
from harness.execution.plan import Plan, Variant
from harness.execution.run_options import RunOptions, Stale
from harness.registry.options import Spec
from harness.storage.folder import RunFolder
from harness.storage.summaries import Summary
from harness.training.code_version import cell_fingerprints
from harness.training.custom import custom_fingerprints

VariantsByTask = Mapping[tuple[Spec, Recipe], tuple[Variant, ...]]


@dataclass
class RunStatus:
    """The cells of a plan by status: done, failed or to train.

    The code of ``stale`` cells has changed since they were trained. They are also in one of the other lists.
    """

    done: list[Cell] = field(default_factory=list)
    stale: list[Cell] = field(default_factory=list)
    failed: list[Cell] = field(default_factory=list)
    to_train: list[Cell] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {"done": self.done, "failed": self.failed, "to train": self.to_train}
        parts = ", ".join(f"{len(cells)} {status}" for status, cells in counts.items() if cells)
        stale = f"; {len(self.stale)} trained with code that has changed since" if self.stale else ""
        total = sum(map(len, counts.values()))
        return f"{total} cell{'s' if total != 1 else ''}, {parts}{stale}"


def stored_cells(plan: Plan, folder: RunFolder) -> list[Cell]:
    """Return the cells of the plan as the folder has them.

    Older records have options at their default in their ids. Such a cell is returned with its options as written, if
    the folder has a record or a snapshot of it and no record under the id that it has now.
    """
    in_snapshots = {cell for group in folder.snapshots.groups() for cell in group}

    def is_stored(cell: Cell) -> bool:
        return folder.summaries.of(cell) is not None or cell.id in in_snapshots

    def stored(cell: Cell) -> Cell:
        if not cell.has_defaults_written or is_stored(cell):
            return cell
        return cell.as_written() if is_stored(cell.as_written()) else cell

    return [stored(cell) for cell in plan.cells]


def run_status(plan: Plan, folder: RunFolder, stale: Stale | None = None, retry_failed: bool = False) -> RunStatus:
    """Sort the plan's cells by status. By default stale cells of plug-ins are trained again, others are kept."""
    status, code = RunStatus(), _CodeVersions()
    for cell in stored_cells(plan, folder):
        summary = folder.summaries.of(cell)
        is_stale = summary is not None and code[cell.group_key] != summary.fingerprints
        if is_stale:
            status.stale.append(cell)
        rerun = is_stale and (stale == "rerun" or (stale is None and runs_user_code(cell)))
        cause = summary.cause if summary else None
        retried = cause == "machine" or (cause == "model" and retry_failed)
        if summary is None or rerun or retried:
            status.to_train.append(cell)
        elif cause:
            status.failed.append(cell)
        else:
            status.done.append(cell)
    if stale == "fail" and status.stale:
        raise UserError(
            f"cells trained with code that has changed since: {len(status.stale)}, the first is {status.stale[0]}; "
            "use --stale keep or --stale rerun"
        )
    return status


class _CodeVersions(dict[GroupKey, dict[str, str]]):
    """The fingerprints of the current code, computed once for all cells of an architecture, task and recipe."""

    def __missing__(self, key: GroupKey) -> dict[str, str]:
        self[key] = cell_fingerprints(Cell(*key, learning_rate=0.0, seed=0))
        return self[key]


def make_jobs(plan: Plan, folder: RunFolder, status: RunStatus, options: RunOptions) -> list[Job]:
    """Return the jobs that train the missing cells, then the jobs that only evaluate.

    With a time budget the most informative cells are first: one seed of each pair, at the middle learning rate.
    """
    samples, groups = plan.suite.samples, make_groups(status.to_train, options.population)
    if options.budget is not None:
        groups.sort(key=lambda group: not any(_is_informative(cell, plan.suite) for cell in group.cells))
    training = [_job(group, plan.variants, folder, samples, options, train=True) for group in groups]
    return training + evaluation_jobs(status.done, plan.variants, folder, samples, options)


def _is_informative(cell: Cell, suite: Suite) -> bool:
    """Whether a cell is the first one of its pair to train: it has the first seed and the middle learning rate."""
    rates = sorted(suite.learning_rates)
    if cell.seed >= TUNING_SEED:
        return cell.seed == TUNING_SEED + suite.first_seed and cell.learning_rate == rates[len(rates) // 2]
    return cell.seed == suite.first_seed


def evaluation_jobs(
    cells: Iterable[Cell], variants: VariantsByTask, folder: RunFolder, samples: int, options: RunOptions
) -> list[Job]:
    """Return jobs for the trained cells that lack an evaluation."""
    known: dict[Hashable, bool] = {}  # most cells of a task have the same evaluations

    def lacks_one(cell: Cell) -> bool:
        summary = folder.summaries.of(cell)
        assert summary is not None
        key = cell.task, cell.recipe, summary.checkpoints, summary.evaluated
        if key not in known:
            known[key] = lacks(summary, variants[cell.task, cell.recipe], samples)
        return known[key]

    groups = make_groups(filter(lacks_one, cells), options.population)
    return [_job(group, variants, folder, samples, options, train=False) for group in groups]


def _job(
    group: Group, variants: VariantsByTask, folder: RunFolder, samples: int, options: RunOptions, *, train: bool
) -> Job:
    task_variants = variants[group.first.task, group.first.recipe]
    return Job(group.cells, task_variants, samples, folder, options.device, train, options.numerics)


def lacks(summary: Summary, variants: Sequence[Variant], samples: int) -> bool:
    """Whether a trained cell has no record of any of the evaluations."""
    return any(
        not variant.is_in(summary.evaluated, length, step, samples)
        for variant in variants
        for length in variant.lengths
        for step in summary.checkpoints
    )


def runs_user_code(cell: Cell) -> bool:
    """Whether a cell is of a plug-in, or its recipe names code of the user."""
    return bool(custom_fingerprints(cell.recipe)) or any(spec.entry.origin == "plug-in" for spec in cell.specs)
