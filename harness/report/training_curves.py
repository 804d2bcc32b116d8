"""Plots of training: the loss of every seed, and scores beyond training at every checkpoint."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.report import number_format as fmt
from harness.report.captions import chance, selection
from harness.report.figures import Panel, PanelGroup
from harness.report.length_curves import DASHES
from harness.report.results import Results, TaskResult
from harness.report.style import INK, PAPER

MOST_POINTS = 150


def losses(results: Results) -> PanelGroup:
    """Return training loss by step, a line for each seed."""
    panels, legend = loss_panels(results, results.selected)
    caption = f"Each line is the training loss of one seed, with its marker at the end. {selection(results)}"
    return PanelGroup("loss", "Loss during training", caption, panels, legend)


def loss_panels(results: Results, cells: pd.DataFrame) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """Return a panel of losses for each task, and the architectures in them."""
    cells = cells[np.array([isinstance(curve, list) for curve in cells.curve], dtype=bool)]
    panels = tuple(
        Panel(task, partial(draw_losses, cells=cells[cells.task == task], results=results))
        for task in results.tasks
        if (cells.task == task).any()
    )
    return panels, tuple(name for name in results.architectures if name in set(cells.architecture))


def draw_losses(ax: Axes, cells: pd.DataFrame, results: Results) -> None:
    """Draw one panel. The seeds of an architecture are one collection, which is faster than a line for each."""
    ax.set_yscale("log")
    for architecture, curves in cells.groupby("architecture", sort=False).curve:
        style = results.plot_styles[str(architecture)]
        lines = [line for line in map(loss_line, curves) if line]
        ax.add_collection(LineCollection(lines, colors=style.color, linewidths=0.6, alpha=0.75))
        ends = np.reshape([line[-1] for line in lines], (-1, 2))
        ax.plot(*ends.T, color=style.color, marker=style.marker, ms=2.8, ls="")
    ax.autoscale_view()
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    step_axis(ax)
    ax.set(ylabel="loss")


def loss_line(curve: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
    """Return (step, loss) of the log points of one seed, thinned; losses that a logarithm cannot show are left out."""
    return thin([(point["step"], point["loss"]) for point in curve if (point.get("loss") or 0) > 0])


def step_axis(ax: Axes) -> None:
    """Label steps as 1k, 2k, ..."""
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.count(value)))
    ax.set(xlabel="training steps")


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most about ``MOST_POINTS`` of the points, always with the last one."""
    stride = max(1, len(points) // MOST_POINTS)
    return list(dict.fromkeys([*points[::stride], *points[-1:]]))


def checkpoints(results: Results) -> PanelGroup:
    """Return exact match beyond training by checkpoint; no panels where only the last one was evaluated."""
    graded = results.checkpoints
    panels = []
    for result in results.task_results:
        rows = graded[(graded.task == result.task) & (graded.variant == result.variant)].dropna(subset="exact")
        if len(rows):
            note = f"lengths {fmt.span(result.beyond)}, chance {fmt.score(chance(result, 'exact'))}"
            draw = partial(draw_checkpoints, rows=rows, task_result=result, results=results)
            panels.append(Panel(result.title, draw, note))
    caption = (
        "Exact match beyond training lengths at each checkpoint. Each point is one seed; lines connect the medians. "
        f"Hollow points are seeds that did not fit their training lengths at that checkpoint. {selection(results)}"
    )
    legend = tuple(name for name in results.architectures if name in set(graded.architecture))
    title = "Exact match beyond training lengths, by checkpoint"
    return PanelGroup("checkpoints", title, caption, tuple(panels), legend, ("chance", "unfit"))


def draw_checkpoints(ax: Axes, rows: pd.DataFrame, task_result: TaskResult, results: Results) -> None:
    """Draw one panel."""
    ax.axhline(chance(task_result, "exact"), color=INK, ls=":", lw=1.2, alpha=0.7)
    for name in (name for name in results.architectures if name in set(rows.architecture)):
        seeds, style = rows[rows.architecture == name], results.plot_styles[name]
        median = seeds.groupby("step").exact.median()
        last = seeds[seeds.final]
        ax.plot(median.index, median, color=style.color, lw=1.1, ls="-" if last.fit.ne(False).mean() >= 0.5 else DASHES)
        for fit, points in seeds.groupby(seeds.fit.ne(False)):
            face = style.color if fit else PAPER
            ax.plot(
                points.step, points.exact, color=style.color, marker=style.marker, mfc=face, ms=2.8, ls="", alpha=0.7
            )
    step_axis(ax)
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="exact match")
