"""The run folder: reads and writes records, atomically.

A file appears under its name only when it is complete: it is written beside it, flushed, and renamed. Two processes
that add to one cell take its lock.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harness.config.cell import SCHEMA
from harness.errors import UserError
from harness.storage.atomic import aside, write_atomically
from harness.storage.records import EvaluationRecord, Evaluations, Failure, Record, RunRecord, TrainingRecord
from harness.storage.snapshots import Snapshots

R = TypeVar("R", bound=Record)


class RunFolder:
    """The records of one run.

    Args:
        path: the folder; :meth:`open` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.cells = path, path / "cells"
        self.snapshots = Snapshots(path / "snapshots")

    def check(self, suite: str) -> None:
        """Refuse a folder that holds another suite's records or those of another version of the format."""
        there = self.run()
        if there is None:
            return
        check_schema(there, self.path)
        if there.suite["name"] != suite:
            raise UserError(
                f"output {self.path} holds records of suite {there.suite['name']!r}, not {suite!r}; "
                f"choose another with --output"
            )

    def open(self, run: RunRecord) -> None:
        """Make the folder, check that it is this suite's, and write what is planned."""
        self.check(run.suite["name"])
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"output {self.path} is not writable: {error.strerror}; choose another with --output"
            ) from None
        write_atomically(self.path / "run.json", run.model_dump_json(indent=1))

    def run(self) -> RunRecord | None:
        """Return what the folder belongs to, None where it is new."""
        return _read(self.path / "run.json", RunRecord)

    def training(self, cell: str) -> TrainingRecord | None:
        """Return the record of a finished cell."""
        return _read(self.cells / cell / "training.json", TrainingRecord)

    def failure(self, cell: str) -> Failure | None:
        """Return why a cell failed, None where it did not."""
        return _read(self.cells / cell / "failure.json", Failure)

    def evaluations(self, cell: str) -> list[EvaluationRecord]:
        """Return all evaluations of a cell."""
        found = _read(self.cells / cell / "evaluations.json", Evaluations)
        return found.records if found else []

    def known(self) -> list[str]:
        """Return the ids of all cells that have a folder, sorted."""
        return sorted(path.name for path in self.cells.iterdir()) if self.cells.is_dir() else []

    def finish(self, cell: str, record: TrainingRecord, weights: dict[int, dict[str, Tensor]]) -> None:
        """Write a trained cell: weights first, the record last; what the cell had before is replaced."""
        self._clear(cell)
        for step, values in weights.items():
            target = self.weights_path(cell, step)
            save_file({name: value.contiguous() for name, value in values.items()}, aside(target))
            os.replace(aside(target), target)
        write_atomically(self.cells / cell / "training.json", record.model_dump_json(indent=1))

    def fail(self, cell: str, failure: Failure) -> None:
        """Write that a cell did not finish."""
        self._clear(cell)
        write_atomically(self.cells / cell / "failure.json", failure.model_dump_json(indent=1))

    def add(self, cell: str, records: Iterable[EvaluationRecord]) -> None:
        """Add evaluations to a cell; one with the same key is replaced."""
        with FileLock(self.cells / cell / ".lock"):
            merged = {record.key: record for record in [*self.evaluations(cell), *records]}
            all_of_them = Evaluations(records=sorted(merged.values(), key=lambda r: r.key))
            write_atomically(self.cells / cell / "evaluations.json", all_of_them.model_dump_json())

    def weights_path(self, cell: str, step: int) -> Path:
        """Return where the weights of a moment lie."""
        return self.cells / cell / f"weights-{step}.safetensors"

    def weights(self, cell: str, step: int) -> dict[str, Tensor]:
        """Load the weights of a moment."""
        path = self.weights_path(cell, step)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise UserError(f"damaged record {path}: {error}; delete its folder and run again") from None

    def _clear(self, cell: str) -> None:
        folder = self.cells / cell
        folder.mkdir(parents=True, exist_ok=True)
        # The record goes first: from then on the cell counts as not trained.
        for name in ("training.json", "failure.json", "evaluations.json"):
            (folder / name).unlink(missing_ok=True)
        for old in folder.glob("weights-*"):
            old.unlink()


def _read(path: Path, kind: type[R]) -> R | None:
    try:
        return kind.model_validate_json(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValidationError, UnicodeDecodeError, OSError) as error:
        text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UserError(f"damaged record {path}: {text}; delete that file and run again") from None


def check_schema(run: RunRecord, path: Path) -> None:
    """Refuse a folder written by another version of the format."""
    if run.schema_version != SCHEMA:
        raise UserError(
            f"{path} was written with record format {run.schema_version}, this is {SCHEMA}; use a new --output"
        )
