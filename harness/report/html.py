"""The report page: one HTML file without scripts or outside resources, for any screen size, light or dark.

This module prepares a :class:`Results` for the templates ``page.html`` and ``parts.html``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import isnan, nan
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import Table, task_header
from harness.report.figures import Drawing, PanelGroup
from harness.report.results import Results, TaskResult
from harness.report.summary import provenance_lines, run_summary, warnings
from harness.report.table_cell import MARKS

HERE = Path(__file__).parent
TEXT_COLUMNS = {"architecture", "task", "what", "which", "why", "solved to", "seeds", "expected", "measured", "holds"}
WRAPPED_COLUMNS = {"which", "why", "expected", "measured"}
SECTIONS = {
    "known": "Known results",
    "solved-to": "Solved to",
    "how-to-read": "How to read this",
    "score-map": "Scores beyond training",
    "length-exact": "Exact match by length",
    "length-token": "Token accuracy by length",
    "conjecture": "Program length",
    "detail": "All statistics",
    "checkpoints": "Checkpoints",
    "cost": "Cost",
    "unfitted": "Pairs that did not fit",
    "steps-to-fit": "Steps to fit",
    "learning-rates": "Learning rates",
    "loss": "Loss",
    "inspections": "Attention and alignment",
    "problems": "Failures and gaps",
    "provenance": "Provenance",
}
STATUS_WORDS = {"out of memory": "memory", "beyond reach": "reach"}
"""Short words for the status of a length that has no score."""


@dataclass(frozen=True)
class HeatCell:
    """One coloured cell: its text, its level from chance (0) to perfect (1), and whether the model fits."""

    text: str
    level: float
    fits: bool = True

    @property
    def tint(self) -> str:
        """The level as a CSS variable; empty where there is no score."""
        return "" if isnan(self.level) else f"--level:{self.level:.2f}"


def render(
    results: Results, tables: dict[str, Table], panel_groups: dict[str, PanelGroup], drawings: dict[str, Drawing]
) -> str:
    """Return the page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"pretty": pretty, "breakable": breakable}
    environment.globals |= {
        "group_rows": group_rows,
        "task_header": task_header,
        "text_columns": TEXT_COLUMNS,
        "wrapped_columns": WRAPPED_COLUMNS,
        "number": fmt.number,
    }
    return environment.get_template("page.html").render(
        results=results,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        sections=sections(tables, panel_groups),
        title=results.meta.title or "Which architecture works beyond its training lengths?",
        created=results.meta.created,
        description=render_markdown(results.meta.description),
        run_summary=run_summary(results),
        warnings=warnings(results),
        notes=results.meta.notes,
        tables=tables,
        panel_groups=panel_groups,
        pictures={name: list(map(Markup, drawing.pictures)) for name, drawing in drawings.items()},
        swatches={name: Markup(style.swatch) for name, style in results.plot_styles.items()},
        length_grids={measure: list(length_grids(results, measure)) for measure in ("exact", "token")},
        provenance=provenance_lines(results),
        marks=MARKS,
    )


def sections(tables: dict[str, Table], panel_groups: dict[str, PanelGroup]) -> dict[str, str]:
    """Return the sections that have something to show, by anchor."""
    present = {name for name, table in tables.items() if len(table.frame)} | set(panel_groups)
    present |= {"solved-to", "how-to-read", "problems", "provenance"}
    return {anchor: title for anchor, title in SECTIONS.items() if anchor in present}


def render_markdown(text: str) -> Markup:
    """Render Markdown to HTML.

    HTML in the text is shown as it is written. Images become links, because the page loads no outside resources.
    """
    return Markup(MarkdownIt("commonmark", {"html": False}).disable("image").render(text))


def pretty(value: Any) -> str:
    """Write >= and <= as one sign."""
    return str(value).replace(">=", "≥").replace("<=", "≤")


def breakable(name: str) -> Markup:
    """Allow line breaks in an architecture or task label before each option."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,])", name))


def group_rows(table: Table) -> Iterator[tuple[list[tuple[str, str]], list[dict[str, str]]]]:
    """Yield (shared values, rows without them) for each group of rows; without group columns, one unnamed group."""
    columns = list(table.group)
    rows = [{str(name): str(value) for name, value in row.items()} for row in table.frame.to_dict("records")]
    for shared, members in groupby(rows, key=lambda row: [(name, row[name]) for name in columns]):
        yield shared, [{name: value for name, value in row.items() if name not in columns} for row in members]


def length_grids(results: Results, measure: str) -> Iterator[tuple[TaskResult, list[tuple[str, list[HeatCell]]]]]:
    """Yield for each task and variant its medians over seeds, architectures by lengths."""
    for result in results.task_results:
        if not result.lengths or (measure == "token" and not result.multi_token):
            continue
        scores = results.seeds_of(result)
        names = [name for name in results.architectures if name in set(scores.architecture)]
        yield result, [(name, _heat_row(results, result, measure, name)) for name in names]


def _heat_row(results: Results, task_result: TaskResult, measure: str, architecture: str) -> list[HeatCell]:
    scores = results.seeds_of(task_result)
    scores = scores[scores.architecture == architecture]
    scored = is_scored(scores.status)
    medians = scores[scored].groupby("length")[measure].median().to_dict()
    statuses = scores[~scored].groupby("length").status.first().to_dict()
    fits = results.table_cell(architecture, task_result).fits
    cells = []
    for length in task_result.lengths:
        if length in medians:
            floor = min(task_result.chance[measure].get(length, 0.0), 0.999)
            level = max(0.0, (medians[length] - floor) / (1 - floor))
            cells.append(HeatCell(fmt.score(medians[length]), level, fits))
        else:
            cells.append(HeatCell(STATUS_WORDS.get(statuses.get(length, ""), fmt.NOTHING), nan))
    return cells
