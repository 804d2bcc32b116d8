"""Scores from a carried state: what models answer after they have read other questions."""

import pandas as pd

from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results

KEYS = ["task", "variant", "architecture", "length", "carried"]


def carried_medians(results: Results) -> pd.DataFrame:
    """Return the median exact match over seeds by :data:`KEYS`, and ``n``, the seeds; ``carried`` is in tokens."""
    rows = results.carried[is_scored(results.carried.status)]
    medians = rows.groupby(KEYS, sort=False).agg(exact=("exact", "median"), n=("cell", "nunique")).reset_index()
    places = {name: place for place, name in enumerate([*results.tasks, *results.architectures])}
    return medians.sort_values(KEYS, key=lambda column: column.map(places) if column.name in PLACED else column)


PLACED = ("task", "architecture")
"""Keys that have the order of the report."""


def carried_table(results: Results) -> Table:
    """Return exact match by the number of carried tokens, a column for each."""
    medians = carried_medians(results)
    rows = []
    for key, group in medians.groupby(KEYS[:4], sort=False):
        row = dict(zip(KEYS[:4], key, strict=True)) | {"length": fmt.number(float(str(key[3])))}
        scores = dict(zip(group.carried, group.exact, strict=True))
        columns = {
            _column(tokens): fmt.score(scores.get(tokens, float("nan"))) for tokens in sorted(set(medians.carried))
        }
        rows.append(row | columns)
    frame = pd.DataFrame(rows)
    if not frame.empty and not frame.variant.any():
        frame = frame.drop(columns="variant")
    caption = (
        "Exact match, the median over seeds. Before each question a model reads so many tokens of other questions of "
        "the longest training length, with their answers, and keeps its state; with 0 it starts from an empty one. "
        f"{selection(results)}"
    )
    return Table("carried", "Exact match from a carried state", caption, frame, medians, ("task",))


def _column(tokens: float) -> str:
    return f"{fmt.number(tokens)} tokens"
