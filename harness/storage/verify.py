"""Verification of a run folder: each record is as it was written, belongs to its cell, and has possible counts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError

from harness.config.cell import id_of
from harness.errors import UserError
from harness.storage.cell_records import EVALUATIONS, OLD_EVALUATIONS, CellRecords
from harness.storage.checksum import read_weights
from harness.storage.folder import RunFolder
from harness.storage.records import ErrorCounts, EvaluationRecord, TrainingRecord

QUARANTINE = "quarantine"


class Problem(NamedTuple):
    """What is wrong with one file of a cell; ``file`` is empty for records in packed form."""

    cell: str
    file: str
    text: str


def problems(folder: RunFolder) -> Iterator[Problem]:
    """Yield every problem of a folder, cell by cell."""
    for cell in folder.cell_ids():
        yield from record_problems(cell, folder.cell(cell))
        yield from _damaged_weights(cell, folder.cells / cell)


def record_problems(cell: str, records: CellRecords) -> Iterator[Problem]:
    """Yield every problem of the records of one cell; its weights are not read."""
    yield from _unreadable(cell, records)
    yield from _foreign(cell, records)
    yield from _impossible(cell, records)


def quarantine(folder: RunFolder, problem: Problem) -> Iterator[Path]:
    """Move the file of a problem out of the cell's folder, and yield its new path; packed records stay.

    A run then trains or evaluates again what is missing. Without its weights a model counts as not trained, so the
    record of its training is moved too.
    """
    files = (problem.file, "training.json") if problem.file.endswith(".safetensors") else (problem.file,)
    for name in filter(None, files):
        source, target = (path / problem.cell / name for path in (folder.cells, folder.path / QUARANTINE))
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            yield target


def _unreadable(cell: str, records: CellRecords) -> Iterator[Problem]:
    for name, file in (("training", "training.json"), ("failure", "failure.json"), ("evaluations", EVALUATIONS)):
        try:
            getattr(records, name)
        except UserError as error:
            is_old = name == "evaluations" and f"{records.path / OLD_EVALUATIONS}:" in str(error)
            yield Problem(cell, OLD_EVALUATIONS if is_old else file, str(error))


def read(records: CellRecords, name: str) -> Any:
    """Return a record of a cell, ``None`` where it cannot be read."""
    try:
        return getattr(records, name)
    except UserError:
        return None


def _foreign(cell: str, records: CellRecords) -> Iterator[Problem]:
    """Yield records that describe another cell than the one whose folder they are in."""
    for name, file in (("training", "training.json"), ("failure", "failure.json")):
        record = read(records, name)
        if record is not None and id_of(record.cell) != cell:
            yield Problem(cell, _file(records, file), f"{file} describes cell {id_of(record.cell)}, not {cell}")


def _impossible(cell: str, records: CellRecords) -> Iterator[Problem]:
    training = read(records, "training")
    if training is not None and (text := _impossible_training(training)):
        yield Problem(cell, _file(records, "training.json"), text)
    for record in read(records, "evaluations") or ():
        if text := _impossible_counts(record):
            yield Problem(cell, _file(records, EVALUATIONS), f"length {record.length}: {text}")


def _impossible_training(record: TrainingRecord) -> str:
    if not 0 <= record.validation_exact <= 1:
        return f"validation_exact is {record.validation_exact}, not in 0 to 1"
    if not record.checkpoints or min(record.checkpoints) < 0:
        return f"checkpoints are {record.checkpoints}, not one or more steps"
    if not all(length.isdecimal() for length in record.state_bytes):
        return f"state_bytes has the lengths {', '.join(record.state_bytes)}, not numbers"
    negative = [name for name in ("steps_used", "parameters", "population") if getattr(record, name) < 0]
    return f"{negative[0]} is {getattr(record, negative[0])}, below 0" if negative else ""


def _impossible_counts(record: EvaluationRecord) -> str:
    if record.length < 1:
        return "lengths start at 1"
    if record.scored and record.n < 1:
        return f"there are scores of {record.n} questions"
    if not 0 <= record.exact <= record.n:
        return f"{record.exact} of {record.n} questions are right"
    if not 0 <= record.right <= record.tokens:
        return f"{record.right} of {record.tokens} tokens are right"
    return next(filter(None, map(_impossible_bins, (record.by_position, record.by_events))), "")


def _impossible_bins(counts: ErrorCounts | None) -> str:
    """Say which bin of counts is impossible; each list has one number for each bin."""
    if counts is None:
        return ""
    if {len(counts.n), len(counts.right), len(counts.loss)} != {len(counts.starts)}:
        return f"counts of errors have {len(counts.starts)} bins and {len(counts.right)} numbers"
    bins = zip(counts.starts, counts.right, counts.n, strict=True)
    wrong = (f"{right} of {n} tokens are right in the bin from {start}" for start, right, n in bins if right > n)
    return next(wrong, "")


def _file(records: CellRecords, name: str) -> str:
    """Return the name of a file, or nothing if the record is packed."""
    return name if (records.path / name).is_file() else ""


def _damaged_weights(cell: str, folder: Path) -> Iterator[Problem]:
    for path in sorted(folder.glob("weights-*.safetensors")):
        try:
            read_weights(path)
        except (OSError, SafetensorError, ValueError) as error:
            yield Problem(cell, path.name, f"the weights cannot be read: {error}")
