"""The run folder: reads and writes the records of a run atomically.

A file is written under a temporary name, flushed and renamed, so a file that exists is complete. Evaluations are
appended line by line to one file of the cell, whose folder is locked meanwhile. Each file and line has a checksum. The
records of a packed run are read from one file; newer records replace them.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from torch import Tensor

from harness.errors import UserError
from harness.storage.atomic import append_lines, stored, write_atomically
from harness.storage.cell_records import (
    EVALUATIONS,
    RECORD_FILES,
    REMEDY,
    SUPERSEDED,
    CellRecords,
    check_not_newer,
    check_schema,
    json_of,
    read_record,
)
from harness.storage.checksum import read_weights, weights_to_bytes, with_checksum
from harness.storage.lock import locked
from harness.storage.packed import FILE, PackedCell, read_packed, write_packed
from harness.storage.records import EvaluationRecord, Failure, RunRecord, TrainingRecord
from harness.storage.snapshots import Snapshots
from harness.storage.summaries import Summaries


class RunFolder:
    """The records of one run.

    Args:
        path: the folder; :meth:`open` creates it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.cells = path, path / "cells"
        self.snapshots = Snapshots(path / "snapshots")

    def __reduce__(self) -> tuple[type["RunFolder"], tuple[Path]]:
        """Pickle the path only, because each process reads the records itself."""
        return type(self), (self.path,)

    def check(self, suite: str) -> RunRecord | None:
        """Return the description of the run, ``None`` if the folder is new.

        Raises :class:`UserError` if it has records of another suite or of another format version.
        """
        run = self.run()
        if run is None:
            return None
        check_schema(run, self.path)
        if run.suite.name != suite:
            raise UserError(
                f"output {self.path} holds records of suite {run.suite.name!r}, not {suite!r}; "
                f"choose another with --output"
            )
        return run

    @contextmanager
    def locked(self) -> Iterator[str]:
        """Hold the lock of the folder, which is created; see :func:`harness.storage.lock.locked`.

        Raises :class:`UserError` if the folder cannot be written, or another process writes it.
        """
        with ExitStack() as stack:
            try:
                taken_over = stack.enter_context(locked(self.path))
            except OSError as error:
                raise _not_writable(self.path, error) from None
            yield taken_over

    def open(self, run: RunRecord) -> None:
        """Create the folder, check that it belongs to this suite, and write the description of the run.

        A description that differs in its time only is left as it is.
        """
        before = self.check(run.suite.name)
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise _not_writable(self.path, error) from None
        if before is None or _without_time(before) != _without_time(run):
            _store(self.path / "run.json", json_of(run))

    def run(self) -> RunRecord | None:
        """Return the description of the run, or ``None`` if the folder is new.

        Raises :class:`UserError` if it is damaged, or of a newer version of Lengthwise.
        """
        check_not_newer(self.path / "run.json")
        return read_record(self.path / "run.json", RunRecord)

    def recorded_run(self) -> RunRecord:
        """Return the description of the run.

        Raises :class:`UserError` if the folder holds none, or one that this version of Lengthwise does not read.
        """
        run = self.run()
        if run is None:
            raise UserError(f"{self.path} holds no run (no run.json); give a folder that lengthwise run has written")
        check_schema(run, self.path)
        return run

    @cached_property
    def packed(self) -> dict[str, bytes]:
        """The packed records by cell id, as lines of JSON, read once."""
        return read_packed(self.path)

    @cached_property
    def summaries(self) -> Summaries:
        """What planning asks of the records, read once: a new object of this class has what was written since."""
        return Summaries(self.path, self.packed)

    def cell(self, cell: str) -> CellRecords:
        """Return the records of a cell as they are on disk now."""
        return CellRecords(self.cells / cell, self.packed.get(cell))

    def cell_ids(self) -> list[str]:
        """Return the ids of all cells that have records or a folder, sorted."""
        folders = [path.name for path in self.cells.iterdir()] if self.cells.is_dir() else []
        return sorted({*folders, *self.packed})

    def changed_since(self, page: Path) -> bool:
        """Return whether the run's description or a record is newer than a report's page, or there is no page."""
        if not page.is_file():
            return True
        shared = filter(os.path.exists, (f"{self.path}/run.json", f"{self.path}/{FILE}"))
        written = page.stat().st_mtime
        return any(os.stat(file).st_mtime >= written for file in (*shared, *self._loose_files()))

    def loose_cells(self) -> int:
        """Return how many cells have JSON files of their own, which are not packed."""
        return len({os.path.dirname(file) for file in self._loose_files()})

    def _loose_files(self) -> Iterator[str]:
        cells = os.listdir(self.cells) if self.cells.is_dir() else []
        return filter(os.path.exists, (f"{self.cells}/{cell}/{name}" for cell in cells for name in RECORD_FILES))

    def pack(self, output: Path) -> None:
        """Write the run's description and its records in packed form into a folder, which may be this one.

        In this folder the JSON files of the cells are removed afterwards; their weights stay.
        """
        run, ids = self.recorded_run(), self.cell_ids()
        output.mkdir(parents=True, exist_ok=True)
        write_packed(output, (_packed_cell(cell, self.cell(cell)) for cell in ids))
        if output.resolve() != self.path.resolve():
            write_atomically(output / "run.json", json_of(run))
            return
        for cell in ids:
            for name in (SUPERSEDED, *RECORD_FILES, ".lock"):  # a kill in between leaves the packed records valid
                (self.cells / cell / name).unlink(missing_ok=True)
            with suppress(OSError):
                (self.cells / cell).rmdir()

    def finish(self, cell: str, record: TrainingRecord, weights: dict[int, dict[str, Tensor]]) -> None:
        """Write a trained cell: its checkpoints first, its record last. Earlier files of the cell are removed.

        Raises :class:`harness.storage.atomic.StorageError` if the machine does not store them, as do ``fail`` and
        ``add``.
        """
        self._clear(cell)
        for step, values in weights.items():
            _store(self.weights_path(cell, step), weights_to_bytes(values))
        _store(self.cells / cell / "training.json", json_of(record))

    def fail(self, cell: str, failure: Failure) -> None:
        """Write the failure of a cell. Earlier files of the cell are removed."""
        self._clear(cell)
        _store(self.cells / cell / "failure.json", json_of(failure))

    def add(self, cell: str, records: Iterable[EvaluationRecord]) -> None:
        """Add evaluations to a cell; of several with the same key the last one counts."""
        lines = [with_checksum(record.model_dump_json()) for record in records]

        def append() -> None:
            (self.cells / cell).mkdir(parents=True, exist_ok=True)
            with FileLock(self.cells / cell / ".lock"):
                append_lines(self.cells / cell / EVALUATIONS, lines)

        stored(self.cells / cell / EVALUATIONS, append)

    def weights_path(self, cell: str, step: int) -> Path:
        """Return the path of a checkpoint."""
        return self.cells / cell / f"weights-{step}.safetensors"

    def weights(self, cell: str, step: int) -> dict[str, Tensor]:
        """Load the weights of a checkpoint."""
        path = self.weights_path(cell, step)
        if cell in self.packed and not path.exists():
            raise UserError(f"{self.path} is packed without weights; train its cells again in another folder")
        try:
            return read_weights(path)
        except (OSError, SafetensorError, ValueError) as error:
            raise UserError(f"damaged record {path}: {error}; {REMEDY}") from None

    def _clear(self, cell: str) -> None:
        stored(self.cells / cell, lambda: self._remove_records(self.cells / cell, cell in self.packed))

    def _remove_records(self, folder: Path, is_packed: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Records are removed before weights, so a cell with a record always has all of its weights.
        if is_packed:
            (folder / SUPERSEDED).touch()
        for name in RECORD_FILES:
            (folder / name).unlink(missing_ok=True)
        for weights in folder.glob("weights-*"):
            weights.unlink()


def _without_time(run: RunRecord) -> str:
    return run.model_dump_json(exclude={"provenance": {"created"}})


def _store(path: Path, content: str | bytes) -> None:
    stored(path, lambda: write_atomically(path, content))


def _not_writable(path: Path, error: OSError) -> UserError:
    return UserError(f"output {path} is not writable: {error.strerror}; choose another with --output")


def _packed_cell(cell: str, records: CellRecords) -> PackedCell:
    return PackedCell(cell=cell, training=records.training, failure=records.failure, evaluations=records.evaluations)
