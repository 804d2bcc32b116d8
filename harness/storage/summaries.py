"""Summaries of records: what planning asks of them, without curves and scores. Each cell of a folder is read once.

A folder can have tens of thousands of cells. To read their whole records several times takes minutes, and to hold them
gigabytes of memory.
"""

import math
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from harness.config.cell import Cell, id_of
from harness.storage.cell_records import EVALUATIONS, OLD_EVALUATIONS, SUPERSEDED, damaged, foreign
from harness.storage.checksum import without_checksum
from harness.storage.packed import FILE
from harness.storage.records import OK, Cause, Share, is_raised

EvaluationKey = tuple[str, str, int, int, int]
"""The key of an evaluation record: variant, task, length, step, rows."""
Validation = tuple[float, float]
"""Exact match and loss in the last validation of a model; 0 and infinity if its training failed."""


class Summary(NamedTuple):
    """The records of one cell in short.

    Attributes:
        fingerprints: of the code that made them.
        cause: what its failure is due to; ``None`` where the cell is trained.
        validation: at training lengths.
        checkpoints: the steps whose weights are stored.
        evaluated: the evaluations that need not be made again. Cells with the same ones share the set.
    """

    fingerprints: Mapping[str, str]
    cause: Cause | None
    validation: Validation
    checkpoints: tuple[int, ...]
    evaluated: frozenset[EvaluationKey]


class _Training(TypedDict):
    cell: dict[str, Any]
    fingerprints: dict[str, str]
    checkpoints: list[int]
    validation_exact: Share
    validation_loss: float | None


class _Failure(TypedDict):
    cell: dict[str, Any]
    fingerprints: NotRequired[dict[str, str]]
    cause: NotRequired[Cause]


class _Evaluation(TypedDict):
    variant: str
    task: str
    length: int
    step: int
    rows: NotRequired[int]
    status: NotRequired[str]


class _Evaluations(TypedDict):
    records: NotRequired[list[_Evaluation]]


class _Packed(TypedDict):
    training: NotRequired[_Training | None]
    failure: NotRequired[_Failure | None]
    evaluations: NotRequired[list[_Evaluation]]


TRAINING, FAILURE = TypeAdapter(_Training), TypeAdapter(_Failure)
LINES, OLD, PACKED = TypeAdapter(list[_Evaluation]), TypeAdapter(_Evaluations), TypeAdapter(_Packed)


class Summaries:
    """The summaries of one folder, each read when it is first asked for.

    Args:
        path: the run folder; its cells are listed now.
        packed: its packed records by cell id, as lines of JSON.
    """

    def __init__(self, path: Path, packed: Mapping[str, bytes]) -> None:
        self._path, self._packed = path, packed
        self._folders = set(os.listdir(path / "cells")) if (path / "cells").is_dir() else set()
        self._summaries: dict[str, Summary | None] = {}
        self._shared: dict[Hashable, Any] = {}

    def of(self, cell: Cell) -> Summary | None:
        """Return the summary of a cell, ``None`` where it has no record.

        Raises :class:`UserError` where a record is damaged or belongs to another cell.
        """
        if cell.id not in self._summaries:
            is_stored = cell.id in self._folders or cell.id in self._packed
            self._summaries[cell.id] = self._read(cell) if is_stored else None
        return self._summaries[cell.id]

    def _read(self, cell: Cell) -> Summary | None:
        folder, packed = f"{self._path}/cells/{cell.id}", self._packed_records(cell.id)
        training = _parsed(f"{folder}/training.json", TRAINING) or packed.get("training")
        record = training or _parsed(f"{folder}/failure.json", FAILURE) or packed.get("failure")
        if record is None:
            return None
        if record["cell"] != cell.canonical() and id_of(record["cell"]) != cell.id:
            raise foreign(folder, record["cell"])
        fingerprints = self._share(record.get("fingerprints", {}))
        if training is None:
            return Summary(fingerprints, record.get("cause", "model"), (0.0, math.inf), (), frozenset())  # type: ignore[arg-type]
        old = _parsed(f"{folder}/{OLD_EVALUATIONS}", OLD) or {}
        evaluations = [*packed.get("evaluations", ()), *old.get("records", ()), *_lines(f"{folder}/{EVALUATIONS}")]
        loss = math.inf if training["validation_loss"] is None else training["validation_loss"]
        evaluated = _evaluated(evaluations)
        validation = training["validation_exact"], loss
        return Summary(fingerprints, None, validation, tuple(training["checkpoints"]), self._once(evaluated))

    def _packed_records(self, cell: str) -> _Packed:
        line = self._packed.get(cell)
        if line is None or (cell in self._folders and (self._path / "cells" / cell / SUPERSEDED).exists()):
            return {}
        try:
            return PACKED.validate_json(line)
        except ValidationError as error:
            raise damaged(self._path / FILE, error, cell) from None

    def _share(self, values: Mapping[str, str]) -> Mapping[str, str]:
        return self._shared.setdefault(tuple(sorted(values.items())), values)

    def _once(self, values: frozenset[EvaluationKey]) -> frozenset[EvaluationKey]:
        return self._shared.setdefault(values, values)


def _evaluated(evaluations: Sequence[_Evaluation]) -> frozenset[EvaluationKey]:
    """Return the keys of evaluations of which the last one did not raise an error."""
    keys = ((e["variant"], e["task"], e["length"], e["step"], e.get("rows", 0)) for e in evaluations)
    last = dict(zip(keys, (e.get("status", OK) for e in evaluations), strict=True))
    return frozenset(key for key, status in last.items() if not is_raised(status))


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise damaged(Path(path), error) from None


def _parsed(path: str, kind: TypeAdapter[Any]) -> Any:
    content = _content(path)
    try:
        return None if content is None else kind.validate_json(without_checksum(content))
    except ValueError as error:
        raise damaged(Path(path), error) from None


def _lines(path: str) -> list[_Evaluation]:
    content = _content(path)
    lines = content.split(b"\n")[:-1] if content else []
    try:
        return LINES.validate_json(b"[%b]" % b",".join(map(without_checksum, lines)))
    except ValueError as error:
        raise damaged(Path(path), error) from None
