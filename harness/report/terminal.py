"""The headline for a terminal: architectures by tasks, broken into as many tables as the width asks for."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report import number_format as fmt
from harness.report.captions import SOLVED_TO, chance, marks, provenance
from harness.report.claims import known_table
from harness.report.results import Question, View
from harness.report.run_tables import cost_table
from harness.report.table_cell import Entry

COLUMN = 16
LABEL = 27
VERDICTS = {"appears": "green", "does not appear": "red", "not measured": "dim"}


def terminal_report(cells: pd.DataFrame, scores: pd.DataFrame, meta: dict[str, Any], width: int = 100) -> Group:
    """Return the headline, the means beyond training and the cost; every line fits ``width`` columns.

    The arguments are those of :func:`harness.report.write.write_report`.
    """
    view = View.of(cells, scores, meta)
    if not view.architectures:
        return Group(Text("Nothing has been trained yet."))
    parts: list[RenderableType] = [
        *_known(view),
        *_grid(view, width, "Solved to, and seeds that fit", _solved),
        *_grid(view, width, "Exact match beyond training lengths, median over seeds", _score),
        _cost(view),
    ]
    entries = [view.entry(architecture, question) for architecture in view.architectures for question in view.main]
    caption = f"{SOLVED_TO} Dim: fewer than half of the seeds fit. {provenance(view)}{marks(entries)}"
    return Group(*parts, Text(caption, style="dim"))


def _known(view: View) -> Iterator[Table]:
    """Yield the claims of the literature with what became of them, where the suite has any."""
    claims = known_table(view).frame
    if len(claims):
        table = Table(title="\nKnown results", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        for name in ("claim", "verdict"):
            table.add_column(name, overflow="fold")
        for claim, verdict in dict(zip(claims.claim, claims.verdict, strict=True)).items():
            table.add_row(claim, Text(verdict, VERDICTS[verdict]))
        yield table


def _grid(view: View, width: int, title: str, write: Callable[[Entry], Text]) -> Iterator[Table]:
    label = _label(view)
    fit = max(1, (width - label - 1) // (COLUMN + 2))
    for start in range(0, len(view.main), fit):
        questions = view.main[start : start + fit]
        table = _table(title if not start else "", label)
        for question in questions:
            table.add_column(_head(question), width=COLUMN, justify="right", vertical="bottom", overflow="fold")
        for architecture in view.architectures:
            table.add_row(architecture, *(write(view.entry(architecture, question)) for question in questions))
        yield table


def _label(view: View) -> int:
    return min(LABEL, max(map(len, view.architectures)))


def _table(title: str, label: int) -> Table:
    look = {"title_justify": "left", "title_style": "bold", "show_edge": False, "padding": (0, 1, 0, 0)}
    table = Table(title=f"\n{title}", box=box.SIMPLE_HEAD, **look)  # type: ignore[arg-type]
    table.add_column("", width=label, overflow="fold")
    return table


def _head(question: Question) -> Text:
    ranges = f"{fmt.span(question.train)} → {fmt.span(question.lengths[-1:])}"
    by_chance = f"chance {fmt.score(chance(question, 'exact'))}"
    title = "\n".join(fmt.broken(question.title, COLUMN))
    return Text.assemble((title, "bold"), (f"\n{ranges}\n{by_chance}", "dim not bold"))


def _solved(entry: Entry) -> Text:
    if not entry.ok:
        return _word(entry)
    style = "dim" if not entry.fits else "green" if entry.solved >= 0.5 else ""
    return Text(f"{entry.reach} {entry.fit_text}", style)


def _score(entry: Entry) -> Text:
    return Text(entry.score_text("exact"), "" if entry.fits else "dim") if entry.ok else _word(entry)


def _word(entry: Entry) -> Text:
    return Text(entry.word, "red" if entry.status == "failed" else "dim")


def _cost(view: View) -> Table:
    frame = cost_table(view).frame
    table = _table("Cost", _label(view))
    for name in frame.columns[1:]:
        table.add_column(name.replace(" ", "\n", 1), justify="right", vertical="bottom", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    return table
