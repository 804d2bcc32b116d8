"""Tables of training: how many steps a pair takes to leave the plateau of its loss and to fit."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.analysis.statistics import PAIR
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results

FITTED = (
    "A seed fits in training at the first validation that is right at every training length; in older runs, at the "
    "first whose exact match is 1. This is stricter than 'fit' in other tables, which allows for sampling error."
)
PLATEAU = (
    "It leaves the plateau at the first log point whose loss is below the mean of the loss at the first log point and "
    "of its smallest loss; never, if its smallest loss is above half of the first."
)
STATISTICS = {
    "seeds": ("cell", "size"),
    **{name: (name.rpartition("_")[0], name.rpartition("_")[2]) for name in ("fitted_at_count", "left_plateau_count")},
    **{f"{name}_{end}": (name, end) for name in ("fitted_at", "left_plateau") for end in ("median", "min", "max")},
    "steps_used": ("steps_used", "median"),
    "steps": ("steps", "max"),
}
"""Columns of the data of the table, over the reported seeds: the source column and how it is aggregated."""


def steps_table(results: Results) -> Table:
    """Return the steps to the end of the plateau and to fit of each pair; empty where nothing was trained."""
    data = results.progress.groupby(PAIR, sort=False).agg(**STATISTICS).reset_index()
    by_pair = {(row["architecture"], row["task"]): row for row in data.to_dict("records")}
    pairs = [(task, name) for task in results.tasks for name in results.architectures if (name, task) in by_pair]
    rows = [{"task": task, "architecture": name, **_steps(by_pair[name, task])} for task, name in pairs]
    caption = (
        "Steps are medians over the seeds that got there, with their range in brackets, next to the number of these "
        f"seeds. {FITTED} {PLATEAU} Steps used is the median over all seeds, of the full budget. "
        f"{selection(results)}"
    )
    return Table("steps-to-fit", "Steps to fit", caption, pd.DataFrame(rows), data, ("task",))


def _steps(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "left the plateau": _reached(row, "left_plateau"),
        "steps to leave it": _range(row, "left_plateau"),
        "fitted in training": _reached(row, "fitted_at"),
        "steps to fit": _range(row, "fitted_at"),
        "steps used": f"{fmt.count(row['steps_used'])} of {fmt.count(row['steps'])}",
    }


def _reached(row: Mapping[Any, Any], name: str) -> str:
    return f"{row[f'{name}_count']} of {row['seeds']}"


def _range(row: Mapping[Any, Any], name: str) -> str:
    """Return the median and the range of some steps; a dash where there are none."""
    low, high = row[f"{name}_min"], row[f"{name}_max"]
    median = fmt.count(row[f"{name}_median"])
    return f"{median} ({fmt.span_of(fmt.count, [low, high])})" if low < high else median
