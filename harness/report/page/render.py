"""Rendering of the page: the template, with the data, the style and the scripts embedded."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from harness.report.captions import Table
from harness.report.page.encoding import safe_json
from harness.report.page.findings import summary
from harness.report.page.payload import payload
from harness.report.page.sections import sections
from harness.report.results import Results
from harness.report.summary import provenance_lines, run_summary, warnings
from harness.report.table_cell import MARKS

HERE = Path(__file__).parent
VENDOR = ("d3", "plot")
SCRIPTS = (
    *("data", "format", "dom", "state", "styles", "tooltip", "tables"),
    *(
        "measures",
        "matrix",
        "pair",
        "panels",
        "marks",
        "lengths",
        "recipes",
        "rates",
        "steps",
        "losses",
        "cost",
        "programs",
    ),
    *("attention", "compare", "errors", "controls", "start"),
)
"""Files of ``scripts/``, in the order in which they need each other."""


def render(results: Results, tables: list[Table]) -> str:
    """Return the page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"pretty": pretty}
    data, by_name = payload(results, tables), {table.name: table for table in tables}
    scripts = list(_scripts())
    return environment.get_template("page.html").render(
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        scripts=[Markup(script) for script in scripts],
        policy=security_policy(scripts),
        data=Markup(safe_json(data)),
        sections=sections(results, data, by_name),
        title=results.meta.title or "Which architecture works beyond its training lengths?",
        created=results.meta.created.replace("T", " ").replace("+00:00", " UTC"),
        description=render_markdown(results.meta.description),
        summary=summary(results),
        findings=list(zip(data["tasks"].get("name", []), data["tasks"].get("finding", []), strict=True)),
        run_summary=run_summary(results),
        warnings=warnings(results),
        notes=results.meta.notes,
        provenance=provenance_lines(results),
        marks=MARKS,
    )


@cache
def _scripts() -> tuple[str, ...]:
    """Return the scripts of the page: the library's files as they are, and the page's own in one function."""
    own = "\n".join((HERE / "scripts" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    library = ((HERE / "vendor" / f"{name}.min.js").read_text(encoding="utf-8") for name in VENDOR)
    return (*library, f'(() => {{\n"use strict";\n{own}\n}})();')


def security_policy(scripts: list[str]) -> str:
    """Return a content security policy that allows these scripts and no others, and no request at all."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_markdown(text: str) -> Markup:
    """Render Markdown to HTML.

    HTML in the text is shown as it is written. Images become links, because the page loads no outside resources.
    """
    return Markup(MarkdownIt("commonmark", {"html": False}).disable("image").render(text))


def pretty(value: object) -> str:
    """Write >= and <= as one sign."""
    return str(value).replace(">=", "≥").replace("<=", "≤")
