"""A run from plan to records: what the commands ``run`` and ``evaluate`` do."""

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.config.cell import SCHEMA, Cell, cell_of
from harness.errors import UserError
from harness.execution.job import Job
from harness.execution.plan import Plan, Variant
from harness.execution.pool import default_workers, launch, resolve_device
from harness.execution.progress import Display
from harness.execution.run_status import Stale, Standing, evaluation_jobs, make_jobs, standing
from harness.models.precision import FLOAT32, Numerics
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from harness.storage.folder import RunFolder, check_schema
from harness.storage.provenance import provenance
from harness.storage.records import RunRecord

GPU_POPULATION = 64
"""The most models a GPU trains at once; a CPU trains one a core."""


@dataclass
class Outcome:
    """What came of a run: how its cells stood before, and how many failed in it."""

    before: Standing
    failed: int


def execute(
    plan: Plan,
    output: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    numerics: Numerics = FLOAT32,
    plugins: tuple[Path, ...] = (),
    stale: Stale | None = None,
    retry_failed: bool = False,
    console: Console | None = None,
) -> Outcome:
    """Train and evaluate what is missing of a plan; finished cells are kept whatever happens."""
    device = resolve_device(device)
    folder, console = RunFolder(output), console or Console()
    folder.check(plan.suite.name)
    state = standing(plan, folder, stale, retry_failed)
    with numerics.settled():
        folder.open(_run_record(plan, device, numerics))
    console.print(f"Suite {plan.suite.name}, records in {output}: {state}.", highlight=False, soft_wrap=True)
    jobs = make_jobs(plan, folder, state, device, plugins, population_of(device), numerics)
    for line in folder.snapshots.sweep([cell.id for cell in job.cells] for job in jobs if job.train):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    failed = _do(jobs, workers or default_workers(device), console)
    return Outcome(state, failed + len(state.failed))


def evaluate(
    output: Path,
    variants: list[tuple[str, str, list[int]]],
    *,
    device: str = "auto",
    workers: int | None = None,
    numerics: Numerics = FLOAT32,
    samples: int | None = None,
    plugins: tuple[Path, ...] = (),
    console: Console | None = None,
) -> int:
    """Evaluate the trained cells of a folder at more lengths or variants; return the number of failures.

    ``variants`` are (variant name, task spec or empty for each cell's own task, lengths).
    """
    device, folder, catalog = resolve_device(device), RunFolder(output), Catalog(plugins)
    run = folder.run()
    if run is None:
        raise UserError(f"{output} holds no run; train one first: lengthwise run --output {output}")
    check_schema(run, output)
    cells = [cell for cell in (stored_cell(folder, each, catalog) for each in folder.known()) if cell]
    if not cells:
        raise UserError(f"{output} holds no trained cell yet")
    wanted = {(cell.task, cell.recipe): _variants_for(cell, variants, catalog) for cell in cells}
    common = {
        "samples": samples or run.suite["samples"],
        "folder": output,
        "plugins": plugins,
        "device": device,
        "numerics": numerics,
    }
    able = [cell for cell in cells if wanted[cell.task, cell.recipe]]
    if not able:
        raise UserError(f"{output}: no trained cell can take that; it needs the same task, alphabet and lengths it has")
    jobs = evaluation_jobs(able, wanted, folder, population_of(device), common)
    return _do(jobs, workers or default_workers(device), console or Console())


def stored_cell(folder: RunFolder, cell_id: str, catalog: Catalog) -> Cell | None:
    """Return the cell of a finished record, None where there is none."""
    record = folder.training(cell_id)
    return cell_of(record.cell, catalog) if record else None


def _variants_for(cell: Cell, variants: list[tuple[str, str, list[int]]], catalog: Catalog) -> tuple[Variant, ...]:
    found = []
    for name, text, lengths in variants:
        spec = Spec.parse("task", text, catalog) if text else cell.task
        if spec.name == cell.task.name and build_task(spec, catalog).symbols == build_task(cell.task, catalog).symbols:
            own = build_task(spec, catalog).lengths
            found.append(Variant(name, spec, tuple(length for length in lengths if length in own)))
    return tuple(variant for variant in found if variant.lengths)


def population_of(device: str) -> int:
    """Return the most models that are trained at once on a device."""
    return GPU_POPULATION if device.startswith("cuda") else 1


def _do(jobs: list[Job], workers: int, console: Console) -> int:
    with Display(jobs, console) as display:
        launch(jobs, workers, display.tell)
    return display.failed


def _run_record(plan: Plan, device: str, numerics: Numerics) -> RunRecord:
    return RunRecord(
        schema_version=SCHEMA,
        suite=plan.suite.model_dump(),
        cells=[cell.id for cell in plan.cells],
        not_applicable=[(str(a), str(t), why) for a, t, why in plan.not_applicable],
        notes=plan.notes,
        command=" ".join(["lengthwise", *sys.argv[1:]]),
        provenance=provenance(device, numerics),
    )
