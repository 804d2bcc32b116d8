"""The packed form of a run's records: one line of JSON per cell in one compressed file.

A run in progress keeps a folder per cell, because small files written atomically survive a crash. When a finished run
is packed, the contents of its cells' JSON files move into ``records.jsonl.gz``. Weights are not packed.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from harness.errors import UserError
from harness.storage.atomic import write_atomically
from harness.storage.records import EvaluationRecord, Failure, Record, TrainingRecord

FILE = "records.jsonl.gz"


class PackedCell(Record):
    """All records of one cell; either ``training`` or ``failure`` is set."""

    cell: str
    training: TrainingRecord | None = None
    failure: Failure | None = None
    evaluations: list[EvaluationRecord] = Field(default_factory=list)


def read_packed(folder: Path) -> dict[str, PackedCell]:
    """Return the packed cells of a run folder by id; empty if nothing is packed."""
    path = folder / FILE
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        cells = [PackedCell.model_validate_json(line) for line in lines]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, EOFError, UnicodeDecodeError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UserError(f"damaged record {path}: {reason}; restore that file from a copy") from None
    return {cell.cell: cell for cell in cells}


def write_packed(folder: Path, cells: Iterable[PackedCell]) -> Path:
    """Write the packed cells of a run folder; the same cells give the same bytes. Return the file's path."""
    lines = "".join(f"{cell.model_dump_json(exclude_defaults=True)}\n" for cell in cells)
    write_atomically(folder / FILE, gzip.compress(lines.encode(), mtime=0))
    return folder / FILE
