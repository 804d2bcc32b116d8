"""Reproducibility: whether two runs of one suite with different seeds order and judge the architectures alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.statistics import PAIR

MAJORITY = 0.5
SOLVED, FITS, UNFIT = "solved", "fits but does not generalize", "does not fit"


def verdict(row: Mapping[Any, Any]) -> str:
    """Return the verdict on a pair, from its row of ``summarize``; empty where no training length was evaluated.

    At least half of the seeds solve all evaluated lengths (``solved``), or at least half solve the training lengths
    (``fits but does not generalize``), or fewer (``does not fit``).
    """
    if row["status"] == "failed":
        return UNFIT
    if pd.isna(row["fit"]):
        return ""
    return SOLVED if row["solved"] >= MAJORITY else FITS if row["fit"] >= MAJORITY else UNFIT


def compare_pairs(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair of architecture and task that both runs have judged.

    Columns: ``exact_first``, ``exact_second`` (median exact match beyond training, 0 to 1; 0 where all seeds failed,
    NaN where nothing was evaluated beyond training), ``verdict_first``, ``verdict_second`` and ``same``.

    Args:
        first, second: the frames of ``summarize`` of the two runs.
    """
    both = _judged(first).merge(_judged(second), on=PAIR, suffixes=("_first", "_second"))
    return both.assign(same=both.verdict_first == both.verdict_second)


def _judged(summary: pd.DataFrame) -> pd.DataFrame:
    main = summary.reindex(columns=[*PAIR, "variant", "status", "exact", "fit", "solved"])
    main = main[(main.variant == "") & main.status.isin(["ok", "failed"])]
    verdicts = pd.Series([verdict(row) for row in main.to_dict("records")], main.index, dtype=object)
    exact = main.exact.mask(main.status == "failed", 0.0)
    return main.assign(exact=exact, verdict=verdicts).loc[verdicts != "", [*PAIR, "exact", "verdict"]]


def compare_tasks(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per task: ``architectures``, ``correlation``, ``difference``, ``largest`` and ``same``.

    ``correlation`` is the rank correlation of the exact match beyond training over architectures, ``difference`` the
    largest difference of the two medians with its architecture ``largest``, and ``same`` the number of architectures
    with the same verdict in both runs.

    Args:
        pairs: the frame of :func:`compare_pairs`.
    """
    rows = []
    for task, group in pairs.groupby("task", sort=False):
        difference = (group.exact_first - group.exact_second).abs()
        largest = group.architecture.iloc[int(difference.argmax())] if difference.notna().any() else ""
        row = {"task": task, "architectures": len(group), "same": int(group.same.sum())}
        row["correlation"] = rank_correlation(group.exact_first, group.exact_second)
        row |= {"difference": difference.max(), "largest": largest}
        rows.append(row)
    return pd.DataFrame(rows, columns=["task", "architectures", "correlation", "difference", "largest", "same"])


def rank_correlation(first: pd.Series, second: pd.Series) -> float:
    """Return Spearman's rank correlation; equal values have their mean rank.

    Places where one value is NaN are left out. NaN where fewer than two values are left, or where all are equal.
    """
    known = first.notna() & second.notna()
    ranks = np.array([values[known].rank() for values in (first, second)])
    if any(len(set(of_run)) < 2 for of_run in ranks):
        return np.nan
    return float(np.corrcoef(ranks)[0, 1])
