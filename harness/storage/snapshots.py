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
        self.path.mkdir(exist_ok=True)
        write_atomically(self._path_of(cells), json.dumps(header) + "\n", buffer.getvalue())

    def load(self, cells: Sequence[str], conditions: ResumeConditions) -> Snapshot | None:
        """Return the snapshot of exactly these cells, or None; raise :class:`SnapshotError` if it cannot be used."""
        path = self._path_of(cells)
        if not path.is_file():
            return None
        line, _, content = path.read_bytes().partition(b"\n")
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
        self._unlink(self._path_of(cells))

    def remove_containing(self, cells: Collection[str]) -> None:
        """Remove all snapshots that contain any of these cells."""
        for path, header in self._headers():
            if not set(cells).isdisjoint(header.get("cells", ())):
                self._unlink(path)

    def remove_unusable(self, groups: Iterable[Collection[str]]) -> Iterator[str]:
        """Remove the snapshots whose cells are not all in one of the groups; yield a message for each."""
        planned = [set(group) for group in groups]
        for path, header in self._headers():
            if not header:
                self._unlink(path)
                yield f"snapshot {path} removed: it is damaged"
            elif not any(group.issuperset(header["cells"]) for group in planned):
                self._unlink(path)
                yield f"snapshot {path} removed: this run does not train its {len(header['cells'])} models in one group"

    def _path_of(self, cells: Sequence[str]) -> Path:
        return self.path / f"{hashlib.sha256(' '.join(cells).encode()).hexdigest()[:16]}.snapshot"

    def _headers(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield each file with its header, which is empty if it is damaged."""
        for path in sorted(self.path.glob("[!.]*.snapshot")) if self.path.is_dir() else []:
            try:
                with open(path, "rb") as file:
                    yield path, _parse_header(file.readline())
            except (SnapshotError, OSError):
                yield path, {}

    def _unlink(self, path: Path) -> None:
        """Remove a file, and the temporary files that processes killed while writing it have left."""
        for file in (path, *self.path.glob(f".{path.name}.*")):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


def _parse_header(line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        raise SnapshotError("it is damaged") from None
    if not isinstance(header, dict) or not {"cells", "terms", "sha256"} <= header.keys():
        raise SnapshotError("it is damaged")
    return header
