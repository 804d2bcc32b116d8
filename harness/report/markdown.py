"""The report as one Markdown page, for repositories: the summary, the main tables and the provenance."""

from collections.abc import Iterator
from pathlib import Path

from harness.report.export import markdown
from harness.report.results import Results
from harness.report.summary import provenance_lines, run_summary, warnings
from harness.report.tables import tables

TABLES = (
    *("solved-to", "known", "beyond-exact", "beyond-token", "recipes", "transfer", "stages", "carried", "settings"),
    *("unfitted", "steps-to-fit", "cost", "learning-rates", "rate-windows", "problems"),
)
"""Names of the tables on the page; the other tables are too long for it."""


def write_markdown(results: Results, folder: Path) -> Path:
    """Write ``report.md`` into a folder, with links to the folder's PNG files; return the path of the page."""
    page = folder / "report.md"
    page.write_text("\n".join(_paragraphs(results, folder)), encoding="utf-8")
    return page


def _paragraphs(results: Results, folder: Path) -> Iterator[str]:
    yield f"# {results.meta.title or 'Lengthwise report'}\n"
    if results.meta.description:
        yield f"{results.meta.description.strip()}\n"
    yield f"{run_summary(results)}\n"
    yield from (f"- {warning}\n" for warning in warnings(results))
    yield from (f"![{picture.stem}]({picture.name})\n" for picture in sorted(folder.glob("*.png")))
    tables_by_name = {table.name: table for table in tables(results)}
    yield from (markdown(tables_by_name[name]).removeprefix("#") for name in TABLES if name in tables_by_name)
    yield "## What was run\n"
    yield from (f"- {name}: {'; '.join(lines)}" for name, lines in provenance_lines(results))
    yield ""
