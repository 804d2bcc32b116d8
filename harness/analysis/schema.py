"""The two frames between the store and everything that reads results: ``cells`` and ``scores``.

``cells`` has one row per planned or trained cell; ``status`` is ``done``, ``failed``, ``missing`` (planned, not yet
trained) or ``not applicable``, with the ``reason``. ``curve`` is a list of dicts: step, loss and, at validation points,
validation_exact and validation_loss. ``state_bytes`` maps lengths to bytes.

``scores`` has one row per cell, variant (``""`` is the main one), length and checkpoint; ``status`` is ``ok``,
``beyond reach`` or ``out of memory``. ``exact`` and ``token`` are fractions, ``token`` teacher-forced where an answer
of several tokens is generated; ``final`` marks the last checkpoint, ``in_range`` the training lengths.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

CELLS: dict[str, type] = {
    **dict.fromkeys(("run", "cell", "architecture", "name", "family", "task", "status", "reason"), str),
    **dict.fromkeys(("device", "kernel", "dtype", "git"), str),
    **dict.fromkeys(("seed", "learning_rate", "steps", "steps_used", "train_low", "train_high", "parameters"), float),
    **dict.fromkeys(("validation_exact", "validation_loss", "tokens_per_second", "distinct"), float),
    **dict.fromkeys(("train_seconds", "evaluate_seconds"), float),
    "stale": bool,
    "state_bytes": object,
    "curve": object,
}
SCORES: dict[str, type] = {
    **dict.fromkeys(("cell", "variant", "status"), str),
    **dict.fromkeys(("step", "length", "n", "exact", "token", "tokens", "loss", "seconds"), float),
    **dict.fromkeys(("chance_exact", "chance_token"), float),
    **dict.fromkeys(("final", "in_range"), bool),
}
CASTS: dict[type, Callable[[Any], Any]] = {
    str: lambda value: "" if pd.isna(value) else str(value),
    float: lambda value: np.nan if pd.isna(value) else float(value),
    bool: lambda value: False if pd.isna(value) else bool(value),
    object: lambda value: value,
}
DTYPES: dict[type, Any] = {str: object, float: float, bool: bool, object: object}


def complete(frame: pd.DataFrame, columns: Mapping[str, type]) -> pd.DataFrame:
    """Return the frame with exactly ``columns``, of their kinds; what a run under way has not written yet is empty."""
    frame = frame.reindex(columns=list(columns)).reset_index(drop=True)
    cast = {name: map(CASTS[kind], frame[name]) for name, kind in columns.items()}
    return pd.DataFrame({name: pd.Series(cast[name], dtype=DTYPES[kind]) for name, kind in columns.items()})
