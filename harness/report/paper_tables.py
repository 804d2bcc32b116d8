"""The main tables as a paper prints them: intervals in the cells, and the best of each task in bold.

Only architectures of which at least half of the seeds fit can be the best. Nothing is bold on a task where the best is
not above chance, or not above the training lengths, because then nothing was solved.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from harness.analysis.estimators import intervals, median_weights
from harness.report import number_format as fmt
from harness.report.captions import (
    HEADER_ROWS,
    MEASURES,
    SOLVED_TO,
    Paper,
    chance,
    marks,
    seeds_and_selection,
    shortcut,
    task_header,
)
from harness.report.results import Results, TaskResult
from harness.report.table_cell import TableCell

Interval = tuple[float, float]

BOLD_SCORES = (
    "Bold: the highest median of those that fit and are above chance, and all whose interval reaches it; without "
    "intervals, all that are printed as the same number."
)
BOLD_LENGTHS = "Bold: the longest of those that fit, where it is beyond the training lengths."


def scores_paper(results: Results, measure: str) -> Paper:
    """Return medians beyond training with the 95% bootstrap intervals of the median."""
    ends = median_intervals(results, measure)

    def text(name: str, cell: TableCell, result: TaskResult) -> str:
        return cell.score_text(measure) + fmt.interval(*ends.get((name, result.task), (np.nan, np.nan)))

    def best(result: TaskResult) -> set[str]:
        medians = {name: cell.scores[measure] for name, cell in _fitted(results, result) if cell.scores}
        medians = {name: median for name, median in medians.items() if not np.isnan(median)}
        return best_scores(medians, {name: ends.get((name, result.task)) for name in medians}, chance(result, measure))

    frame, bold, cells = _grid(results, measure, text, best)
    caption = (
        "Mean over the lengths beyond training, as the median over seeds with its 95% bootstrap interval. "
        f"{MEASURES[measure]} Brackets: fewer than half of the seeds fit. {BOLD_SCORES} {seeds_and_selection(results)}"
    )
    return Paper(frame, bold, caption + marks(cells))


def solved_paper(results: Results) -> Paper:
    """Return how far each architecture solves each task, and how many seeds fit."""

    def text(name: str, cell: TableCell, result: TaskResult) -> str:
        return f"{cell.solved_text} ({cell.fitted}/{cell.graded})" if cell.has_scores else cell.status_text

    def best(result: TaskResult) -> set[str]:
        rows = {name: results.summary_row(name, result)["solved_length"] for name, _ in _fitted(results, result)}
        longest = max((length for length in rows.values() if not pd.isna(length)), default=0)
        return {name for name, length in rows.items() if length == longest > result.train[1]}

    frame, bold, cells = _grid(results, "exact", text, best)
    solved_to = SOLVED_TO.replace("'2/3 fit' says", "(2/3) says")
    caption = f"{solved_to} {BOLD_LENGTHS} {seeds_and_selection(results)}"
    return Paper(frame, bold, caption + marks(cells))


def best_scores(medians: dict[str, float], ends: dict[str, Interval | None], floor: float) -> set[str]:
    """Return the names of the highest median and of all that cannot be told from it; none where it is not above chance.

    >>> ends = {"a": (0.8, 1.0), "b": (0.8, 0.91), "c": (0.4, 0.6)}
    >>> sorted(best_scores({"a": 0.9, "b": 0.85, "c": 0.5}, ends, 0.5))
    ['a', 'b']
    """
    highest = max(medians.values(), default=0)
    best = next((name for name, median in medians.items() if median == highest), "")
    low, _ = ends.get(best) or (highest, highest)
    if not low > floor:
        return set()
    printed = fmt.score(highest)
    return {
        name
        for name, median in medians.items()
        if fmt.score(median) == printed or ((end := ends.get(name)) is not None and end[1] >= highest)
    }


def median_intervals(results: Results, measure: str) -> dict[tuple[str, str], Interval]:
    """Return the interval of the median beyond training of each pair with enough seeds; a failed seed counts as 0."""
    grades = results.grades.loc[results.grades.final & (results.grades.variant == ""), ["cell", measure]]
    seeds = results.selected[results.selected.status.isin(["done", "failed"])].merge(grades, on="cell", how="left")
    scores = seeds[measure].mask(seeds.status == "failed", 0.0)
    by_pair = {pair: of_pair.dropna().to_numpy() for pair, of_pair in scores.groupby([seeds.architecture, seeds.task])}
    most = max(map(len, by_pair.values()), default=0)
    if not most:
        return {}
    padded = np.array([np.pad(row, (0, most - len(row)), constant_values=np.nan) for row in by_pair.values()])
    low, high = intervals(padded, median_weights)
    ends = zip(by_pair, low.tolist(), high.tolist(), strict=True)
    return {pair: (start, end) for pair, start, end in ends if not np.isnan(start)}  # type: ignore[misc]


def _fitted(results: Results, result: TaskResult) -> Iterable[tuple[str, TableCell]]:
    """Return the architectures that have scores on a task and of which at least half of the seeds fit."""
    cells = ((name, results.table_cell(name, result)) for name in results.architectures)
    return [(name, cell) for name, cell in cells if cell.has_scores and cell.fits]


def _grid(
    results: Results,
    measure: str,
    text: Callable[[str, TableCell, TaskResult], str],
    best: Callable[[TaskResult], set[str]],
) -> tuple[pd.DataFrame, frozenset[tuple[int, str]], list[TableCell]]:
    """Return architectures by tasks with the header rows at the end, the places of the best, and all cells."""
    columns = {"architecture": [*results.architectures, *HEADER_ROWS]}
    bold: set[tuple[int, str]] = set()
    cells: list[TableCell] = []
    for result in results.main_results:
        column = [results.table_cell(name, result) for name in results.architectures]
        header = task_header(result, measure) | {"shortcut": _shortcut_score(result, measure)}
        texts = [text(name, cell, result) for name, cell in zip(results.architectures, column, strict=True)]
        columns[result.title] = [*texts, *header.values()]
        chosen = best(result)
        bold |= {(place, result.title) for place, name in enumerate(results.architectures) if name in chosen}
        cells += column
    return pd.DataFrame(columns), frozenset(bold), cells


def _shortcut_score(result: TaskResult, measure: str) -> str:
    """Return the score of the strongest simple reader without its name, which a column has no room for."""
    return shortcut(result, measure).partition(" ")[0]
