"""Executes a plan and writes its records, for the commands ``run`` and ``evaluate``."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.config.cell import SCHEMA, Cell, GroupKey
from harness.data.presentation import Presentation
from harness.encoding import encodable, repaired
from harness.errors import UserError
from harness.evaluation.carried import can_carry
from harness.execution.job import Emit, Event, Job, ignore
from harness.execution.launchers import Launcher, opened
from harness.execution.parameter_matching import build_unallocated
from harness.execution.plan import Plan, Variant
from harness.execution.progress import Display
from harness.execution.rate_search import with_chosen_rates
from harness.execution.recorded_code import stored_cell
from harness.execution.run_options import RunOptions
from harness.execution.run_status import RunStatus, evaluation_jobs, make_jobs, run_status, stored_cells
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task, defaults_of
from harness.storage.folder import RunFolder
from harness.storage.packed import FILE
from harness.storage.provenance import provenance
from harness.storage.records import EvaluationRecord, PlannedCells, RunRecord, SuiteRecord

PACKED_FROM = 1000
"""Cells with JSON files of their own from which on a run that has ended packs its records."""


@dataclass(frozen=True)
class Outcome:
    """Result of a run: the status of its cells before it, and how many cells failed in it or before it.

    With several learning rates these are the cells whose rate was known.
    """

    before: RunStatus
    failed: int


@dataclass(frozen=True)
class EvaluationRequest:
    """Further lengths at which trained cells are evaluated.

    Attributes:
        variant: name of the variant in tables; empty for the cells' own task.
        task: spec of the variant; empty for each cell's own task.
        lengths: of the test sets.
        carried: tokens of other questions before each question; models without a state to carry are left out.
    """

    variant: str
    task: str
    lengths: tuple[int, ...]
    carried: int = 0

    def variant_for(self, cell: Cell) -> Variant | None:
        """Return the variant for a cell's task; ``None`` where task, alphabet or lengths do not allow it."""
        spec = Spec.parse("task", self.task, cell.task.catalog) if self.task else cell.task.canonical()
        task = build_task(spec)
        if spec.name != cell.task.name or task.symbols != build_task(cell.task).symbols:
            return None
        lengths = tuple(length for length in self.lengths if length in task.lengths)
        return Variant(self.variant, spec, lengths, self.carried) if lengths else None


def execute(
    plan: Plan, output: Path, options: RunOptions, console: Console | None = None, listener: Emit = ignore
) -> Outcome:
    """Train and evaluate the cells of a plan that have no record yet; finished cells are kept.

    With several learning rates, the tuning cells come first, then the cells with the rates that they chose. A
    ``listener`` gets each event of the workers, after the display.
    """
    console, folder = console or Console(), RunFolder(output)
    folder.check(plan.suite.name)
    for note in plan.notes:
        _print(f"Note: {note}.", console)
    with opened(options) as launcher, folder.locked() as taken_over:
        if taken_over:
            _print(f"Note: {taken_over}.", console)
        outcome = _execute(plan, folder, launcher, console, listener)
        _pack_many(RunFolder(output), console)
        return outcome


def _pack_many(folder: RunFolder, console: Console) -> None:
    """Pack the records of a run with many cells, because file systems of clusters are slow with many small files."""
    if (cells := folder.loose_cells()) < PACKED_FROM:
        return
    try:
        folder.pack(folder.path)
        _print(f"The records of {cells:,} cells are packed into {folder.path / FILE}; weights stay.", console)
    except UserError as error:  # they stay as they are
        _print(f"The records are not packed: {error}.", console)


def _execute(plan: Plan, folder: RunFolder, launcher: Launcher, console: Console, listener: Emit) -> Outcome:
    before = with_chosen_rates(plan, folder)
    outcome = _execute_known(before, folder, launcher, console, listener)
    folder = RunFolder(folder.path)  # with the records that were written
    after = with_chosen_rates(plan, folder)
    if after.chosen_rates == before.chosen_rates:
        return outcome
    _print(f"Learning rates are chosen for {len(after.chosen_rates)} of {len(plan.pairs)} pairs.", console)
    return replace(outcome, failed=_execute_known(after, folder, launcher, console, listener).failed)


def _execute_known(plan: Plan, folder: RunFolder, launcher: Launcher, console: Console, listener: Emit) -> Outcome:
    """Train and evaluate the cells of a plan whose learning rates are known."""
    options = launcher.options
    status = run_status(plan, folder, options.stale, options.retry_failed)
    with options.numerics.applied():
        folder.open(_run_record(plan, options, stored_cells(plan, folder)))
    _print(f"Suite {plan.suite.name}, records in {folder.path}: {status}.", console)
    jobs = make_jobs(plan, folder, status, options)
    groups = ([cell.id for cell in job.cells] for job in jobs if job.train)
    for message in folder.snapshots.remove_unusable(groups):
        _print(message, console)
    failed = _launch(jobs, launcher, console, listener)
    return Outcome(status, failed + len(status.failed))


def remaining_text(plan: Plan, output: Path) -> str:
    """Say how many cells of a plan have no record yet, and how to go on."""
    folder = RunFolder(output)
    known = with_chosen_rates(plan, folder)
    later = sum(plan.suite.seeds for pair in plan.pairs if not known.reported_cells(pair))
    count = len(run_status(known, folder).to_train) + later
    return f"{count} model{'s' * (count != 1)} to train remain; give the same command again to go on"


def evaluate(
    output: Path,
    requests: Sequence[EvaluationRequest],
    options: RunOptions,
    catalog: Catalog,
    samples: int | None = None,
    console: Console | None = None,
) -> int:
    """Evaluate the trained cells of a folder at more lengths or variants; return the number of failures.

    ``samples`` are the rows of each test set; without it, those of the suite.
    """
    folder = RunFolder(output)
    run = folder.recorded_run()
    cells = [cell for cell in (stored_cell(folder, cell_id, catalog) for cell_id in folder.cell_ids()) if cell]
    if not cells:
        raise UserError(f"{output} holds no trained cell; finish its run first")
    console = console or Console()
    if any(request.carried for request in requests):
        cells = _with_state(cells, console)
    variants = {(cell.task, cell.recipe): _variants_for(cell, requests) for cell in cells}
    evaluable = [cell for cell in cells if variants[cell.task, cell.recipe]]
    if not evaluable:
        raise UserError(
            f"{output}: no trained cell can be evaluated on this; give a variant of a trained task with the same "
            "alphabet, and lengths that it has"
        )
    if any(request.variant for request in requests):
        for cell in evaluable:
            _check_names(folder.cell(cell.id).evaluations, variants[cell.task, cell.recipe])
    with opened(options) as launcher, folder.locked():
        jobs = evaluation_jobs(evaluable, variants, folder, samples or run.suite.samples, launcher.options)
        return _launch(jobs, launcher, console)


def _check_names(records: Sequence[EvaluationRecord], variants: Sequence[Variant]) -> None:
    """Raise :class:`UserError` if a variant has the name of another one in the records; a report would mix the two."""
    tasks = {variant.name: variant.task for variant in variants if variant.name}
    for record in records:
        task = tasks.get(record.variant)
        if task and Spec.parse("task", record.task, task.catalog) != task:
            raise UserError(
                f"variant {record.variant!r} of this run is {record.task}, not {task}; choose another --variant"
            )


def _with_state(cells: Sequence[Cell], console: Console) -> list[Cell]:
    """Return the cells whose models have a state to carry, and say which architectures have none."""
    has_state = {
        (cell.architecture, cell.task): can_carry(
            build_unallocated(cell.architecture, Presentation.of(cell.task, cell.recipe).symbols)
        )
        for cell in cells
    }
    without = sorted({str(architecture) for (architecture, _), has in has_state.items() if not has})
    reason = f"{', '.join(without)} read a source as a whole, so there is no state to carry"
    if not any(has_state.values()):
        raise UserError(f"carried: {reason}; it needs models that read token by token, such as lstm or transformer")
    if without:
        _print(f"Note: {reason}; left out.", console)
    return [cell for cell in cells if has_state[cell.architecture, cell.task]]


def _variants_for(cell: Cell, requests: Sequence[EvaluationRequest]) -> tuple[Variant, ...]:
    return tuple(variant for variant in (request.variant_for(cell) for request in requests) if variant)


def _print(line: str, console: Console) -> None:
    console.print(encodable(line, console.encoding), markup=False, highlight=False, soft_wrap=True)


def _launch(jobs: list[Job], launcher: Launcher, console: Console, listener: Emit = ignore) -> int:
    """Run the jobs and return how many cells failed."""

    def emit(event: Event) -> None:
        display.show(event)
        listener(event)

    with Display(jobs, console) as display:
        launcher.launch(jobs, emit)
    return display.failed


def _run_record(plan: Plan, options: RunOptions, cells: Sequence[Cell]) -> RunRecord:
    return RunRecord(
        schema_version=SCHEMA,
        suite=SuiteRecord.model_validate(plan.suite.model_dump()),
        cells=[cell.id for cell in cells],
        planned=_planned(cells),
        # With the options at their default, because [model] of the suite may set them for the other architectures.
        not_applicable=[
            (str(pair.architecture.as_written()), str(pair.task.task), pair.obstacle) for pair in plan.not_applicable
        ],
        notes=plan.notes,
        plugin_defaults=_plugin_defaults(plan),
        command=repaired(shlex.join(["lengthwise", *sys.argv[1:]])),
        provenance=provenance(options.device, options.numerics),
    )


def _planned(cells: Sequence[Cell]) -> list[PlannedCells]:
    """Return what the cells of a plan are, by architecture, task and recipe."""
    groups: dict[GroupKey, PlannedCells] = {}
    for cell in cells:
        if cell.group_key not in groups:
            values = cell.canonical()
            shared = {name: values[name] for name in ("architecture", "task", "recipe")}
            groups[cell.group_key] = PlannedCells(**shared, cells={})
        groups[cell.group_key].cells[cell.id] = cell.learning_rate, cell.seed
    return list(groups.values())


def _plugin_defaults(plan: Plan) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the defaults of the options of each plug-in of a plan by kind and name."""
    specs = [*plan.architectures, *(planned.task for planned in plan.tasks)]
    defaults: dict[str, dict[str, dict[str, Any]]] = {}
    for spec in specs:
        if spec.entry.origin == "plug-in":
            defaults.setdefault(spec.kind, {})[spec.name] = defaults_of(spec.entry)
    return defaults
