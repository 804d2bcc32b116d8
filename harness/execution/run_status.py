"""Which jobs are left: a plan held against what its folder already has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.config.cell import Cell, group
from harness.errors import UserError
from harness.execution.job import Job
from harness.execution.plan import Plan, Variant
from harness.models.precision import FLOAT32, Numerics
from harness.registry.fingerprint import fingerprint_of
from harness.storage.folder import RunFolder

Stale = Literal["keep", "rerun", "fail"]


@dataclass
class Standing:
    """The cells of a plan by what is to be done with them.

    ``stale`` cells were made with other code than today's; those to be kept count as done too.
    """

    done: list[Cell] = field(default_factory=list)
    stale: list[Cell] = field(default_factory=list)
    failed: list[Cell] = field(default_factory=list)
    to_train: list[Cell] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {"done": self.done, "failed": self.failed, "to train": self.to_train}
        parts = ", ".join(f"{len(cells)} {word}" for word, cells in counts.items() if cells)
        made = f"; {len(self.stale)} made with other code than today's" if self.stale else ""
        total = sum(map(len, counts.values()))
        return f"{total} cell{'s' if total != 1 else ''}, {parts}{made}"


def standing(plan: Plan, folder: RunFolder, stale: Stale | None = None, retry_failed: bool = False) -> Standing:
    """Sort the plan's cells. By default stale cells of plug-ins are trained again and built-in ones are kept."""
    result = Standing()
    for cell in plan.cells:
        record, failure = folder.training(cell.id), folder.failure(cell.id)
        old = record or failure
        changed = old is not None and _changed(cell, old.fingerprints, plan)
        if changed:
            result.stale.append(cell)
        again = changed and (stale == "rerun" or (stale is None and _from_plugin(cell, plan)))
        if old is None or again or (failure is not None and retry_failed):
            result.to_train.append(cell)
        elif failure is not None:
            result.failed.append(cell)
        else:
            result.done.append(cell)
    if stale == "fail" and result.stale:
        raise UserError(
            f"{len(result.stale)} cells were made with other code, first {result.stale[0]}; use --stale keep or rerun"
        )
    return result


def make_jobs(
    plan: Plan,
    folder: RunFolder,
    state: Standing,
    device: str,
    plugins: tuple[Path, ...],
    population: int,
    numerics: Numerics = FLOAT32,
) -> list[Job]:
    """Return the jobs that train what is missing, then those that only evaluate."""
    common = {
        "samples": plan.suite.samples,
        "folder": folder.path,
        "plugins": plugins,
        "device": device,
        "numerics": numerics,
    }
    training = [
        Job(each.cells, plan.variants[each.first.task, each.first.recipe], **common)  # type: ignore[arg-type]
        for each in group(state.to_train, population)
    ]
    return training + evaluation_jobs(state.done, plan.variants, folder, population, common)


def evaluation_jobs(
    cells: Iterable[Cell], variants: dict, folder: RunFolder, population: int, common: dict
) -> list[Job]:
    """Return jobs for the cells that lack an evaluation."""
    lacking = [c for c in cells if lacks(folder, c, variants[c.task, c.recipe], common["samples"])]
    return [
        Job(each.cells, variants[each.first.task, each.first.recipe], train=False, **common)
        for each in group(lacking, population)
    ]


def lacks(folder: RunFolder, cell: Cell, variants: Sequence[Variant], samples: int) -> bool:
    """Whether a trained cell lacks any of the evaluations."""
    record = folder.training(cell.id)
    assert record is not None
    there = {each.key for each in folder.evaluations(cell.id) if not each.raised}
    return any(
        variant.key(length, step, samples) not in there
        for variant in variants
        for length in variant.lengths
        for step in record.checkpoints
    )


def _changed(cell: Cell, fingerprints: dict[str, str], plan: Plan) -> bool:
    return any(
        fingerprints.get(spec.kind) != fingerprint_of(spec.kind, spec.name, dict(spec.options), plan.catalog)
        for spec in (cell.architecture, cell.task)
    )


def _from_plugin(cell: Cell, plan: Plan) -> bool:
    return any(plan.catalog.find(s.kind, s.name).origin == "plug-in" for s in (cell.architecture, cell.task))
