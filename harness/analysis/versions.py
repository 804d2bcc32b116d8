"""Cells of several run folders: the same cell counts once, and two versions of its code are two rows.

A cell is identified by its id and by the fingerprints of its code. The results do not depend on the order of folders.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.registry.catalog import PACKAGES, Kind
from harness.storage.cell_records import CellRecords
from harness.storage.records import Failure, TrainingRecord

DIGITS = 6
"""Hexadecimal digits of a fingerprint in a label."""

Labels = dict[tuple[Path, Kind, str], str]
"""The labels with a version, by folder, kind and the label without it."""


@dataclass
class StoredCell:
    """One cell of one folder: its row of the frame and its records."""

    folder: Path
    row: dict[str, Any]
    records: CellRecords

    @property
    def record(self) -> TrainingRecord | Failure:
        """The record of the training, or of its failure."""
        record = self.records.training or self.records.failure
        assert record is not None
        return record

    def version(self, kind: Kind) -> str:
        """The beginning of the fingerprint of its architecture or task."""
        return self.record.fingerprints.get(kind, "")[:DIGITS] or "unknown"


def code_version(record: TrainingRecord | Failure) -> str:
    """Return the beginnings of all fingerprints of a record in one word."""
    return "".join(record.fingerprints.get(kind, "")[:DIGITS] for kind in PACKAGES)


def add_versions(cells: Iterable[StoredCell]) -> Labels:
    """Add the version to ids and labels of cells that folders have trained with different code; return the labels."""
    cells = list(cells)
    versions_by_id: dict[str, set[str]] = {}
    for cell in cells:
        versions_by_id.setdefault(cell.row["cell"], set()).add(code_version(cell.record))
    labels: Labels = {}
    versioned = {kind: _versioned(cells, kind) for kind in PACKAGES}
    for cell in cells:
        if len(versions_by_id[cell.row["cell"]]) > 1:
            for key in ("cell", "current"):
                cell.row[key] += f"@{code_version(cell.record)}"
        for kind in PACKAGES:
            label = cell.row[kind]
            if label in versioned[kind]:
                cell.row[kind] = f"{label} [code {cell.version(kind)}]"
                labels[cell.folder, kind, label] = cell.row[kind]
    return labels


def _versioned(cells: Iterable[StoredCell], kind: Kind) -> set[str]:
    """Return the labels of a kind that folders have trained with different code on the same pair."""
    versions: dict[tuple[str, str], dict[Path, set[str]]] = {}
    for cell in cells:
        folders = versions.setdefault((cell.row["architecture"], cell.row["task"]), {})
        folders.setdefault(cell.folder, set()).add(cell.version(kind))
    place = list(PACKAGES).index(kind)
    return {pair[place] for pair, folders in versions.items() if len(set(map(frozenset, folders.values()))) > 1}


def version_notes(cells: Iterable[StoredCell]) -> list[str]:
    """Say for each label with a version which folders it comes from."""
    folders: dict[str, set[str]] = {}
    for cell in cells:
        for kind in PACKAGES:
            if cell.row[kind].endswith(f" [code {cell.version(kind)}]"):
                folders.setdefault(cell.row[kind], set()).add(str(cell.folder))
    return [f"{label} comes from {' and '.join(sorted(paths))}" for label, paths in sorted(folders.items())]


def by_identity(cells: Iterable[StoredCell]) -> list[list[StoredCell]]:
    """Return the cells in groups of the same cell, code and labels, in the order of their first occurrence."""
    groups: dict[tuple[str, str, str], list[StoredCell]] = {}
    for cell in cells:
        identity = cell.row["cell"], cell.row["architecture"], cell.row["task"]
        groups.setdefault(identity, []).append(cell)
    return list(groups.values())


def merge(same: list[StoredCell]) -> tuple[StoredCell, list[StoredCell]]:
    """Return the record of a cell that counts, and other records of the same training.

    A finished training counts before a failed one, then the newer one.
    """
    ordered = sorted(
        same, key=lambda c: (c.row["status"] == "done", c.record.provenance.created, str(c.folder)), reverse=True
    )
    first, others = ordered[0], ordered[1:]
    training = first.records.training
    steps = training.checkpoints if training else []
    return first, [c for c in others if c.records.training and c.records.training.checkpoints == steps]
