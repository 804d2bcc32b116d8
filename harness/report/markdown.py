"""The report as one Markdown page, for repositories: the summary, the main tables and what was run."""

from collections.abc import Iterator
from pathlib import Path

from harness.report.export import markdown
from harness.report.results import View
from harness.report.summary import provenance, story, warnings
from harness.report.tables import tables

TABLES = ("solved-to", "known", "beyond-exact", "beyond-token", "cost", "learning-rates", "problems")
"""Names of the tables that the page shows; the others are long."""


def write_markdown(view: View, folder: Path) -> Path:
    """Write ``report.md`` into a folder, with the folder's pictures; return the file's path."""
    page = folder / "report.md"
    page.write_text("\n".join(_paragraphs(view, folder)), encoding="utf-8")
    return page


def _paragraphs(view: View, folder: Path) -> Iterator[str]:
    yield f"# {view.meta.get('title') or 'Lengthwise report'}\n"
    if view.meta.get("description"):
        yield f"{view.meta['description'].strip()}\n"
    yield f"{story(view)}\n"
    yield from (f"- {warning}\n" for warning in warnings(view))
    yield from (f"![{picture.stem}]({picture.name})\n" for picture in sorted(folder.glob("*.png")))
    written = {table.name: table for table in tables(view)}
    yield from (markdown(written[name]).removeprefix("#") for name in TABLES if name in written)
    yield "## What was run\n"
    yield from (f"- {name}: {'; '.join(lines)}" for name, lines in provenance(view))
    yield ""
