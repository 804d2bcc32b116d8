"""Files of the report: tables, plots, and the HTML page that shows them all."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError, suggest
from harness.report.cost_plots import costs
from harness.report.export import csv, data_frames, write_table
from harness.report.figures import PanelGroup, draw, save
from harness.report.fit_plots import steps_to_fit
from harness.report.heatmaps import attention_maps, score_maps
from harness.report.html import render
from harness.report.length_curves import curves
from harness.report.program_length import program_length_plots
from harness.report.rate_plots import learning_rates
from harness.report.results import Results
from harness.report.tables import tables
from harness.report.training_curves import checkpoints, losses
from harness.report.unfitted import unfitted_losses


def write_report(results: Results, folder: Path) -> Path:
    """Write ``report.html``, ``tables/*.csv|md|tex`` and ``plots/*.svg|png``; return the path of the page.

    Next to the tables of the page, ``cells.csv``, ``scores.csv`` and ``curves.csv`` hold all data.

    The folder is created if it does not exist.
    """
    for name in ("tables", "plots"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tables_by_name = {table.name: table for table in tables(results)}
    for table in tables_by_name.values():
        write_table(table, folder / "tables")
    for name, frame in data_frames(results).items():
        (folder / "tables" / f"{name}.csv").write_text(csv(frame), encoding="utf-8")
    groups = panel_groups(results)
    drawings = {name: draw(group, results.plot_styles) for name, group in groups.items()}
    for name, drawing in drawings.items():
        drawing.write(*(folder / "plots" / f"{name}.{kind}" for kind in ("svg", "png")))
    page = folder / "report.html"
    page.write_text(render(results, tables_by_name, groups, drawings), encoding="utf-8")
    return page


def write_pictures(results: Results, folder: Path, names: Sequence[str]) -> None:
    """Write some of the plots as PNG files into a folder.

    Raises:
        UserError: if a name is not the name of a plot of this run.
    """
    groups = panel_groups(results) if names else {}
    for name in names:
        if name not in groups:
            raise UserError(f"picture {name!r}: this run has no such plot{suggest(name, groups)}")
        save(groups[name], results.plot_styles, folder / f"{name}.png")


def panel_groups(results: Results) -> dict[str, PanelGroup]:
    """Return the groups of plots that have something to show, by name."""
    groups = [score_maps(results), curves(results, "exact"), curves(results, "token"), program_length_plots(results)]
    groups += [checkpoints(results), costs(results), steps_to_fit(results), learning_rates(results)]
    groups += [unfitted_losses(results), losses(results), attention_maps(results)]
    return {group.name: group for group in groups if group.panels}
