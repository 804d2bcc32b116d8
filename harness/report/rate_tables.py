"""Tables of learning rates: scores at every rate, and how wide the window is in which a pair solves its training."""

from collections.abc import Mapping
from math import isinf, isnan
from typing import Any

import pandas as pd

from harness.analysis.learning_rate_windows import window_widths
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results

WINDOW = (
    "Window is the largest rate divided by the smallest whose mean exact match in validation at training lengths is "
    "at least 0.99; >= says that such a rate is an end of the grid, so that the window may be wider."
)


def window_text(factor: float, is_open: bool = False, gap: bool = False) -> str:
    """Write the width of a window of learning rates.

    >>> window_text(30.0), window_text(30.0, is_open=True), window_text(10.0, gap=True)
    ('x30', '>=x30', 'x10 with gaps')
    >>> window_text(1.0), window_text(0.0), window_text(float("nan"))
    ('one rate', 'none', '–')
    """
    if isnan(factor):
        return fmt.NOTHING
    if factor <= 1:
        return "one rate" if factor else "none"
    return f"{'>=' if is_open else ''}x{factor:.2g}{' with gaps' if gap else ''}"


def rates_table(results: Results) -> Table:
    """Return scores at every learning rate, with a mark at the chosen one, and the window of each pair."""
    data = results.rates.dropna(subset="learning_rate")
    rates, rows = sorted(data.learning_rate.unique()), []
    texts_by_pair: dict[tuple[str, str], dict[float, str]] = {}
    for row in data.to_dict("records"):
        texts_by_pair.setdefault((row["task"], row["architecture"]), {})[row["learning_rate"]] = _rate_text(row)
    for task in results.tasks:
        for architecture in results.architectures:
            if texts := texts_by_pair.get((task, architecture)):
                columns = {f"{rate:g}": texts.get(rate, "") for rate in rates}
                window = {"window": pair_window(results, architecture, task)} if len(results.windows) else {}
                rows.append({"task": task, "architecture": architecture, **columns, **window})
    caption = (
        "Each column is a learning rate. It shows the mean exact match over the seeds that choose the rate: on "
        "validation data at training lengths / beyond training lengths, and the validation loss. Scores beyond "
        "training are never used for choosing. ▸ marks the chosen rate. ‡ marks a chosen rate at the edge of its "
        "grid, so a better rate may lie outside. A failed seed counts as 0. "
        f"{explained_window(results)}{selection(results)}"
    )
    return Table("learning-rates", "Learning rates", caption, pd.DataFrame(rows), results.rates, ("task",))


def explained_window(results: Results) -> str:
    """Explain the column of windows; empty where no pair tried several rates."""
    return f"{WINDOW} " if len(results.windows) else ""


def _rate_text(row: Mapping[Any, Any]) -> str:
    if not row["seeds"]:
        return "not run"
    text = f"{fmt.score(row['validation_exact'], 3)} / {fmt.score(row['exact_beyond'])}"
    if row["chosen"]:
        text = f"▸ {text}"
    if row["edge"]:
        text += "‡"
    if not isinf(row["validation_loss"]):
        text += f" (loss {row['validation_loss']:.2g})"
    if row["failed"]:
        text += f", {row['failed']:g} failed"
    return text


def pair_window(results: Results, architecture: str, task: str) -> str:
    """Return the width of a pair's window; a dash where fewer than two rates were tried."""
    row = results.window_of(architecture, task)
    return window_text(row["factor"], row["open"], row["gap"]) if row else fmt.NOTHING


def windows_table(results: Results) -> Table:
    """Return the width of each architecture's window over all tasks; empty where one learning rate was given."""
    data = window_widths(results.windows)
    by_name = {row["architecture"]: row for row in data.to_dict("records")}
    rows = []
    for name in (name for name in results.architectures if name in by_name):
        row = by_name[name]
        solved, width = f"{row['solved']} of {row['pairs']}", window_text(row["factor"], row["open"])
        rows.append({"architecture": name, "tasks solved at some rate": solved, "median window": width})
    caption = f"The lower median over tasks is shown; a task without such a rate counts as the narrowest. {WINDOW}"
    return Table("rate-windows", "Windows of learning rates", caption, pd.DataFrame(rows), data)
