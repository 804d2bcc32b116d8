"""When a model learns: the step at which its loss leaves the plateau, and the step at which it solves validation."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

HALF = 0.5

Curve = Sequence[Mapping[str, Any]]
"""Log points of one training: ``step``, ``loss`` and, at validation points, ``validation_exact`` (0 to 1)."""


def first_solved(curve: Curve) -> float:
    """Return the step of the first validation whose exact match is 1; NaN if there is none.

    Older records do not say when a model fitted; this stands for it.
    """
    solved = (point["step"] for point in curve if point.get("validation_exact") == 1.0)
    return float(next(solved, np.nan))


def left_plateau(curve: Curve) -> float:
    """Return the step at which a model left the plateau of its training loss; NaN if it never did.

    It is the first log point whose loss is below the mean of the loss at the first log point and of the smallest loss.
    A model whose smallest loss is above half of the first one never left. A model that learns before its first log
    point is measured from there, so its step comes late. Points without a finite loss are left out.
    """
    points = [(point["step"], point["loss"]) for point in curve if _is_finite(point.get("loss"))]
    first, smallest = (points[0][1], min(loss for _, loss in points)) if points else (0.0, np.inf)
    if smallest > HALF * first:
        return np.nan
    level = first + HALF * (smallest - first)
    return float(next((step for step, loss in points if loss < level), np.nan))


def _is_finite(loss: float | None) -> bool:
    return loss is not None and isfinite(loss)


def training_progress(cells: pd.DataFrame) -> pd.DataFrame:
    """Return finished and failed cells with ``left_plateau`` (step, NaN if never) and ``final_loss`` (last log point).

    Args:
        cells: the frame of cells with the columns ``status`` and ``curve``.
    """
    cells = cells[cells.status.isin(["done", "failed"])]
    curves = [curve if isinstance(curve, list) else [] for curve in cells.curve]
    losses = [next((point["loss"] for point in reversed(curve)), None) for curve in curves]
    return cells.assign(
        left_plateau=np.array([left_plateau(curve) for curve in curves], dtype=float),
        final_loss=np.array([np.nan if loss is None else loss for loss in losses], dtype=float),
    )
