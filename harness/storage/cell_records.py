"""Reading of records: those of one cell, and what is said about a file that cannot be read or is of another version."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from harness.config.cell import SCHEMA, id_of
from harness.errors import UserError, rule_in
from harness.storage.atomic import complete_lines
from harness.storage.checksum import with_checksum, without_checksum
from harness.storage.packed import FILE, PackedCell
from harness.storage.records import EvaluationRecord, Evaluations, Failure, Record, RunRecord, TrainingRecord

R = TypeVar("R", bound=Record)

EVALUATIONS, OLD_EVALUATIONS = "evaluations.jsonl", "evaluations.json"
RECORD_FILES = ("training.json", "failure.json", EVALUATIONS, OLD_EVALUATIONS)
LONGEST_KEY = 60
REMEDY = "lengthwise verify DIR --quarantine moves it away"
SUPERSEDED = "superseded"
"""A cell's folder with a file of this name was cleared for a new training: its packed records no longer count."""


class CellRecords:
    """The records of one cell; each file is read at most once.

    Args:
        path: the cell's folder; it need not exist.
        packed: the cell's packed records, or their line of JSON. They count where the folder has none.
    """

    def __init__(self, path: Path, packed: PackedCell | bytes | None = None) -> None:
        self.path, self._packed = path, packed

    @cached_property
    def packed(self) -> PackedCell | None:
        """The packed records, ``None`` where there are none that count."""
        if self._packed is None or (self.path / SUPERSEDED).exists():
            return None
        try:
            line = self._packed
            return PackedCell.model_validate_json(line) if isinstance(line, bytes) else line
        except ValidationError as error:
            raise damaged(self.path.parents[1] / FILE, error, self.path.name) from None

    @cached_property
    def training(self) -> TrainingRecord | None:
        """The record of a finished training, ``None`` where there is none."""
        return read_record(self.path / "training.json", TrainingRecord) or (
            self.packed.training if self.packed else None
        )

    @cached_property
    def failure(self) -> Failure | None:
        """The reason why the cell has no training record, ``None`` where it did not fail."""
        return read_record(self.path / "failure.json", Failure) or (self.packed.failure if self.packed else None)

    @cached_property
    def evaluations(self) -> list[EvaluationRecord]:
        """All evaluations, ordered by variant, task, length, checkpoint and rows."""
        old = read_record(self.path / OLD_EVALUATIONS, Evaluations)
        packed = self.packed.evaluations if self.packed else []
        records = [*packed, *(old.records if old else []), *_read_evaluations(self.path / EVALUATIONS)]
        return sorted({record.key: record for record in records}.values(), key=lambda record: record.key)

    @property
    def evaluated(self) -> set[tuple[str, str, int, int, int]]:
        """The keys of the evaluations that need not be made again; one that raised an error is tried again."""
        return {record.key for record in self.evaluations if not record.raised}


def json_of(record: Record) -> str:
    """Return a record as the text of its file, with its checksum."""
    return with_checksum(record.model_dump_json(indent=1))


def read_record(path: Path, kind: type[R]) -> R | None:
    """Return a record, ``None`` where there is no file; raise :class:`UserError` where it is damaged."""
    try:
        return kind.model_validate_json(without_checksum(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise damaged(path, error) from None


def _read_evaluations(path: Path) -> list[EvaluationRecord]:
    try:
        return [EvaluationRecord.model_validate_json(without_checksum(line)) for line in complete_lines(path)]
    except (ValueError, OSError) as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception, cell: str = "") -> UserError:
    """Return the error of a file that cannot be read; ``cell`` names one cell of a packed file."""
    reason = _first_reason(error) if isinstance(error, ValidationError) else str(error)
    remedy = "restore that file from a copy" if cell else REMEDY
    return UserError(f"damaged record {path}{f', cell {cell}' if cell else ''}: {reason}; {remedy}")


def _first_reason(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])[:LONGEST_KEY]
    return f"{key}{': ' if key else ''}{rule_in(first['msg'])}"


def foreign(folder: Path | str, values: Mapping[str, Any]) -> UserError:
    """Return the error of a record with these values of its cell, which lies in the folder of another cell."""
    return UserError(f"damaged record in {folder}: it describes cell {id_of(values)}; {REMEDY}")


def check_not_newer(path: Path) -> None:
    """Raise :class:`UserError` for a file with a newer record format, whose keys are unknown here but not damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or it is damaged, which reading it says
        return
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise UserError(
            f"{path} is of a newer version of Lengthwise (record format {version}, this one reads {SCHEMA}); "
            "update Lengthwise to read it, or choose another --output"
        )


def check_schema(run: RunRecord, path: Path) -> None:
    """Raise :class:`UserError` if a run was written in another version of the record format."""
    if run.schema_version != SCHEMA:
        raise UserError(
            f"{path} was written with record format {run.schema_version}, this is {SCHEMA}; use a new --output"
        )
