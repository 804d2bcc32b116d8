"""Loading of run folders into two frames: one row per cell, and one row per score.

Everything that is reported is computed from these frames only.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from harness.analysis.current_code import CurrentCode
from harness.analysis.fitting import first_solved
from harness.analysis.labels import add_recipes_to_labels, label_of_text, without_second_ids
from harness.analysis.schema import CELLS, SCORES, ReportMeta
from harness.analysis.versions import Labels, StoredCell, add_versions, by_identity, merge, version_notes
from harness.config.claims import Claim, with_canonical_specs
from harness.config.lengths import Span
from harness.errors import UserError
from harness.registry.catalog import PACKAGES, Catalog
from harness.registry.options import Spec, build_task, text_of
from harness.storage.cell_records import CellRecords
from harness.storage.folder import RunFolder
from harness.storage.records import EvaluationRecord, Failure, Provenance, RunRecord, TrainingRecord
from harness.storage.verify import record_problems

CELL_IDS = ("cell", "current")
"""Columns with the id under which a cell is recorded, and with the id that it has now."""


def frames(folders: list[Path], catalog: Catalog) -> tuple[pd.DataFrame, pd.DataFrame, ReportMeta]:
    """Read run folders and return (cells, scores, meta); an unfinished run contributes the records it has.

    No code that a folder names is run: a plug-in counts as known if the catalog has it.
    """
    runs = {path: RunFolder(path).recorded_run() for path in folders}
    damaged: list[str] = []
    cells = [cell for path, run in runs.items() for cell in _cells_of(path, run, catalog, damaged)]
    labels = add_versions(cells)
    notes = version_notes(cells)
    merged = [merge(same) for same in by_identity(cells)]
    rows, second_ids = without_second_ids([cell.row for cell, _ in merged])
    shown = {row["cell"] for row in rows}
    scores = [score for cell, others in merged if cell.row["cell"] in shown for score in _scores_of(cell, others)]
    stored = {cell.row[key].partition("@")[0] for cell in cells for key in CELL_IDS}
    rows += _missing_rows(runs.values(), stored, catalog)
    add_recipes_to_labels(rows)
    frame = pd.DataFrame(rows, columns=list(CELLS))
    meta = _meta(runs, frame, labels, [*notes, *second_ids], catalog)
    meta = replace(
        meta,
        damaged=damaged,
        recipes={row["task"]: row["recipe"] for row in rows},
        task_families={row["task"]: row["task_family"] for row in rows},
        specs={row[kind]: row["specs"][kind] for kind in PACKAGES for row in rows},
    )
    return frame, pd.DataFrame(scores, columns=list(SCORES)), meta


def _missing_rows(runs: Iterable[RunRecord], stored: set[str], catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Yield a row for each planned cell that no folder has a record of, once."""
    for run in runs:
        code = CurrentCode(catalog, run)
        for group in run.planned:
            values = {"architecture": group.architecture, "task": group.task, "recipe": group.recipe}
            for cell, (rate, seed) in group.cells.items():
                if cell not in stored:
                    stored.add(cell)
                    identity = _identity(run, cell, values | {"learning_rate": rate, "seed": seed}, code)
                    yield identity | {"status": "missing", "reason": "not trained yet"}


def _cells_of(path: Path, run: RunRecord, catalog: Catalog, damaged: list[str]) -> Iterator[StoredCell]:
    """Yield the cells of a folder that have a record, in the order of the plan.

    A cell whose record cannot be read is left out, and a note about it is added to ``damaged``.
    """
    folder, code = RunFolder(path), CurrentCode(catalog, run)
    for cell in sorted({*folder.cell_ids(), *run.cells}, key=_planned_order(run)):
        records = folder.cell(cell)
        try:
            problem = next((found.text for found in record_problems(cell, records)), "")
            row = None if problem else _cell_row(records, run, cell, code)
        except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
            problem, row = f"its values cannot be read ({type(error).__name__}: {error})", None
        if problem:
            damaged.append(f"Cell {cell} is left out: {problem}.")
        if row is not None:
            yield StoredCell(path, row, records)


def _scores_of(cell: StoredCell, others: list[StoredCell]) -> Iterator[dict[str, Any]]:
    """Yield the scores of a cell, and those that only other folders have of the same training."""
    present = set()
    for source in (cell, *others):
        for score in _score_rows(cell.row, source.records):
            key = score["variant"], score["step"], score["length"]
            if key not in present:
                present.add(key)
                yield score


def _planned_order(run: RunRecord) -> Any:
    place = {cell: index for index, cell in enumerate(run.cells)}
    return lambda cell: (place.get(cell, len(place)), cell)


def _cell_row(records: CellRecords, run: RunRecord, cell: str, code: CurrentCode) -> dict[str, Any] | None:
    if records.training is not None:
        return _recorded(run, cell, records.training, code) | _trained(records.training, records.evaluations)
    if records.failure is not None:
        return _recorded(run, cell, records.failure, code) | _failed(records.failure)
    return None


def _recorded(run: RunRecord, cell: str, record: TrainingRecord | Failure, code: CurrentCode) -> dict[str, Any]:
    return _identity(run, cell, record.cell, code) | {
        "stale": code.of(record.cell).is_stale(record.fingerprints),
        "device": record.provenance.device,
        "dtype": _number_format(record.provenance),
        "git": record.provenance.git,
    }


def _identity(run: RunRecord, cell: str, values: dict[str, Any], code: CurrentCode) -> dict[str, Any]:
    known, trained = code.of(values), Span.parse(values["recipe"]["train_lengths"], "train lengths")
    return {
        "run": run.suite.name,
        "cell": cell,
        "current": known.id_of(cell, values),
        "architecture": known.architecture,
        "name": values["architecture"]["name"],
        "family": known.family,
        "task": known.task,
        "seed": values["seed"],
        "learning_rate": values["learning_rate"],
        "steps": values["recipe"]["steps"],
        "train_low": trained.low,
        "train_high": trained.high,
        "recipe": values["recipe"],
        "task_family": known.task_family,
        "specs": {kind: text_of(values[kind]["name"], values[kind]["options"]) for kind in PACKAGES},
    }


def _trained(record: TrainingRecord, evaluations: list[EvaluationRecord]) -> dict[str, Any]:
    return {
        "status": "done",
        "reason": "",
        "steps_used": record.steps_used,
        "fitted_at": _fitted_at(record),
        "validation_exact": record.validation_exact,
        "validation_loss": record.validation_loss,
        "dtype": _number_formats(record, evaluations),
        "parameters": record.parameters,
        "tokens_per_second": record.tokens_per_second,
        "train_seconds": record.seconds["train"],
        "validate_seconds": record.seconds.get("validate", 0.0),
        "evaluate_seconds": sum(e.seconds for e in evaluations),
        "state_bytes": {int(length): size for length, size in record.state_bytes.items()} or None,
        "kernel": ", ".join(record.kernels.values()),
        "distinct": record.distinct,
        "curve": record.curve,
    }


def _fitted_at(record: TrainingRecord) -> float | None:
    """Return the step at which a model fitted. A record without a fingerprint of the training code does not have it."""
    if record.fitted_at is None and "training" not in record.fingerprints:
        return first_solved(record.curve)
    return record.fitted_at


def _number_format(provenance: Provenance) -> str:
    return f"{provenance.precision} with TF32" if provenance.tf32 else provenance.precision


def _number_formats(record: TrainingRecord, evaluations: list[EvaluationRecord]) -> str:
    """Return the number format of a cell's training, and any other formats that evaluations used."""
    trained, others = _number_format(record.provenance), {e.precision for e in evaluations if e.scored}
    others.discard(record.provenance.precision)
    return f"{trained}, some lengths evaluated in {' and '.join(sorted(others))}" if others else trained


def _failed(failure: Failure) -> dict[str, Any]:
    status = {"model": "failed", "machine": "missing"}[failure.cause]
    return {"status": status, "reason": failure.reason, "steps_used": failure.steps_used, "curve": failure.curve}


def _score_rows(row: dict[str, Any], records: CellRecords) -> Iterator[dict[str, Any]]:
    """Yield a row for each length; of several of one length, the one with scores and the most rows counts."""
    record = records.training
    if record is None:
        return
    largest = {(e.variant, e.length, e.step): e for e in sorted(records.evaluations, key=lambda e: (e.scored, e.rows))}
    for evaluation in largest.values():
        scored = evaluation.scored
        yield {
            "cell": row["cell"],
            "variant": evaluation.variant,
            "step": evaluation.step,
            "final": evaluation.step == record.checkpoints[-1],
            "length": evaluation.length,
            "status": evaluation.status,
            "n": evaluation.n if scored else 0,
            "exact": evaluation.exact / evaluation.n if scored else float("nan"),
            "token": evaluation.right / evaluation.tokens if scored and evaluation.tokens else float("nan"),
            "tokens": evaluation.tokens,
            "loss": evaluation.loss,
            "seconds": evaluation.seconds,
            "chance_exact": evaluation.chance_exact,
            "chance_token": evaluation.chance_token,
            "shortcut": evaluation.shortcut,
            "shortcut_exact": evaluation.shortcut_exact,
            "shortcut_token": evaluation.shortcut_token,
            "seen": float("nan") if evaluation.variant else record.seen.get(str(evaluation.length), float("nan")),
            "carried": evaluation.carried,
            "by_position": evaluation.by_position,
            "by_events": evaluation.by_events,
            "in_range": row["train_low"] <= evaluation.length <= row["train_high"],
        }


def _meta(
    by_path: dict[Path, RunRecord], cells: pd.DataFrame, labels: Labels, notes: list[str], catalog: Catalog
) -> ReportMeta:
    """Return what the report shows besides numbers."""
    runs = list(by_path.values())
    first = runs[0]
    not_applicable = [
        (labels.get((path, "architecture", architecture), architecture), labels.get((path, "task", task), task), reason)
        for path, run in by_path.items()
        for architecture, task, reason in run.not_applicable
    ]
    title = first.suite.title if len(runs) == 1 else ""
    trained = {(a, t) for a, t in zip(cells["architecture"], cells["task"], strict=True)}
    return ReportMeta(
        title=title or " and ".join(run.suite.name for run in runs),
        description="\n\n".join(run.suite.description for run in runs if run.suite.description),
        created=max(run.provenance.created for run in runs),
        command=[run.command for run in runs],
        plugins=list(dict.fromkeys(plugin for run in runs for plugin in run.suite.plugins)),
        git=first.provenance.git,
        versions=first.provenance.versions,
        catalog_order=_in_catalog_order(cells, catalog),
        catalog_places={name: place for place, name in enumerate(catalog.names("architecture"))},
        tasks_order=list(dict.fromkeys(cells["task"])),
        programs={label: _program_length(label, catalog) for label in dict.fromkeys(cells["task"])},
        known=[claim for path, run in by_path.items() for claim in _claims(path, run, labels, catalog)],
        not_applicable=[pair for pair in not_applicable if pair[:2] not in trained],
        notes=[*notes, *dict.fromkeys(note for run in runs for note in run.notes)],
    )


def _claims(path: Path, run: RunRecord, labels: Labels, catalog: Catalog) -> Iterator[Claim]:
    """Yield the claims of a run's suite with specs as the tables have them; skip those about plug-ins that are gone."""

    def labelled(text: str) -> str:
        label = label_of_text("architecture", text, run.suite.model, catalog)
        return labels.get((path, "architecture", label), label)

    for claim in run.suite.known:
        with suppress(UserError, ValidationError):  # a newer version may know other keys
            yield with_canonical_specs(Claim(**claim), labelled, catalog)


def _program_length(label: str, catalog: Catalog) -> int | None:
    """Return the core operations of a task's RASP-L program; None where no program is known or the task is gone."""
    from tasks.rasp._machine import length

    try:
        program = build_task(Spec.parse("task", label.partition(" [")[0], catalog)).program
    except Exception:  # a plug-in may be gone, or raise any error
        return None
    return None if program is None else length(program)


def _in_catalog_order(cells: pd.DataFrame, catalog: Catalog) -> list[str]:
    """Return labels ordered by catalog name first, so that an architecture keeps its place in every report."""
    names = {name: index for index, name in enumerate(catalog.names("architecture"))}
    pairs = sorted(
        {(names.get(n, len(names)), label) for n, label in zip(cells["name"], cells["architecture"], strict=True)}
    )
    return [label for _, label in pairs]
