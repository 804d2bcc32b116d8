"""Learning-rate windows: for how wide a range of rates an architecture solves its training lengths on a task.

A narrow window says that a score depends on the choice of the rate, and that a pair may fail only because no rate of
the grid lies in its window.
"""

from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.statistics import PAIR, SOLVED, choosing_cells


def add_scores_beyond(rates: pd.DataFrame, cells: pd.DataFrame, grades: pd.DataFrame) -> pd.DataFrame:
    """Return ``rates`` with the column ``exact_beyond``, which is shown and never used to choose a rate.

    It is the mean exact match beyond training (0 to 1) over the cells that choose the rate, at every rate. A failed
    cell counts as 0; NaN where nothing was evaluated beyond training.

    Args:
        rates: the frame of ``compare_learning_rates``.
        cells: the complete frame of cells.
        grades: the rows of ``grade_cells`` for the last checkpoints.
    """
    exact = grades[grades.variant == ""].set_index("cell").exact
    choosing = choosing_cells(cells)
    beyond = choosing.cell.map(exact).where(choosing.status != "failed", 0.0)
    keys = [*PAIR, "learning_rate"]
    means = choosing.assign(exact_beyond=beyond).groupby(keys, dropna=False).exact_beyond.mean().reset_index()
    return rates.merge(means, on=keys, how="left")


def rate_windows(rates: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair of architecture and task of which several learning rates were tried.

    A rate solves the training lengths if its mean exact match in validation is at least ``SOLVED``. ``tried`` and
    ``solved`` are numbers of rates, ``low`` and ``high`` the smallest and the largest rate that solves (NaN if none).
    ``factor`` is ``high / low``: 0 if no rate solves, 1 if one does. ``gap`` says that a rate between them does not
    solve, ``open`` that one of the ends is an end of the grid, so that the window may be wider. ``best`` is the best
    mean exact match in validation and ``best_rate`` its rate, the smallest of equals.

    Args:
        rates: the frame of ``compare_learning_rates``.
    """
    tried = rates[rates.seeds > 0].dropna(subset="learning_rate").sort_values("learning_rate")
    rows = [
        dict(zip(PAIR, pair, strict=True)) | _window(group)
        for pair, group in tried.groupby(PAIR, sort=False)
        if len(group) > 1
    ]
    names = [*PAIR, "tried", "solved", "low", "high", "factor", "gap", "open", "best", "best_rate"]
    return pd.DataFrame(rows, columns=names)


def _window(rates: pd.DataFrame) -> dict[str, Any]:
    """Return the window of one pair; ``rates`` ascend."""
    solves = (rates.validation_exact >= SOLVED).to_numpy()
    places, grid, best = np.flatnonzero(solves), rates.learning_rate.to_numpy(), rates.validation_exact.argmax()
    first, last = (places[0], places[-1]) if len(places) else (0, -1)
    low, high = (grid[first], grid[last]) if len(places) else (np.nan, np.nan)
    return {
        "tried": len(grid),
        "solved": len(places),
        "low": low,
        "high": high,
        "factor": high / low if len(places) else 0.0,
        "gap": bool(len(places) < last - first + 1),
        "open": bool(len(places) and (first == 0 or last == len(grid) - 1)),
        "best": rates.validation_exact.iloc[best],
        "best_rate": grid[best],
    }


def window_widths(windows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per architecture: ``pairs``, ``solved`` (pairs with a window), and ``factor``.

    ``factor`` is the lower median over tasks of the width of the window, in which a pair without one counts as 0.
    ``open`` says that the window of that task touches an end of its grid.

    Args:
        windows: the frame of :func:`rate_windows`.
    """
    rows = []
    for architecture, group in windows.groupby("architecture", sort=False):
        middle = group.sort_values(["factor", "open"]).iloc[(len(group) - 1) // 2]
        solved = int((group.solved > 0).sum())
        rows.append({"architecture": architecture, "pairs": len(group), "solved": solved})
        rows[-1] |= {"factor": middle.factor, "open": bool(middle.open)}
    return pd.DataFrame(rows, columns=["architecture", "pairs", "solved", "factor", "open"])
