"""The data between the records and everything that reads results: two frames and :class:`ReportMeta`.

``cells`` has one row per planned or trained cell. ``status`` is ``done``, ``failed``, ``missing`` (planned, not yet
trained) or ``not applicable``, with the ``reason``. ``curve`` is a list of dicts: step, loss and, at validation points,
validation_exact and validation_loss. ``state_bytes`` maps lengths to bytes. ``fitted_at`` is the step of the first
validation that was right at every training length, NaN if there was none. Seconds are those of one model.

``scores`` has one row per cell, variant (``""`` is the main one), length and checkpoint. ``status`` is ``ok``,
``not finite`` (some logits were NaN or infinite and count as wrong), ``beyond reach`` (longer than the model's maximum
length), ``out of memory`` or ``raised``. The first two have scores. ``exact`` and ``token`` are fractions. ``n`` is the
number of distinct test questions. ``seen`` is the share of them that training has drawn, at training lengths. ``token``
is teacher-forced where an answer of several tokens is generated. ``by_position`` and ``by_events`` are counts of errors
(``ErrorCounts``) or None. ``carried`` are the tokens of other questions before each question. ``final`` marks the last
checkpoint, ``in_range`` the training lengths.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.config.claims import Claim
from harness.storage.records import SCORED

CELLS: dict[str, type] = {
    **dict.fromkeys(("run", "cell", "architecture", "name", "family", "task", "status", "reason"), str),
    **dict.fromkeys(("device", "kernel", "dtype", "git"), str),
    **dict.fromkeys(("seed", "learning_rate", "steps", "steps_used", "train_low", "train_high", "parameters"), float),
    **dict.fromkeys(("validation_exact", "validation_loss", "tokens_per_second", "distinct"), float),
    **dict.fromkeys(("fitted_at", "train_seconds", "validate_seconds", "evaluate_seconds"), float),
    "stale": bool,
    "state_bytes": object,
    "curve": object,
}
SCORES: dict[str, type] = {
    **dict.fromkeys(("cell", "variant", "status"), str),
    **dict.fromkeys(("step", "length", "n", "exact", "token", "tokens", "loss", "seconds"), float),
    **dict.fromkeys(("chance_exact", "chance_token", "shortcut_exact", "shortcut_token"), float),
    "shortcut": str,
    "seen": float,
    **dict.fromkeys(("by_position", "by_events"), object),
    "carried": float,
    **dict.fromkeys(("final", "in_range"), bool),
}
CASTS: dict[type, Callable[[Any], Any]] = {
    str: lambda value: value if isinstance(value, str) else "" if pd.isna(value) else str(value),
    float: lambda value: np.nan if pd.isna(value) else float(value),
    bool: lambda value: False if pd.isna(value) else bool(value),
    object: lambda value: value,
}
DTYPES: dict[type, Any] = {str: object, float: float, bool: bool, object: object}


def complete(frame: pd.DataFrame, columns: Mapping[str, type]) -> pd.DataFrame:
    """Return the frame with exactly ``columns``, cast to their types; columns that are missing become empty."""
    frame = frame.reindex(columns=list(columns)).reset_index(drop=True)
    return pd.DataFrame({name: _cast(frame[name], kind) for name, kind in columns.items()})


def _cast(column: pd.Series, kind: type) -> pd.Series:
    """Return a column with its type; columns of numbers mostly have it already."""
    if kind in (float, bool) and column.dtype == kind:
        return column
    return pd.Series(map(CASTS[kind], column), dtype=DTYPES[kind])


def is_scored(statuses: Any) -> np.ndarray:
    """Return which statuses of score rows have scores."""
    return np.isin(np.asarray(statuses, dtype=object).astype(str), SCORED)


@dataclass(frozen=True)
class ReportMeta:
    """What a report shows besides the numbers in the frames; each field may be left out."""

    title: str = ""
    """Heading of the report."""

    description: str = ""
    """Markdown text below the heading, from the suites."""

    created: str = ""
    """Creation time of the newest run."""

    command: Sequence[str] = ()
    """Command line of each run."""

    git: str = ""
    """Commit of the code that made the first run."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries of the first run, by name."""

    catalog_order: Sequence[str] = ()
    """Architecture labels in the order of their rows."""

    catalog_places: Mapping[str, int] = field(default_factory=dict)
    """Position of each architecture name in the whole catalog; it fixes the colour and the marker."""

    tasks_order: Sequence[str] = ()
    """Task labels in the order of their columns."""

    task_families: Mapping[str, str] = field(default_factory=dict)
    """Family of each task label."""

    specs: Mapping[str, str] = field(default_factory=dict)
    """The whole spec of each architecture label and of each task label, as records store it."""

    plugins: Sequence[str] = ()
    """Paths of the plug-ins of the runs."""

    programs: Mapping[str, int | None] = field(default_factory=dict)
    """Core operations of the RASP-L program of each task label; ``None`` where no program is known."""

    known: Sequence[Claim] = ()
    """Claims of the literature that the suites declare, with labels as the frames have them."""

    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The recipe with which each task label was trained, as records store it."""

    inspections: Sequence[Mapping[str, Any]] = ()
    """Attention and alignment maps of :func:`harness.analysis.attention_maps.attention_maps`."""

    not_applicable: Sequence[tuple[str, str, str]] = ()
    """(architecture, task, reason) of each pair that cannot be trained."""

    notes: Sequence[str] = ()
    """Remarks of the plans."""

    damaged: Sequence[str] = ()
    """A sentence about each cell that is left out because its record cannot be read."""
