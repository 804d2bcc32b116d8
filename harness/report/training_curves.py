"""Pictures along training: the loss of every seed, and scores beyond training at every checkpoint."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.report import number_format as fmt
from harness.report.captions import SELECTION, chance
from harness.report.figures import Gallery, Panel
from harness.report.length_curves import DASHES
from harness.report.results import Question, View
from harness.report.style import INK, PAPER

MOST_POINTS = 150


def losses(view: View) -> Gallery:
    """Return training loss by step, a line for every seed."""
    traced = view.selected[np.array([isinstance(curve, list) for curve in view.selected.curve], dtype=bool)]
    panels = tuple(
        Panel(task, partial(draw_losses, cells=traced[traced.task == task], view=view))
        for task in view.tasks
        if (traced.task == task).any()
    )
    legend = tuple(name for name in view.architectures if name in set(traced.architecture))
    caption = f"Training loss, a line for every seed, its marker at the end. {SELECTION}"
    return Gallery("loss", "Loss during training", caption, panels, legend)


def draw_losses(ax: Axes, cells: pd.DataFrame, view: View) -> None:
    """Draw one panel."""
    for architecture, curve in zip(cells.architecture, cells.curve, strict=True):
        look = view.looks[architecture]
        points = [(point["step"], point["loss"]) for point in curve if (point.get("loss") or 0) > 0]
        steps, values = np.reshape(thin(points), (-1, 2)).T
        ax.plot(steps, values, color=look.color, lw=0.9, alpha=0.75)
        ax.plot(steps[-1:], values[-1:], color=look.color, marker=look.marker, ms=4)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    step_axis(ax)
    ax.set(ylabel="loss")


def step_axis(ax: Axes) -> None:
    """Label steps as 1k, 2k, ..."""
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.count(value)))
    ax.set(xlabel="training steps")


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep at most about ``MOST_POINTS`` points, the last one always."""
    stride = max(1, len(points) // MOST_POINTS)
    return list(dict.fromkeys([*points[::stride], *points[-1:]]))


def checkpoints(view: View) -> Gallery:
    """Return the exact match beyond training by checkpoint; no panels where there was only the last."""
    graded = view.checkpoints
    panels = []
    for question in view.questions:
        rows = graded[(graded.task == question.task) & (graded.variant == question.variant)].dropna(subset="exact")
        if len(rows):
            note = f"lengths {fmt.span(question.beyond)}, chance {fmt.score(chance(question, 'exact'))}"
            draw = partial(draw_checkpoints, rows=rows, question=question, view=view)
            panels.append(Panel(question.title, draw, note))
    caption = (
        "Exact match beyond training lengths at each checkpoint: a point for every seed, a line through the medians. "
        f"Hollow points did not fit their training lengths at that checkpoint. {SELECTION}"
    )
    legend = tuple(name for name in view.architectures if name in set(graded.architecture))
    return Gallery(
        "checkpoints", "Beyond training lengths, along training", caption, tuple(panels), legend, ("chance", "unfit")
    )


def draw_checkpoints(ax: Axes, rows: pd.DataFrame, question: Question, view: View) -> None:
    """Draw one panel."""
    ax.axhline(chance(question, "exact"), color=INK, ls=":", lw=1.2, alpha=0.7)
    for name in (name for name in view.architectures if name in set(rows.architecture)):
        own, look = rows[rows.architecture == name], view.looks[name]
        median = own.groupby("step").exact.median()
        last = own[own.final]
        ax.plot(median.index, median, color=look.color, ls="-" if last.fit.ne(False).mean() >= 0.5 else DASHES)
        for fit, points in own.groupby(own.fit.ne(False)):
            face = look.color if fit else PAPER
            ax.plot(points.step, points.exact, color=look.color, marker=look.marker, mfc=face, ms=4, ls="", alpha=0.7)
    step_axis(ax)
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="exact match")
