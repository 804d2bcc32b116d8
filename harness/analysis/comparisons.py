"""Comparisons of two architectures over all tasks that both were trained on, and of all architectures by their ranks.

The probability of improvement is that of Agarwal et al. 2021 ("Deep Reinforcement Learning at the Edge of the
Statistical Precipice"): on a task drawn at random, a seed of one architecture scores higher than a seed of the other;
ties count one half. Intervals resample seeds within each task. The p-value of a difference is that of a permutation
test which exchanges the two architectures' seeds within each task. P-values of all comparisons together are adjusted by
Holm 1979, so that the chance of any false one stays below 5 %.

Scores are *scaled accuracies*: exact match with chance at 0 and a perfect score at 1.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

RESAMPLES = 2000
FEWEST_SEEDS = 3
"""Seeds of each architecture on a task, below which a resample says nothing."""

Scores = dict[str, dict[str, np.ndarray]]
"""Scaled accuracies of the seeds by architecture and task."""


def scaled(exact: np.ndarray, chance: float) -> np.ndarray:
    """Return exact match with chance at 0 and a perfect score at 1; scores below chance are negative."""
    return (exact - chance) / max(1 - chance, 1e-9)


def compare_all(scores: Scores) -> pd.DataFrame:
    """Compare every pair of architectures.

    Returns:
        One row for each pair with common tasks: ``better`` and ``other`` (the first has the higher mean), ``tasks``,
        ``probability`` of improvement with ``probability_low`` and ``probability_high``, ``difference`` of the mean
        scaled accuracy with ``difference_low`` and ``difference_high``, and ``p``, adjusted. The largest
        probability comes first.
    """
    rows = []
    for one, other in combinations(scores, 2):
        common = [task for task in scores[one] if task in scores[other]]
        samples = [(scores[one][task], scores[other][task]) for task in common]
        samples = [(x, y) for x, y in samples if min(len(x), len(y)) >= FEWEST_SEEDS]
        if samples:
            rows.append(compare_two(one, other, samples))
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    frame["p"] = holm(frame.p.to_numpy())
    return frame.sort_values("probability", ascending=False, kind="stable").reset_index(drop=True)


def compare_two(one: str, other: str, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, object]:
    """Return one row of :func:`compare_all`; ``samples`` are the seeds' scores of both on each task."""
    if np.mean([x.mean() - y.mean() for x, y in samples]) < 0:
        one, other, samples = other, one, [(y, x) for x, y in samples]
    rng = np.random.default_rng(0)
    better, differences, exchanged = (np.zeros((len(samples), RESAMPLES)) for _ in range(3))
    for task, (x, y) in enumerate(samples):
        drawn_x, drawn_y = (values[rng.integers(0, len(values), (RESAMPLES, len(values)))] for values in (x, y))
        better[task] = wins(drawn_x, drawn_y)
        differences[task] = drawn_x.mean(1) - drawn_y.mean(1)
        both = rng.permuted(np.tile(np.concatenate((x, y)), (RESAMPLES, 1)), axis=1)
        exchanged[task] = both[:, : len(x)].mean(1) - both[:, len(x) :].mean(1)
    probability = np.mean([wins(x[None], y[None])[0] for x, y in samples])
    difference = np.mean([x.mean() - y.mean() for x, y in samples])
    as_large = np.abs(exchanged.mean(0)) >= abs(difference) - 1e-12
    row: dict[str, object] = {"better": one, "other": other, "tasks": len(samples)}
    row |= {"probability": probability, "difference": difference}
    for name, values in (("probability", better.mean(0)), ("difference", differences.mean(0))):
        row[f"{name}_low"], row[f"{name}_high"] = np.percentile(values, [2.5, 97.5])
    return row | {"p": (1 + as_large.sum()) / (1 + RESAMPLES)}


def wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the share of pairs of seeds in which ``x`` ``[N, seeds]`` is above ``y``; ties count one half: ``[N]``."""
    above, equal = x[:, :, None] > y[:, None], x[:, :, None] == y[:, None]
    return (above + 0.5 * equal).mean((1, 2))


def holm(p: np.ndarray) -> np.ndarray:
    """Return adjusted p-values (Holm 1979): the smallest times their number, the next times one less, and so on."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def mean_ranks(scores: Scores) -> pd.DataFrame:
    """Return the mean rank of each architecture over the tasks that all of them have, 1 for the best; ties share ranks.

    Two architectures whose mean ranks differ by less than ``distance`` cannot be told apart (Nemenyi's test at 5 %,
    Demsar 2006). It is NaN for fewer than five tasks or three architectures, where the test has no power.
    """
    tasks = [task for task in next(iter(scores.values()), {}) if all(task in of_one for of_one in scores.values())]
    if not tasks:
        return pd.DataFrame(columns=["architecture", "rank", "tasks", "distance"])
    medians = pd.DataFrame({name: [np.median(of_one[task]) for task in tasks] for name, of_one in scores.items()})
    ranks = (-medians).round(9).rank(axis=1).mean()
    frame = pd.DataFrame({"architecture": ranks.index, "rank": ranks.to_numpy(), "tasks": len(tasks)})
    distance = critical_distance(len(scores), len(tasks)) if len(tasks) >= 5 and len(scores) >= 3 else np.nan
    return frame.assign(distance=distance).sort_values("rank", kind="stable").reset_index(drop=True)


def critical_distance(architectures: int, tasks: int) -> float:
    """Return Nemenyi's critical difference of mean ranks at 5 % (Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range  # takes half a second, and most reports do not need it

    quantile = float(studentized_range.ppf(0.95, architectures, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(architectures * (architectures + 1) / (6 * tasks)))
