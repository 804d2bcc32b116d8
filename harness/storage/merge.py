"""Merging of run folders: the cells of several folders in one, as the jobs of an array on a cluster leave them.

A merge can be repeated: what the output has already is kept. Folders are refused as a whole if they belong to different
suites, and if two of them have different records of one cell, which their code or their machine must have made.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.storage.atomic import temporary_path, write_atomically
from harness.storage.cell_records import CellRecords, json_of
from harness.storage.folder import RunFolder
from harness.storage.records import EvaluationRecord, RunRecord

NOT_COMPARED = {"provenance", "seconds", "tokens_per_second", "population"}
"""Fields of a training record that differ between equal trainings."""


def merge(folders: Sequence[Path], output: Path) -> tuple[int, int]:
    """Add the cells of some folders to an output folder; return how many were added, and how many it had.

    Raises:
        UserError: if a folder holds no run, belongs to another suite, or has a record that contradicts another one;
            nothing is written then.
    """
    folder, sources = RunFolder(output), [RunFolder(path) for path in folders]
    runs = [source.recorded_run() for source in sources]
    existing = folder.run()
    for source, run in zip(sources, runs, strict=True):
        _check_suite(runs[0] if existing is None else existing, run, source.path)
    _check_records([folder, *sources])
    with folder.locked():
        folder.open(_joined([*([existing] if existing else []), *runs]))
        had = set(folder.cell_ids())
        for source in sources:
            for cell in source.cell_ids():
                _add(source, folder, cell)
        return len(set(folder.cell_ids()) - had), len(had)


def _check_suite(first: RunRecord, run: RunRecord, path: Path) -> None:
    kept, other = first.suite.model_dump(), run.suite.model_dump()
    different = [key for key in kept if kept[key] != other.get(key) and key != "plugins"]
    if different:
        raise UserError(f"{path} belongs to another suite: {', '.join(different)} differ; merge runs of one suite only")


def _check_records(folders: Sequence[RunFolder]) -> None:
    """Raise :class:`UserError` for the first cell of which two folders have different records."""
    seen: dict[str, tuple[Path, CellRecords]] = {}
    for folder in folders:
        for cell in folder.cell_ids():
            records = folder.cell(cell)
            if cell in seen and (what := _contradiction(seen[cell][1], records)):
                paths = f"{seen[cell][0]} and {folder.path}"
                raise UserError(f"cell {cell}: {paths} have different {what}; leave one of the folders out")
            is_first_training = records.training and (cell not in seen or seen[cell][1].training is None)
            if is_first_training or (records.failure and cell not in seen):
                seen[cell] = folder.path, records


def _contradiction(one: CellRecords, other: CellRecords) -> str:
    """Return what two records of a cell disagree on; empty if nothing. A failure gives way to a training."""
    if one.training is None or other.training is None:
        return ""
    if _compared(one.training.model_dump()) != _compared(other.training.model_dump()):
        return "trainings"
    scores = {record.key: _counts(record) for record in one.evaluations}
    differs = any(scores.get(record.key, _counts(record)) != _counts(record) for record in other.evaluations)
    return "scores" if differs else ""


def _compared(training: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training.items() if key not in NOT_COMPARED}


def _counts(record: EvaluationRecord) -> tuple[Any, ...]:
    return record.status, record.n, record.exact, record.tokens, record.right


def _joined(runs: Sequence[RunRecord]) -> RunRecord:
    """Return the description of all runs together: that of the first, with the cells and notes of all."""
    return runs[0].model_copy(
        update={
            "cells": _once(cell for run in runs for cell in run.cells),
            "planned": [group for run in runs for group in run.planned],
            "not_applicable": _once(pair for run in runs for pair in run.not_applicable),
            "notes": _once(note for run in runs for note in run.notes),
        }
    )


def _once(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


def _add(source: RunFolder, target: RunFolder, cell: str) -> None:
    """Copy what the target lacks of a cell: weights first, the training record after them, then evaluations."""
    records, present = source.cell(cell), target.cell(cell)
    folder = target.cells / cell
    if records.training is not None and present.training is None:
        folder.mkdir(parents=True, exist_ok=True)
        for weights in (source.cells / cell).glob("weights-*.safetensors"):
            shutil.copyfile(weights, temporary_path(folder / weights.name))
            temporary_path(folder / weights.name).replace(folder / weights.name)
        (folder / "failure.json").unlink(missing_ok=True)
        write_atomically(folder / "training.json", json_of(records.training))
    elif records.failure is not None and present.training is None and present.failure is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "failure.json", json_of(records.failure))
    keys = {record.key for record in present.evaluations}
    missing = [record for record in records.evaluations if record.key not in keys]
    if missing:
        target.add(cell, missing)
