"""A table, and the sentences that stand under tables: chance, ranges, seeds, and how anything was selected."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from harness.report import number_format as fmt
from harness.report.results import Question, View
from harness.report.table_cell import MARKS, Entry

SELECTION = "Learning rates: one for all seeds, chosen by validation at training lengths, never by these scores."
SOLVED_TO = (
    "The last evaluated length before the first whose 95% Wilson upper bound is below 99% exact match, lower median "
    "over seeds; >= says that the grid of lengths ended first. Beside it the seeds that fit, that is, solved their "
    "training lengths."
)
FACTS = ("trained on", "tested on", "chance")
MEASURES = {
    "exact": "exact match: every token of the answer is right",
    "token": "token accuracy, teacher-forced where answers of several tokens are generated",
}


@dataclass(frozen=True)
class Table:
    """One table: ``frame`` is what is read (text), ``data`` what is computed with (numbers, for the CSV file).

    ``group`` names leading columns that repeat over many rows; the page writes them once, above those rows.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    data: pd.DataFrame
    group: tuple[str, ...] = ()


def chance(question: Question, measure: str) -> float:
    """Return the mean chance beyond training."""
    return {"exact": question.chance_exact, "token": question.chance_token}[measure]


def facts(question: Question, measure: str) -> dict[str, str]:
    """What has to stand beside every score of a task."""
    values = fmt.span(question.train), fmt.span(question.beyond), fmt.score(chance(question, measure))
    return dict(zip(FACTS, values, strict=True))


def provenance(view: View) -> str:
    """Say how many seeds and samples the scores rest on, and how learning rates were chosen."""
    seeds = fmt.span(count for count in view.summary.get("graded", []) if count)
    samples = fmt.span(question.samples for question in view.questions)
    return f"Seeds: {seeds}; {samples} samples a length. {SELECTION}"


def marks(entries: Iterable[Entry]) -> str:
    """Explain the marks that occur."""
    used = {mark for entry in entries for mark in entry.marks}
    return "".join(f" {mark} {why}." for mark, why in MARKS.items() if mark in used)
