"""Tables, and the sentences of their captions: chance, training range, seeds, and how learning rates were chosen."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from harness.analysis.statistics import errors_that_pass
from harness.report import number_format as fmt
from harness.report.results import Results, TaskResult
from harness.report.table_cell import MARKS, TableCell

SHORTCUT = (
    "Shortcut is the best score of a simple reader, such as the last token or the counts of symbols, that is not the "
    "task's algorithm; ! marks one that solves the task."
)
SELECTIONS = {
    "given": "All seeds share the learning rate that was given.",
    "tuned": (
        "All seeds of an architecture on a task share one learning rate, chosen by validation at training lengths on "
        "other seeds, which are not reported; never by these scores."
    ),
    "all seeds": (
        "All seeds of an architecture on a task share one learning rate, chosen by validation at training lengths over "
        "these seeds, never by these scores."
    ),
}
"""How learning rates were chosen, by the value of ``Results.selection``."""
SOLVED_TO = (
    "Solved to is the last evaluated length before the first length whose 95% Wilson upper bound is below 99% exact "
    "match. The lower median over seeds is shown; >= says that the grid of lengths ended before the model failed. "
    "'2/3 fit' says that two of three seeds solved their training lengths."
)
HEADER_ROWS = ("trained on", "tested on", "chance", "shortcut")
MEASURES = {
    "exact": "Exact match counts an answer as right only if every token is right.",
    "token": "Token accuracy is the share of right answer tokens, teacher-forced where several tokens are generated.",
}


@dataclass(frozen=True)
class Paper:
    """The form of a table in LaTeX where it differs: texts, caption, and the (row, column) of the cells in bold."""

    frame: pd.DataFrame
    bold: frozenset[tuple[int, str]]
    caption: str


@dataclass(frozen=True)
class Table:
    """One table of the report.

    ``frame`` holds the text that is shown, ``data`` the values of the CSV file. ``group`` names leading columns whose
    values repeat over many rows; the page writes these values once, above their rows. ``parts`` are the columns of each
    part of the table in LaTeX, by default as many as fit; each part repeats the first columns, of which ``labels`` are
    the number.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    data: pd.DataFrame
    group: tuple[str, ...] = ()
    labels: int = 1
    paper: Paper | None = None
    parts: tuple[tuple[str, ...], ...] = ()


def chance(task_result: TaskResult, measure: str) -> float:
    """Return the mean chance beyond training."""
    return {"exact": task_result.chance_exact, "token": task_result.chance_token}[measure]


def task_header(task_result: TaskResult, measure: str) -> dict[str, str]:
    """Return what each score of a task is read against: training lengths, test lengths, chance, simple readers."""
    trained, tested = fmt.span(task_result.train), fmt.span(task_result.beyond)
    values = trained, tested, fmt.score(chance(task_result, measure)), shortcut(task_result, measure)
    return dict(zip(HEADER_ROWS, values, strict=True))


def shortcut(task_result: TaskResult, measure: str) -> str:
    """Return the score of the strongest simple reader and its name; ``!`` marks one that solves the task."""
    best = task_result.shortcut
    if best is None:
        return fmt.NOTHING
    score = fmt.score(best.exact if measure == "exact" else best.token)
    return f"{score}{'!' if best.solves else ''} {best.reader}"


def selection(results: Results) -> str:
    """Say how learning rates were chosen; where pairs differ in this, name the number of pairs of each way."""
    counts = results.selection.value_counts()
    if len(counts) < 2:
        return "".join(SELECTIONS[way] for way in counts.index)
    return " ".join(f"{fmt.plural(counts[way], 'pair')}: {SELECTIONS[way]}" for way in SELECTIONS if way in counts)


def seeds_and_selection(results: Results) -> str:
    """Say how many seeds and samples the scores rest on, and how learning rates were chosen."""
    seeds = fmt.span(count for count in results.summary.get("graded", []) if count)
    return f"Seeds: {seeds}; {samples_per_length(results)}. {selection(results)}"


def figure_caption(results: Results, title: str, caption: str, place: int = 1, of: int = 1) -> str:
    """Return the caption of a figure with the ranges, seeds and selection behind it, as one paragraph."""
    number = f" ({place} of {of})" if of > 1 else ""
    seeds, chosen = seeds_and_selection(results), selection(results)
    own = caption.replace(seeds, "").replace(chosen, "").strip()
    texts = [f"{title}{number}.", own, ranges(results), seeds]
    return " ".join(text for text in texts if text) + "\n"


def ranges(results: Results) -> str:
    """Return the lengths of training and of the test beyond it, once for all tasks that share them."""
    tasks: dict[tuple[str, str], list[str]] = {}
    for result in results.main_results:
        tasks.setdefault((fmt.span(result.train), fmt.span(result.beyond)), []).append(result.title)
    texts = [f"{', '.join(names)}: trained on {train}, tested on {test}" for (train, test), names in tasks.items()]
    return f"Lengths: {'; '.join(texts)}." if texts else ""


def samples_per_length(results: Results) -> str:
    """Say how many samples a test set beyond the training lengths has, and how many errors pass as solved."""
    numbers = [number for task_result in results.task_results for number in task_result.samples]
    passing = fmt.span(errors_that_pass(int(number)) for number in numbers)
    return f"{fmt.span(numbers)} samples per length, of which {passing} may be wrong in a length that counts as solved"


def marks(table_cells: Iterable[TableCell]) -> str:
    """Explain the marks that occur."""
    used = {mark for cell in table_cells for mark in cell.marks}
    return "".join(f" {mark}: {meaning}." for mark, meaning in MARKS.items() if mark in used)
