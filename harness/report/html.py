"""The page: one HTML file without scripts or outside resources, for any screen, light or dark.

Templates see a :class:`View` through a few small structures made here; what a number means is decided elsewhere.
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

from harness.report import number_format as fmt
from harness.report.captions import MEASURES, Table, facts
from harness.report.figures import Gallery, Panel, picture
from harness.report.results import Question, View
from harness.report.summary import provenance, story, warnings
from harness.report.table_cell import MARKS

HERE = Path(__file__).parent
TEXTUAL = {"architecture", "task", "what", "which", "why", "solved to", "seeds", "expected", "measured", "holds"}
WRAPPED = {"which", "why", "expected", "measured"}
SECTIONS = {
    "known": "Known results",
    "solved-to": "How far each solves",
    "how-to-read": "How to read this",
    "score-map": "Scores beyond training",
    "length-exact": "Exact match by length",
    "length-token": "Token accuracy by length",
    "conjecture": "Program length",
    "detail": "All statistics",
    "checkpoints": "Along training",
    "cost": "Cost",
    "learning-rates": "Learning rates",
    "loss": "Loss",
    "inspections": "Attention and alignment",
    "problems": "Failures and gaps",
    "provenance": "Provenance",
}
ENDS = {"out of memory": "memory", "beyond reach": "reach"}


@dataclass(frozen=True)
class Square:
    """One tinted cell: its text, its level from chance (0) to perfect (1), and whether the model fit."""

    text: str
    level: float
    fits: bool = True

    @property
    def tint(self) -> str:
        """The level as a style; nothing where it is not known."""
        return "" if isnan(self.level) else f"--level:{self.level:.2f}"


def render(view: View, tables: dict[str, Table], galleries: dict[str, Gallery]) -> str:
    """Return the page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"pretty": pretty, "breakable": breakable, "picture": drawn}
    environment.globals |= {
        "grouped": grouped,
        "facts": facts,
        "textual": TEXTUAL,
        "wrapped": WRAPPED,
        "number": fmt.number,
    }
    return environment.get_template("page.html").render(
        view=view,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        sections=sections(tables, galleries),
        title=view.meta.get("title") or "Which architecture works beyond its training lengths?",
        created=view.meta.get("created"),
        description=prose(view.meta.get("description") or ""),
        story=story(view),
        warnings=warnings(view),
        notes=view.meta.get("notes") or [],
        tables=tables,
        galleries=galleries,
        swatches={name: Markup(look.swatch) for name, look in view.looks.items()},
        questions=view.main,
        lengths={measure: list(by_length(view, measure)) for measure in ("exact", "token")},
        provenance=provenance(view),
        marks=MARKS,
        measures=MEASURES,
    )


def drawn(panel: Panel, name: str) -> Markup:
    """Draw a panel into the page."""
    return Markup(picture(panel, name))


def sections(tables: dict[str, Table], galleries: dict[str, Gallery]) -> dict[str, str]:
    """Return the sections that have something to show, by anchor."""
    there = {name for name, table in tables.items() if len(table.frame)} | set(galleries)
    always = {"solved-to", "how-to-read", "problems", "provenance"}
    return {anchor: title for anchor, title in SECTIONS.items() if anchor in always | there}


def prose(markdown: str) -> Markup:
    """Render Markdown; HTML in it is shown as it is written, and images, which would be outside resources, as links."""
    return Markup(MarkdownIt("commonmark", {"html": False}).disable("image").render(markdown))


def pretty(value: Any) -> str:
    """Write >= and <= as one sign."""
    return str(value).replace(">=", "≥").replace("<=", "≤")


def breakable(name: str) -> Markup:
    """Let a label of a name and options break where an option begins."""
    return Markup("<wbr>").join(re.split(r"(?<=[:,])", name))


def grouped(table: Table) -> Iterator[tuple[list[tuple[str, str]], list[dict[str, str]]]]:
    """Yield (what a group of rows shares, its rows without that); one nameless group where nothing is shared."""
    names = list(table.group)
    rows = [{str(name): str(value) for name, value in row.items()} for row in table.frame.to_dict("records")]
    for shared, own in groupby(rows, key=lambda row: [(name, row[name]) for name in names]):
        yield shared, [{name: value for name, value in row.items() if name not in names} for row in own]


def by_length(view: View, measure: str) -> Iterator[tuple[Question, list[tuple[str, list[Square]]]]]:
    """Yield for every question the medians over seeds, architectures by lengths."""
    for question in view.questions:
        if not question.lengths or (measure == "token" and not question.several):
            continue
        own = view.seeds[(view.seeds.task == question.task) & (view.seeds.variant == question.variant)]
        rows = []
        for name in (name for name in view.architectures if name in set(own.architecture)):
            seeds = own[own.architecture == name]
            medians = seeds[seeds.status == "ok"].groupby("length")[measure].median().to_dict()
            ends = seeds[seeds.status != "ok"].groupby("length").status.first().to_dict()
            fits = view.entry(name, question).fits
            rows.append((name, [_square(question, measure, at, medians, ends, fits) for at in question.lengths]))
        yield question, rows


def _square(
    question: Question, measure: str, length: float, medians: dict[Any, float], ends: dict[Any, str], fits: bool
) -> Square:
    if length not in medians:
        return Square(ENDS.get(ends.get(length, ""), fmt.NOTHING), nan)
    floor = min(question.chance[measure].get(length, 0.0), 0.999)
    return Square(fmt.score(medians[length]), max(0.0, (medians[length] - floor) / (1 - floor)), fits)
