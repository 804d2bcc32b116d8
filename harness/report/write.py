"""Write a report: tables, plots, and the page that shows them all."""

from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.export import write_table
from harness.report.figures import save
from harness.report.html import render
from harness.report.plots import galleries
from harness.report.results import View
from harness.report.tables import tables


def write(cells: pd.DataFrame, scores: pd.DataFrame, meta: dict[str, Any], folder: Path) -> Path:
    """Write everything into ``folder`` and return the page's path; see ``harness.report.write_report``."""
    view = View.of(cells, scores, meta)
    for name in ("tables", "plots"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    written = {table.name: table for table in tables(view)}
    for table in written.values():
        write_table(table, folder / "tables")
    view.cells.drop(columns="curve").to_csv(folder / "tables" / "cells.csv", index=False)
    view.scores.to_csv(folder / "tables" / "scores.csv", index=False)
    drawn = galleries(view)
    for gallery in drawn.values():
        save(gallery, view.looks, folder / "plots")
    page = folder / "report.html"
    page.write_text(render(view, written, drawn), encoding="utf-8")
    return page
