"""The report of a run: tables, plots, and the HTML page that shows them all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import UserError, nearest
from harness.report.cost_plots import costs
from harness.report.export import write_table
from harness.report.figures import Gallery, save
from harness.report.heatmaps import inspections, score_maps
from harness.report.html import render
from harness.report.length_curves import curves
from harness.report.program_length import conjecture
from harness.report.results import View
from harness.report.tables import tables
from harness.report.training_curves import checkpoints, losses


def write_report(cells: pd.DataFrame, scores: pd.DataFrame, meta: dict[str, Any], folder: Path) -> Path:
    """Write ``report.html``, ``tables/*.csv|md|tex`` and ``plots/*.svg|png``; return the page's path.

    Args:
        cells, scores: the frames of :mod:`harness.analysis.schema`; empty and half-filled ones are allowed.
        meta: what :func:`harness.analysis.load.frames` returns; all keys are optional.
        folder: where to write; it is made if it does not exist.
    """
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
        save(gallery, view.looks, *(folder / "plots" / f"{gallery.name}.{kind}" for kind in ("svg", "png")))
    page = folder / "report.html"
    page.write_text(render(view, written, drawn), encoding="utf-8")
    return page


def write_pictures(view: View, folder: Path, names: Sequence[str]) -> None:
    """Write some of the plots as PNG files into a folder; raise :class:`UserError` for a name that is no plot."""
    drawn = galleries(view) if names else {}
    for name in names:
        if name not in drawn:
            raise UserError(f"picture {name!r}: this run has no such plot{nearest(name, drawn)}")
        save(drawn[name], view.looks, folder / f"{name}.png")


def galleries(view: View) -> dict[str, Gallery]:
    """Return the groups of plots that have something to show, by name."""
    drawn = [score_maps(view), curves(view, "exact"), curves(view, "token"), conjecture(view)]
    drawn += [checkpoints(view), costs(view), losses(view), inspections(view)]
    return {gallery.name: gallery for gallery in drawn if gallery.panels}
