"""Plots of when models learn: one line for each seed, from the end of the plateau of its loss to its fit."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.report import number_format as fmt
from harness.report.captions import selection
from harness.report.figures import Panel, PanelGroup, row_height, row_label
from harness.report.length_curves import DASHES
from harness.report.results import Results
from harness.report.style import PAPER, PlotStyle
from harness.report.training_tables import FITTED, PLATEAU

HEIGHT = 0.7
"""Part of an architecture's row over which its seeds are spread."""


def steps_to_fit(results: Results) -> PanelGroup:
    """Return the steps from the end of the plateau to fit for each task: architectures by steps."""
    cells = results.progress[results.progress.status == "done"]
    size = (2.6, 0.6 + row_height(results.architectures) * max(2, len(results.architectures)))
    panels = tuple(
        Panel(task, partial(draw_steps, cells=cells[cells.task == task], results=results), size=size)
        for task in results.tasks
        if (cells.task == task).any()
    )
    caption = (
        "Each line is one seed, from the step at which it leaves the plateau to the step at which it fits (filled "
        "marker). A hollow marker at the end of the budget is a seed that never fits; its line is dashed, and missing "
        f"where it never leaves the plateau. {FITTED} {PLATEAU} {selection(results)}"
    )
    return PanelGroup("steps-to-fit", "Steps to fit", caption, panels, (), ("fitted", "never fitted"))


def draw_steps(ax: Axes, cells: pd.DataFrame, results: Results) -> None:
    """Draw one panel: the first architecture at the top."""
    names = [name for name in results.architectures if name in set(cells.architecture)]
    for place, name in enumerate(names):
        seeds = cells[cells.architecture == name].sort_values("seed")
        offsets = [HEIGHT * ((index + 0.5) / len(seeds) - 0.5) for index in range(len(seeds))]
        draw_seeds(ax, seeds.assign(y=[place + offset for offset in offsets]), results.plot_styles[name])
    first, last = cells[["left_plateau", "fitted_at", "steps"]].min().min(), cells.steps.max()
    ax.set(xscale="log", xlim=(0.8 * first, 1.2 * last), xlabel="training steps", ylim=(len(names) - 0.5, -0.5))
    ax.set_yticks(range(len(names)), [row_label(name) for name in names])
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.count(value)))
    ax.xaxis.set_minor_locator(NullLocator())


def draw_seeds(ax: Axes, seeds: pd.DataFrame, style: PlotStyle) -> None:
    """Draw the seeds of one architecture at their heights ``y``."""
    for fits, rows in seeds.groupby(seeds.fitted_at.notna()):
        ends = rows.fitted_at if fits else rows.steps
        # Log points can be further apart than the end of the plateau and the fit; such a line has no length.
        ax.hlines(
            rows.y, rows.left_plateau.clip(upper=ends), ends, color=style.color, lw=0.9, ls="-" if fits else DASHES
        )
        face = style.color if fits else PAPER
        ax.plot(ends, rows.y, color=style.color, ls="", marker=style.marker, mfc=face, ms=3, mew=0.7)
