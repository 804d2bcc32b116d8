"""The part of a run folder that a job on another machine needs, in memory.

The driver sends it with the job as plain data. Each write of the job is sent to the driver, which repeats it in the run
folder and is its only writer. So no file system is shared, and nothing is stored on the other machine.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from harness.storage.cell_records import CellRecords
from harness.storage.folder import RunFolder
from harness.storage.packed import PackedCell
from harness.storage.records import EvaluationRecord, Failure, TrainingRecord
from harness.storage.snapshots import Snapshots

NOWHERE = Path(os.devnull)
"""The path of a folder that is in memory."""

Contents = dict[str, Any]
"""Plain data: ``records`` and ``weights`` by cell id, and ``snapshots`` by the names of their files."""


def contents(folder: RunFolder, cells: Iterable[str], is_trained: bool) -> Contents:
    """Return what a job needs of a run folder: snapshots of cells to train, or records and weights of trained ones."""
    ids = list(cells)
    if not is_trained:
        return {"records": {}, "weights": {}, "snapshots": folder.snapshots.files_within(ids)}
    records = {cell: folder.cell(cell) for cell in ids}
    steps = {cell: record.training.checkpoints for cell, record in records.items() if record.training}
    return {
        "records": {cell: _packed(cell, record).model_dump_json() for cell, record in records.items()},
        "weights": {cell: {step: save(folder.weights(cell, step)) for step in steps[cell]} for cell in steps},
        "snapshots": {},
    }


def _packed(cell: str, records: CellRecords) -> PackedCell:
    return PackedCell(cell=cell, training=records.training, failure=records.failure, evaluations=records.evaluations)


@dataclass(frozen=True)
class Write:
    """A write of a remote job, as plain data."""

    kind: str
    arguments: tuple[Any, ...]

    def repeat_in(self, folder: RunFolder) -> None:
        """Write the same into the run folder."""
        REPEAT[self.kind](folder, *self.arguments)


def _finish(folder: RunFolder, cell: str, record: str, weights: dict[int, bytes]) -> None:
    tensors = {step: load(content) for step, content in weights.items()}
    folder.finish(cell, TrainingRecord.model_validate_json(record), tensors)


def _fail(folder: RunFolder, cell: str, failure: str) -> None:
    folder.fail(cell, Failure.model_validate_json(failure))


def _add(folder: RunFolder, cell: str, records: list[str]) -> None:
    folder.add(cell, map(EvaluationRecord.model_validate_json, records))


REPEAT: dict[str, Callable[..., None]] = {
    "finish": _finish,
    "fail": _fail,
    "add": _add,
    "snapshot": lambda folder, name, content: folder.snapshots.write(name, content),
    "no snapshot": lambda folder, name: folder.snapshots.delete(name),
}
"""What the driver does for each kind of write."""

Send = Callable[[Write], None]


class RemoteFolder(RunFolder):
    """A run folder in memory, which sends its writes to the driver.

    Args:
        contents: what :func:`contents` returns.
        send: sends a write.
    """

    def __init__(self, contents: Contents, send: Send) -> None:
        super().__init__(NOWHERE)
        self.send = send
        self.snapshots = RemoteSnapshots(contents["snapshots"], send)
        self.files: dict[str, dict[int, bytes]] = dict(contents["weights"])
        self.records = {cell: PackedCell.model_validate_json(text) for cell, text in contents["records"].items()}

    def cell(self, cell: str) -> CellRecords:
        """Return the records of a cell."""
        return CellRecords(NOWHERE, self.records.get(cell))

    def weights(self, cell: str, step: int) -> dict[str, Tensor]:
        """Return the weights of a checkpoint."""
        return load(self.files[cell][step])

    def finish(self, cell: str, record: TrainingRecord, weights: dict[int, dict[str, Tensor]]) -> None:
        """Keep a trained cell and send it."""
        self.records[cell] = PackedCell(cell=cell, training=record)
        self.files[cell] = {
            step: save({name: value.contiguous() for name, value in values.items()}) for step, values in weights.items()
        }
        self.send(Write("finish", (cell, record.model_dump_json(), self.files[cell])))

    def fail(self, cell: str, failure: Failure) -> None:
        """Keep the failure of a cell and send it."""
        self.records[cell] = PackedCell(cell=cell, failure=failure)
        self.send(Write("fail", (cell, failure.model_dump_json())))

    def add(self, cell: str, records: Iterable[EvaluationRecord]) -> None:
        """Keep evaluations of a cell and send them."""
        new = list(records)
        self.records[cell].evaluations.extend(new)
        self.send(Write("add", (cell, [record.model_dump_json() for record in new])))


class RemoteSnapshots(Snapshots):
    """Snapshots in memory, which are sent to the driver."""

    def __init__(self, files: dict[str, bytes], send: Send) -> None:
        super().__init__(NOWHERE)
        self.files, self.send = dict(files), send

    def write(self, name: str, *content: bytes) -> None:
        """Keep a snapshot and send it."""
        self.files[name] = b"".join(content)
        self.send(Write("snapshot", (name, self.files[name])))

    def read(self, name: str) -> bytes | None:
        """Return a snapshot, ``None`` if there is none."""
        return self.files.get(name)

    def delete(self, name: str) -> None:
        """Remove a snapshot here and on the driver."""
        self.files.pop(name, None)
        self.send(Write("no snapshot", (name,)))

    def first_lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the first line of each snapshot."""
        yield from [(name, content.partition(b"\n")[0]) for name, content in self.files.items()]
