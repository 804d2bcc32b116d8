"""Tables that compare architectures over all tasks of a run: pairs, ranks, and how far beyond training they get."""

from math import isnan

import pandas as pd

from harness.analysis.comparisons import FEWEST_SEEDS, Scores, compare_all, mean_ranks, scaled
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results

FACTORS = (1, 2, 4, 8, 16)
"""Multiples of the longest training length in the table of shares."""

BARS = (
    "A bar joins architectures of which no two differ: the p-values of their comparisons, adjusted for all pairs (Holm "
    "1979), are at least 0.05 (Demsar 2006)."
)


def seed_scores(results: Results) -> Scores:
    """Return the scaled accuracies beyond training of all reported seeds; a failed seed counts as chance.

    A pair whose trained seeds have no score beyond training has none, even if another seed failed.
    """
    grades = results.grades.loc[results.grades.final & (results.grades.variant == ""), ["cell", "exact"]]
    names = results.selected.loc[results.selected.status.isin(["done", "failed"])]
    rows = names[["cell", "architecture", "task", "status"]].merge(grades, on="cell", how="left")
    chance = {result.task: result.chance_exact for result in results.main_results}
    scores: Scores = {name: {} for name in results.architectures}
    for (architecture, task), seeds in rows.groupby(["architecture", "task"], sort=False):
        is_done = seeds.status == "done"
        if is_done.any() and seeds.exact[is_done].isna().all():
            continue
        exact = seeds.exact.where(is_done, chance[str(task)]).dropna().to_numpy()
        if len(exact):
            scores[str(architecture)][str(task)] = scaled(exact, chance[str(task)])
    return {name: of_one for name, of_one in scores.items() if of_one}


def pairs_table(results: Results) -> Table:
    """Return the comparison of every pair of architectures."""
    data = compare_all(seed_scores(results))
    rows = [
        {
            "architecture": row["better"],
            "against": row["other"],
            "tasks": fmt.count(row["tasks"]),
            "P(better)": fmt.score(row["probability"]),
            "95% interval": fmt.interval(row["probability_low"], row["probability_high"]).strip(),
            "difference": fmt.score(row["difference"]),
            "its 95% interval": fmt.interval(row["difference_low"], row["difference_high"]).strip(),
            "p (Holm)": fmt.score(row["p"], 3),
        }
        for row in data.to_dict("records")
    ]
    caption = (
        "P(better) is the probability that, on a task drawn at random, a seed of the first architecture scores higher "
        "than a seed of the second (Agarwal et al. 2021); ties count one half. Difference is that of the mean scaled "
        "accuracy: exact match beyond training with chance at 0 and a perfect score at 1. Intervals resample seeds "
        "within each task; p is that of a permutation test, adjusted for all pairs (Holm 1979). Tasks on which either "
        f"has fewer than {FEWEST_SEEDS} seeds are left out. With few tasks this is about these tasks only. "
        f"{selection(results)}"
    )
    return Table("comparisons", "Every pair of architectures", caption, pd.DataFrame(rows), data, labels=2)


def ranks_table(results: Results) -> Table:
    """Return the mean rank of each architecture over the tasks."""
    data = mean_ranks(seed_scores(results))
    rows = [
        {"architecture": row["architecture"], "mean rank": fmt.score(row["rank"]), "tasks": fmt.count(row["tasks"])}
        for row in data.to_dict("records")
    ]
    distance = float(data.distance.iloc[0]) if len(data) else float("nan")
    power = (
        "There are too few tasks or architectures to test whether ranks differ."
        if isnan(distance)
        else f"Mean ranks that differ by less than {distance:.2f} cannot be told apart (Nemenyi's test at 5 %)."
    )
    caption = (
        "Architectures are ranked on each task by the median scaled accuracy over seeds, 1 for the best; ties share "
        f"their ranks (Demsar 2006). Tasks that some architecture lacks are left out. {power}"
    )
    return Table("ranks", "Mean ranks", caption, pd.DataFrame(rows), data)


def profile_table(results: Results) -> Table:
    """Return the share of tasks that each architecture solves to a multiple of the longest training length."""
    rows, shares = [], []
    for name in results.architectures:
        ratios = [
            results.summary_row(name, result).get("solved_length", float("nan")) / result.train[1]
            for result in results.main_results
            if results.table_cell(name, result).has_scores
        ]
        if ratios:
            share = {f"x{factor}": sum(ratio >= factor for ratio in ratios) / len(ratios) for factor in FACTORS}
            shares.append({"architecture": name, "tasks": len(ratios)} | share)
            texts = {column: fmt.score(value) for column, value in share.items()}
            rows.append({"architecture": name, "tasks": fmt.count(len(ratios))} | texts)
    caption = (
        "Share of tasks that the median seed solves to at least so many times the longest training length. A task "
        "whose test lengths end earlier counts as not solved that far."
    )
    return Table("profile", "How far beyond training", caption, pd.DataFrame(rows), pd.DataFrame(shares))
