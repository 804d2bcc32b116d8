"""The long table: every record of one or more runs as two frames, one row a cell and one row a score.

Everything that is reported is computed from these frames and nothing else.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from harness.analysis.schema import CELLS, SCORES
from harness.config.claims import Claim, canonical
from harness.config.lengths import Span
from harness.errors import UserError
from harness.registry.catalog import ROOMS, Catalog
from harness.registry.fingerprint import fingerprints_of
from harness.registry.options import Spec, build_task
from harness.storage.folder import CellRecords, RunFolder, check_schema
from harness.storage.records import EvaluationRecord, Failure, Provenance, RunRecord, TrainingRecord


def frames(folders: list[Path], catalog: Catalog) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Read run folders; return (cells, scores, meta). A run that is still going gives what it has."""
    runs = [(RunFolder(path), _run_of(path)) for path in folders]
    cells, scores = [], []
    for folder, run in runs:
        for cell in sorted({*folder.cell_ids(), *run.cells}, key=_planned_order(run)):
            records = folder.cell(cell)
            row = _cell_row(records, run, cell, catalog)
            if row is not None:
                cells.append(row)
                scores += list(_score_rows(row, records))
    _tell_recipes_apart(cells)
    frame = pd.DataFrame(cells, columns=list(CELLS))
    return frame, pd.DataFrame(scores, columns=list(SCORES)), _meta([run for _, run in runs], frame, catalog)


def _run_of(path: Path) -> RunRecord:
    run = RunFolder(path).run()
    if run is None:
        raise UserError(f"{path} holds no run (no run.json); give a folder that lengthwise run has written")
    check_schema(run, path)
    return run


def _planned_order(run: RunRecord) -> Any:
    place = {cell: index for index, cell in enumerate(run.cells)}
    return lambda cell: (place.get(cell, len(place)), cell)


def _cell_row(records: CellRecords, run: RunRecord, cell: str, catalog: Catalog) -> dict[str, Any] | None:
    if records.training is not None:
        return _identity(run, cell, records.training, catalog) | _trained(records.training, records.evaluations)
    if records.failure is not None:
        return _identity(run, cell, records.failure, catalog) | _failed(records.failure)
    return None


def _identity(run: RunRecord, cell: str, record: TrainingRecord | Failure, catalog: Catalog) -> dict[str, Any]:
    values = record.cell
    trained = Span.parse(values["recipe"]["train_lengths"], "train lengths")
    name = values["architecture"]["name"]
    entry = catalog.entries["architecture"].get(name)
    return {
        "run": run.suite["name"],
        "cell": cell,
        "architecture": _label(values["architecture"], run.suite.get("model", {})),
        "name": name,
        "family": entry.family if entry else "unknown",
        "task": _label(values["task"], {}),
        "seed": values["seed"],
        "learning_rate": values["learning_rate"],
        "steps": values["recipe"]["steps"],
        "train_low": trained.low,
        "train_high": trained.high,
        "stale": _stale(record, catalog),
        "device": record.provenance.device,
        "dtype": _number_format(record.provenance),
        "git": record.provenance.git,
        "recipe": values["recipe"],
    }


def _trained(record: TrainingRecord, evaluations: list[EvaluationRecord]) -> dict[str, Any]:
    return {
        "status": "done",
        "reason": "",
        "steps_used": record.steps_used,
        "validation_exact": record.validation_exact,
        "validation_loss": record.validation_loss,
        "dtype": _number_formats(record, evaluations),
        "parameters": record.parameters,
        "tokens_per_second": record.tokens_per_second,
        "train_seconds": record.seconds["train"],
        "evaluate_seconds": sum(e.seconds for e in evaluations),
        "state_bytes": {int(length): size for length, size in record.state_bytes.items()} or None,
        "kernel": ", ".join(record.kernels.values()),
        "distinct": record.distinct,
        "curve": record.curve,
    }


def _number_format(made: Provenance) -> str:
    return f"{made.precision} with TF32" if made.tf32 else made.precision


def _number_formats(record: TrainingRecord, evaluations: list[EvaluationRecord]) -> str:
    """Return the number format of a cell's training, and of those evaluations that were made in another."""
    trained, others = _number_format(record.provenance), {e.precision for e in evaluations if e.status == "ok"}
    others.discard(record.provenance.precision)
    return f"{trained}, some lengths evaluated in {' and '.join(sorted(others))}" if others else trained


def _failed(failure: Failure) -> dict[str, Any]:
    return {"status": "failed", "reason": failure.reason, "steps_used": failure.steps_used, "curve": failure.curve}


def _score_rows(row: dict[str, Any], records: CellRecords) -> Iterator[dict[str, Any]]:
    """Yield a row for each length; of several evaluations of one length the one with the most rows counts."""
    record = records.training
    if record is None:
        return
    largest = {(e.variant, e.length, e.step): e for e in sorted(records.evaluations, key=lambda e: e.rows)}
    for each in largest.values():
        ok = each.status == "ok"
        yield {
            "cell": row["cell"],
            "variant": each.variant,
            "step": each.step,
            "final": each.step == record.checkpoints[-1],
            "length": each.length,
            "status": each.status,
            "n": each.rows if ok else 0,
            "exact": each.exact / each.rows if ok else float("nan"),
            "token": each.right / each.tokens if ok and each.tokens else float("nan"),
            "tokens": each.tokens,
            "loss": each.loss,
            "seconds": each.seconds,
            "chance_exact": each.chance_exact,
            "chance_token": each.chance_token,
            "in_range": row["train_low"] <= each.length <= row["train_high"],
        }


def _label(spec: dict[str, Any], given_to_all: dict[str, Any]) -> str:
    """Return ``name:key=value``, without what the suite gives to every architecture anyway."""
    own = {k: v for k, v in spec["options"].items() if k not in given_to_all or given_to_all[k] != v}
    options = ",".join(f"{k}={str(v).lower() if isinstance(v, bool) else v}" for k, v in sorted(own.items()))
    return f"{spec['name']}:{options}" if options else spec["name"]


def _stale(record: TrainingRecord | Failure, catalog: Catalog) -> bool:
    """Whether the code of today differs from the record's; unknown entries count as not stale."""
    specs = [
        Spec(kind, record.cell[kind]["name"], tuple(sorted(record.cell[kind]["options"].items())), catalog=catalog)
        for kind in ROOMS
        if record.cell[kind]["name"] in catalog.entries[kind]
    ]
    return any(record.fingerprints.get(kind) != value for kind, value in fingerprints_of(specs).items())


def _tell_recipes_apart(rows: list[dict[str, Any]]) -> None:
    """Where one task was trained under several recipes, its label says how they differ."""
    recipes: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        recipes.setdefault(row["task"], []).append(row["recipe"])
    for row in rows:
        mine, several = row["recipe"], recipes[row["task"]]
        differing = [f"{key}={mine[key]}" for key in mine if any(other[key] != mine[key] for other in several)]
        row["label"] = f"{row['task']} [{' '.join(differing)}]" if differing else row["task"]
    for row in rows:
        row["task"] = row.pop("label")


def _meta(runs: list[RunRecord], cells: pd.DataFrame, catalog: Catalog) -> dict[str, Any]:
    """Return what the report says beside numbers."""
    first = runs[0]
    shown = {(a, t) for a, t in zip(cells["architecture"], cells["task"], strict=True)}
    return {
        "title": first.suite["title"] or first.suite["name"]
        if len(runs) == 1
        else " and ".join(r.suite["name"] for r in runs),
        "description": "\n\n".join(r.suite["description"] for r in runs if r.suite["description"]),
        "versions": first.provenance.versions,
        "command": [r.command for r in runs],
        "git": first.provenance.git,
        "created": max(r.provenance.created for r in runs),
        "catalog_order": _in_catalog_order(cells, catalog),
        "catalog_places": {name: place for place, name in enumerate(catalog.names("architecture"))},
        "tasks_order": list(dict.fromkeys(cells["task"])),
        "programs": {label: _program_length(label, catalog) for label in dict.fromkeys(cells["task"])},
        "known": [known for r in runs for known in _known(r, catalog)],
        "planned": sum(len(r.cells) for r in runs),
        "inspections": [],
        "not_applicable": [each for r in runs for each in r.not_applicable if tuple(each[:2]) not in shown],
        "notes": list(dict.fromkeys(note for r in runs for note in r.notes)),
    }


def _known(run: RunRecord, catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Yield the known results of a run's suite, with specs as the tables have them; those of lost plug-ins not."""

    def labelled(text: str) -> str:
        spec = Spec.parse("architecture", text, catalog)
        return _label({"name": spec.name, "options": dict(spec.options)}, run.suite["model"])

    for each in run.suite.get("known", []):
        with suppress(UserError):
            yield canonical(Claim(**each), labelled, catalog).model_dump()


def _program_length(label: str, catalog: Catalog) -> int | None:
    """Return the core operations of a task's RASP-L program; None where none is known, or the task is gone."""
    from tasks.rasp._machine import length

    try:
        program = build_task(Spec.parse("task", label.partition(" [")[0], catalog)).program
    except UserError:
        return None
    return None if program is None else length(program)


def _in_catalog_order(cells: pd.DataFrame, catalog: Catalog) -> list[str]:
    """Labels ordered by catalog name first, so that an architecture keeps its place in every report."""
    names = {name: index for index, name in enumerate(catalog.names("architecture"))}
    pairs = sorted(
        {(names.get(n, len(names)), label) for n, label in zip(cells["name"], cells["architecture"], strict=True)}
    )
    return [label for _, label in pairs]
