"""Plots of exact match by the number of tokens that a model has read before the question."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator

from harness.report import number_format as fmt
from harness.report.captions import selection
from harness.report.carried import carried_medians
from harness.report.figures import Panel, PanelGroup
from harness.report.results import Results


def carried_curves(results: Results) -> PanelGroup:
    """Return a panel for each task and variant, at the shortest length that was evaluated."""
    medians = carried_medians(results)
    panels = []
    for (task, variant), rows in medians.groupby(["task", "variant"], sort=False):
        shortest = rows[rows.length == rows.length.min()]
        note = f"questions of length {fmt.number(shortest.length.iloc[0])}"
        panels.append(Panel(f"{task} {variant}".strip(), partial(draw_carried, rows=shortest, results=results), note))
    caption = (
        "Each point is the median exact match over seeds, after a model has read so many tokens of other questions. "
        f"{selection(results)}"
    )
    legend = tuple(name for name in results.architectures if name in set(medians.architecture))
    return PanelGroup("carried", "Exact match from a carried state", caption, tuple(panels), legend)


def draw_carried(ax: Axes, rows: pd.DataFrame, results: Results) -> None:
    """Draw one panel; numbers of tokens stand at equal distances, with the empty state first."""
    tokens = sorted(set(rows.carried))
    for name in (name for name in results.architectures if name in set(rows.architecture)):
        line, style = rows[rows.architecture == name].sort_values("carried"), results.plot_styles[name]
        ax.plot(list(map(tokens.index, line.carried)), line.exact, color=style.color, marker=style.marker, ms=4)
    ax.xaxis.set_major_locator(FixedLocator(range(len(tokens))))
    ax.xaxis.set_major_formatter(FixedFormatter(list(map(fmt.number, tokens))))
    ax.set(
        ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="exact match", xlabel="tokens before the question"
    )
