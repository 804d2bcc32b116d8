"""Half-trained groups: what a run that was killed goes on from.

A file is a line of JSON (the cells, the terms they are trained on, a hash of the rest) and the snapshot as torch
writes it. Like every record it appears under its name only when it is complete.
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

Terms = Mapping[str, str]
"""What must be the same for a training to go on: the code, torch, the device, the number format."""


class SnapshotError(Exception):
    """A snapshot that cannot be gone on from; the message says why."""


class Snapshots:
    """The snapshots of one run folder, at most one for a group of cells.

    Args:
        path: where they lie; made with the first and removed with the last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, cells: Sequence[str], terms: Terms, snapshot: Snapshot) -> None:
        """Write the snapshot of a group; an earlier one of the same group is replaced."""
        buffer = io.BytesIO()
        torch.save(vars(snapshot), buffer)
        head = {"cells": list(cells), "terms": dict(terms), "sha256": hashlib.sha256(buffer.getbuffer()).hexdigest()}
        self.path.mkdir(exist_ok=True)
        write_atomically(self._place(cells), json.dumps(head) + "\n", buffer.getvalue())

    def load(self, cells: Sequence[str], terms: Terms) -> Snapshot | None:
        """Return the snapshot of exactly these cells, or None; raise :class:`SnapshotError` if it cannot be used."""
        path = self._place(cells)
        if not path.is_file():
            return None
        line, _, content = path.read_bytes().partition(b"\n")
        head = _parse(line)
        if hashlib.sha256(content).hexdigest() != head.get("sha256"):
            raise SnapshotError("it is damaged")
        if other := [name for name in terms if head["terms"].get(name) != terms[name]]:
            raise SnapshotError(f"it was made with other {' and '.join(other)}")
        return Snapshot(**torch.load(io.BytesIO(content), weights_only=True))

    def groups(self) -> Iterator[tuple[str, ...]]:
        """Yield the cells of every snapshot that can be read."""
        for _, head in self._heads():
            if head:
                yield tuple(head["cells"])

    def drop(self, cells: Collection[str]) -> None:
        """Remove the snapshots in which any of these cells is."""
        for path, head in self._heads():
            if not set(cells).isdisjoint(head.get("cells", ())):
                self._remove(path)

    def forget(self, cells: Sequence[str]) -> None:
        """Remove the snapshot of just these cells."""
        self._remove(self._place(cells))

    def sweep(self, groups: Iterable[Collection[str]]) -> Iterator[str]:
        """Remove the snapshots that are of no group or part of one; yield a line for each."""
        known = [set(group) for group in groups]
        for path, head in self._heads():
            if not head:
                self._remove(path)
                yield f"snapshot {path} ignored: it is damaged"
            elif not any(group.issuperset(head["cells"]) for group in known):
                self._remove(path)
                yield f"snapshot {path} ignored: this run has no group of the {len(head['cells'])} models in it"

    def _place(self, cells: Sequence[str]) -> Path:
        return self.path / f"{hashlib.sha256(' '.join(cells).encode()).hexdigest()[:16]}.snapshot"

    def _heads(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield each file with its first line, empty where that is damaged."""
        for path in sorted(self.path.glob("[!.]*.snapshot")) if self.path.is_dir() else []:
            try:
                with open(path, "rb") as file:
                    yield path, _parse(file.readline())
            except (SnapshotError, OSError):
                yield path, {}

    def _remove(self, path: Path) -> None:
        for each in (path, *self.path.glob(f".{path.name}.*")):  # and what a kill in the middle of writing left
            each.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


def _parse(line: bytes) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        raise SnapshotError("it is damaged") from None
    if not isinstance(head, dict) or not {"cells", "terms", "sha256"} <= head.keys():
        raise SnapshotError("it is damaged")
    return head
