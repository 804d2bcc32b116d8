"""Files of the report: tables, data and the HTML page, which are always written, and static plots where asked for.

Matplotlib is imported only where a plot is drawn, because that import takes longer than to write a small report.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError, suggest
from harness.report import PAGE
from harness.report.captions import figure_caption
from harness.report.export import csv, data_frames, write_table
from harness.report.figure_format import ONE_PICTURE, FigureFormat
from harness.report.page.render import render
from harness.report.results import Results
from harness.report.tables import tables

if TYPE_CHECKING:
    from harness.report.figures import PanelGroup


def write_report(results: Results, folder: Path) -> Path:
    """Write ``report.html`` and ``tables/*.csv|md|tex``; return the path of the page.

    Next to the tables of the page, ``cells.csv``, ``scores.csv`` and ``curves.csv`` hold all data.

    The folder is created if it does not exist.
    """
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    all_tables = tables(results)
    for table in all_tables:
        write_table(table, folder / "tables")
    for name, frame in data_frames(results).items():
        (folder / "tables" / f"{name}.csv").write_text(csv(frame), encoding="utf-8")
    page = folder / PAGE
    page.write_text(render(results, all_tables), encoding="utf-8")
    return page


def write_figures(results: Results, folder: Path, figure_format: FigureFormat) -> None:
    """Write every plot of the run into ``plots/`` as SVG, PDF and PNG, with its caption in a ``.txt`` file.

    The folder is created if it does not exist.
    """
    from harness.report.figures import pages, save

    (folder / "plots").mkdir(parents=True, exist_ok=True)
    for group in panel_groups(results, figure_format).values():
        parts = pages(group, figure_format)
        for place, part in enumerate(parts, 1):
            files = [folder / "plots" / f"{part.name}.{kind}" for kind in ("svg", "pdf", "png")]
            save(part, results.plot_styles, figure_format, *files)
            caption = figure_caption(results, group.title, group.caption, place, len(parts))
            (folder / "plots" / f"{part.name}.txt").write_text(caption, encoding="utf-8")


def write_pictures(results: Results, folder: Path, names: Sequence[str]) -> None:
    """Write some of the plots as PNG files into a folder.

    Raises:
        UserError: if a name is not the name of a plot of this run.
    """
    from harness.report.figures import save

    groups = panel_groups(results, ONE_PICTURE) if names else {}
    for name in names:
        if name not in groups:
            raise UserError(f"picture {name!r}: this run has no such plot{suggest(name, groups)}")
        save(groups[name], results.plot_styles, ONE_PICTURE, folder / f"{name}.png")


def panel_groups(results: Results, figure_format: FigureFormat) -> "dict[str, PanelGroup]":
    """Return the groups of plots that have something to show, by name."""
    from harness.report.carried_plots import carried_curves
    from harness.report.cost_plots import costs
    from harness.report.error_maps import KINDS, MEASURES, error_maps
    from harness.report.fit_plots import steps_to_fit
    from harness.report.heatmaps import attention_maps, score_maps
    from harness.report.length_curves import curves
    from harness.report.program_length_plots import program_length_plots
    from harness.report.rank_plots import rank_picture
    from harness.report.rate_plots import learning_rates
    from harness.report.recipe_plots import recipe_curves, stage_curves
    from harness.report.training_curves import checkpoints, losses
    from harness.report.unfitted_plots import unfitted_losses

    groups = [
        score_maps(results, figure_format.room),
        curves(results, "exact"),
        curves(results, "token"),
        program_length_plots(results),
        rank_picture(results),
    ]
    groups += [checkpoints(results), costs(results), steps_to_fit(results), learning_rates(results)]
    groups += [recipe_curves(results), stage_curves(results), carried_curves(results)]
    groups += [error_maps(results, kind, measure) for kind in KINDS for measure in MEASURES]
    groups += [unfitted_losses(results), losses(results), attention_maps(results)]
    return {group.name: group for group in groups if group.panels}
