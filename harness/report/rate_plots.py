"""Plots of learning rates: exact match in validation and beyond training at every rate, one panel for each task."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.analysis.statistics import PAIR
from harness.report.captions import selection
from harness.report.figures import Panel, PanelGroup
from harness.report.length_curves import DASHES, dodges
from harness.report.results import Results
from harness.report.style import PAPER, PlotStyle

SPREAD = 3.0
"""How much wider than lengths the rates are dodged: there are few of them, and many scores of 1."""


def learning_rates(results: Results) -> PanelGroup:
    """Return exact match by learning rate for each task on which several rates were tried."""
    rates = results.rates[results.rates.seeds > 0].merge(results.windows[PAIR], on=PAIR)
    panels = tuple(
        Panel(task, partial(draw_rates, rates=rates[rates.task == task], results=results), size=(2.6, 2.0))
        for task in results.tasks
        if (rates.task == task).any()
    )
    caption = (
        "Solid lines are the mean exact match on validation data at training lengths, which chooses the rate; dashed "
        "lines are the mean beyond training lengths, which is never used for choosing. A large filled marker is the "
        "chosen rate. Means are over the seeds that choose the rate. Architectures are moved slightly to the side, so "
        f"that equal curves do not hide each other. {selection(results)}"
    )
    legend = tuple(name for name in results.architectures if name in set(rates.architecture))
    return PanelGroup("learning-rates", "Exact match by learning rate", caption, panels, legend, ("solid", "dashed"))


def draw_rates(ax: Axes, rates: pd.DataFrame, results: Results) -> None:
    """Draw one panel."""
    grid = sorted(rates.learning_rate.unique())
    names = [name for name in results.architectures if name in set(rates.architecture)]
    for name, offset in zip(names, dodges(len(names)), strict=True):
        rows = rates[rates.architecture == name].sort_values("learning_rate")
        x = rows.learning_rate * (grid[-1] / grid[0]) ** (SPREAD * offset)
        for measure, dashes in (("exact_beyond", DASHES), ("validation_exact", "-")):
            draw_one(ax, rows.assign(x=x, y=rows[measure]), results.plot_styles[name], dashes)
    ax.set(xscale="log", xlabel="learning rate", ylabel="exact match")
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1])
    ax.xaxis.set_major_locator(FixedLocator(grid))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{rate:g}" for rate in grid]))
    ax.xaxis.set_minor_locator(NullLocator())


def draw_one(ax: Axes, rows: pd.DataFrame, style: PlotStyle, dashes: str | tuple[int, tuple[int, ...]]) -> None:
    """Draw one line of ``y`` by ``x`` with small hollow markers, and a large filled one at the chosen rate."""
    ax.plot(rows.x, rows.y, color=style.color, ls=dashes, lw=1.0, marker=style.marker, mfc=PAPER, ms=2.4, mew=0.6)
    chosen = rows[rows.chosen]
    ax.plot(chosen.x, chosen.y, color=style.color, ls="", marker=style.marker, ms=4, zorder=3)
