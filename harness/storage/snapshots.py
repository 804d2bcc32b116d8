"""Snapshot files: the state of unfinished trainings, from which a killed run resumes.

The first line of a file is its header in JSON: the cells, the conditions under which they are trained, and a hash of
the rest. The rest is the snapshot as ``torch.save`` writes it. Files are written atomically.
"""

import hashlib
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from harness.storage.atomic import write_atomically
from harness.training.snapshot import Snapshot

ResumeConditions = Mapping[str, str]
"""The settings that must be unchanged to resume a training: code, torch version, device, number format."""


class SnapshotError(Exception):
    """A snapshot cannot be resumed from; the message says why."""


class Snapshots:
    """The snapshots of one run folder, at most one for a group of cells.

    Args:
        path: the folder of the files; created with the first snapshot and removed with the last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, cells: Sequence[str], conditions: ResumeConditions, snapshot: Snapshot) -> None:
        """Write the snapshot of a group; an earlier one of the same group is replaced."""
        buffer = io.BytesIO()
        torch.save(vars(snapshot), buffer)
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
        header = {"cells": list(cells), "terms": dict(conditions), "sha256": digest}
        self.write(self._name_of(cells), json.dumps(header).encode() + b"\n", buffer.getvalue())

    def load(self, cells: Sequence[str], conditions: ResumeConditions) -> Snapshot | None:
        """Return the snapshot of exactly these cells, or None; raise :class:`SnapshotError` if it cannot be used."""
        file = self.read(self._name_of(cells))
        if file is None:
            return None
        line, _, content = file.partition(b"\n")
        header = _parse_header(line)
        if hashlib.sha256(content).hexdigest() != header.get("sha256"):
            raise SnapshotError("it is damaged")
        if different := [name for name, value in conditions.items() if header["terms"].get(name) != value]:
            raise SnapshotError(f"it was saved with different {' and '.join(different)}")
        return Snapshot(**torch.load(io.BytesIO(content), weights_only=True))

    def groups(self) -> Iterator[tuple[str, ...]]:
        """Yield the cells of each snapshot that can be read."""
        for _, header in self._headers():
            if header:
                yield tuple(header["cells"])

    def remove(self, cells: Sequence[str]) -> None:
        """Remove the snapshot of exactly these cells."""
        self.delete(self._name_of(cells))

    def remove_containing(self, cells: Collection[str]) -> None:
        """Remove all snapshots that contain any of these cells."""
        for name, header in self._headers():
            if not set(cells).isdisjoint(header.get("cells", ())):
                self.delete(name)

    def remove_unusable(self, groups: Iterable[Collection[str]]) -> Iterator[str]:
        """Remove the snapshots whose cells are not all in one of the groups; yield a message for each."""
        planned = [set(group) for group in groups]
        for name, header in self._headers():
            if not header:
                self.delete(name)
                yield f"snapshot {self.path / name} removed: it is damaged"
            elif not any(group.issuperset(header["cells"]) for group in planned):
                self.delete(name)
                models = f"its {len(header['cells'])} models in one group"
                yield f"snapshot {self.path / name} removed: this run does not train {models}"

    def files_within(self, cells: Collection[str]) -> dict[str, bytes]:
        """Return the files whose cells are all among these, by name."""
        names = [name for name, header in self._headers() if set(cells).issuperset(header.get("cells", (None,)))]
        return {name: content for name in names if (content := self.read(name)) is not None}

    def write(self, name: str, *content: bytes) -> None:
        """Write the parts of a file one after another."""
        self.path.mkdir(exist_ok=True)
        write_atomically(self.path / name, *content)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, ``None`` if there is none."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def delete(self, name: str) -> None:
        """Remove a file, and the temporary files that processes killed while writing it have left."""
        for file in (self.path / name, *self.path.glob(f".{name}.*")):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def first_lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the first line of each file; the line is empty if it cannot be read."""
        for path in sorted(self.path.glob("[!.]*.snapshot")) if self.path.is_dir() else []:
            line = b""
            with suppress(OSError), open(path, "rb") as file:
                line = file.readline()
            yield path.name, line

    def _headers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the name of each file with its header, which is empty if it is damaged."""
        for name, line in self.first_lines():
            try:
                yield name, _parse_header(line)
            except SnapshotError:
                yield name, {}

    def _name_of(self, cells: Sequence[str]) -> str:
        return f"{hashlib.sha256(' '.join(cells).encode()).hexdigest()[:16]}.snapshot"


def _parse_header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        raise SnapshotError("it is damaged") from None
    if not isinstance(header, dict) or not {"cells", "terms", "sha256"} <= header.keys():
        raise SnapshotError("it is damaged")
    return header
