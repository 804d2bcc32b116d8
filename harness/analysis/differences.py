"""Differences between two runs: whether a pair of architecture and task got better or worse from one run to the other.

A seed's score is its exact match, averaged over the lengths beyond training that both runs have evaluated; a failed
seed scores 0. The interval of the difference of the two means is Welch's t interval (Welch 1947). It allows for seeds
that differ, and is wider than needed where both runs have the same seeds. All intervals of a comparison hold together
with 95 % confidence (Bonferroni), so that two equal runs have a changed pair in at most one of twenty
comparisons.

A pair is *worse* if its interval lies below zero and the loss is at least :data:`SMALLEST`, and *better* likewise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.estimators import mean_over_lengths
from harness.analysis.schema import is_scored
from harness.analysis.statistics import PAIR

SMALLEST = 0.02
"""Smallest change of the mean exact match that counts; twice what a length that counts as solved may miss."""

FEWEST_SEEDS = 2
"""Seeds of each run below which a difference has no interval."""

WORSE, BETTER, UNCLEAR, UNJUDGED = "worse", "better", "no clear change", "too few seeds"
COLUMNS = [*PAIR, "seeds_first", "seeds_second", "first", "second", "difference", "low", "high", "change"]


def compare_seeds(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each pair that both runs have trained and tested beyond training.

    Columns: ``seeds_first``, ``seeds_second`` (failed ones included), the mean scores ``first`` and ``second``, their
    ``difference`` (second minus first) with ``low`` and ``high``, and ``change``: one of the four constants above.

    Args:
        first, second: the frames of :func:`seed_lengths` of the two runs.
    """
    groups = [dict(iter(frame.groupby(PAIR, sort=False))) for frame in (first, second)]
    rows: list[dict[str, Any]] = []
    for pair in (pair for pair in groups[0] if pair in groups[1]):
        scores = _common_scores(groups[0][pair], groups[1][pair])
        if all(len(of_run) for of_run in scores):
            rows.append(dict(zip(PAIR, pair, strict=True)) | _means(*scores))
    confidence = 1 - 0.05 / max(1, sum(min(row["seeds_first"], row["seeds_second"]) >= FEWEST_SEEDS for row in rows))
    return pd.DataFrame([_judged(row, confidence) for row in rows], columns=COLUMNS)


def seed_lengths(seeds: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    """Return the scores beyond training: one row for each seed and length, and one without a length for a failed seed.

    Args:
        seeds: final scores of the reported seeds, with architecture, task and seed.
        failed: the failed cells among the reported ones.
    """
    names = [*PAIR, "seed", "length", "exact"]
    longest = seeds.length.where(seeds.in_range).groupby([seeds[name] for name in PAIR]).transform("max")
    rows = seeds[(seeds.variant == "") & ~seeds.in_range & ~(seeds.length <= longest) & is_scored(seeds.status)]
    return pd.concat([rows[names], failed.reindex(columns=names)], ignore_index=True)


def _common_scores(*runs: pd.DataFrame) -> list[np.ndarray]:
    """Return the scores of the seeds of each run, over the lengths that all seeds which did not fail have."""
    tables = [run.dropna(subset="length").pivot_table(index="seed", columns="length", values="exact") for run in runs]
    of_runs = [set(table.dropna(axis=1).columns) for table in tables if len(table)]
    lengths = sorted(set.intersection(*of_runs)) if of_runs else []
    if not lengths:
        return [np.empty(0) for _ in runs]
    tables = [table.reindex(columns=lengths) for table in tables]
    return [
        np.array([*(mean_over_lengths(lengths, row) for row in table.to_numpy()), *_zeros(run)])
        for table, run in zip(tables, runs, strict=True)
    ]


def _zeros(run: pd.DataFrame) -> Sequence[float]:
    """Return a score of 0 for each failed seed."""
    return [0.0] * int(run.length.isna().sum())


def _means(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Return both means, their difference, its standard error and its degrees of freedom (Welch 1947)."""
    row: dict[str, float] = {"seeds_first": len(first), "seeds_second": len(second)}
    row |= {"first": first.mean(), "second": second.mean(), "difference": second.mean() - first.mean()}
    if min(len(first), len(second)) < FEWEST_SEEDS:
        return row | {"error": np.nan, "freedom": np.nan}
    parts = np.array([scores.var(ddof=1) / len(scores) for scores in (first, second)])
    squares = (parts**2 / [len(first) - 1, len(second) - 1]).sum()
    return row | {"error": np.sqrt(parts.sum()), "freedom": parts.sum() ** 2 / squares if squares else np.inf}


def _judged(row: Mapping[str, Any], confidence: float) -> dict[str, Any]:
    """Return a row with the interval of its difference and its change."""
    from scipy.special import stdtrit  # 0.1 s to import, which no other command needs

    half = stdtrit(row["freedom"], (1 + confidence) / 2) * row["error"] if row["error"] else 0.0
    low, high = row["difference"] - half, row["difference"] + half
    return {**row, "low": low, "high": high, "change": _change(row["difference"], low, high)}


def _change(difference: float, low: float, high: float) -> str:
    if np.isnan(low):
        return UNJUDGED
    if abs(difference) < SMALLEST or low <= 0 <= high:
        return UNCLEAR
    return WORSE if difference < 0 else BETTER
