"""Plots of results on matplotlib axes. Each function takes the frames of :class:`Frames` and returns the axes.

They show the models that reports show, in the same colours: the seeds at the chosen learning rate. Rows can be selected
before with pandas.
"""

from typing import Any, Literal

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from harness.errors import UserError, suggest
from harness.report.length_curves import length_axis
from harness.report.style import plot_styles

Measure = Literal["exact", "token"]
LABELS = {"exact": "exact match", "token": "token accuracy"}


def plot_lengths(
    scores: pd.DataFrame, task: str | None = None, *, measure: Measure = "exact", ax: Axes | None = None
) -> Axes:
    """Draw a score by length: a line through the medians over seeds, a point for each seed.

    The training range is shaded and chance is dotted.

    Args:
        scores: the frame ``scores``.
        task: its label; it can be left out if the frame has one task.
        measure: ``exact`` or ``token``.
        ax: axes to draw on; by default new ones.

    Raises:
        UserError: if the task is not in the frame, or left out although there are several.
    """
    rows, task = _of_task(scores[scores.final & (scores.variant == "") & (scores.n > 0)], task)
    ax = ax or plt.subplots()[1]
    shared: dict[str, Any] = {"data": rows, "x": "length", "y": measure, "ax": ax, **colors(rows)}
    sns.lineplot(**shared, estimator="median", errorbar=None)
    sns.scatterplot(**shared, legend=False, s=14)
    trained = rows.length[rows.in_range]
    length_axis(ax, sorted(rows.length.unique()), (trained.min(), trained.max()))
    ax.plot(rows.groupby("length")[f"chance_{measure}"].mean(), ":", color="gray")
    ax.set(title=task, ylabel=LABELS[measure], ylim=(-0.04, 1.04))
    return ax


def plot_losses(cells: pd.DataFrame, task: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the training loss by step, a line for each model.

    Args:
        cells: the frame ``cells``.
        task: its label; it can be left out if the frame has one task.
        ax: axes to draw on; by default new ones.

    Raises:
        UserError: as :func:`plot_lengths`.
    """
    rows, task = _of_task(cells[cells.curve.map(lambda curve: isinstance(curve, list))], task)
    models = rows[["cell", "architecture", "curve"]].to_dict("records")
    points = pd.DataFrame([{**model, **point} for model in models for point in model["curve"]])
    ax = ax or plt.subplots()[1]
    shared: dict[str, Any] = {**colors(rows), "units": "cell", "estimator": None, "lw": 0.8}
    sns.lineplot(data=points.dropna(subset="loss"), x="step", y="loss", ax=ax, **shared)
    ax.set(title=task, ylabel="training loss", yscale="log")
    return ax


def plot_matrix(scores: pd.DataFrame, *, measure: Measure = "exact", ax: Axes | None = None) -> Axes:
    """Draw architectures by tasks: the median over seeds of the mean score at lengths beyond training.

    Args:
        scores: the frame ``scores``.
        measure: ``exact`` or ``token``.
        ax: axes to draw on; by default new ones.
    """
    rows = scores[scores.reported & scores.final & (scores.variant == "") & ~scores.in_range & (scores.n > 0)]
    means = rows.groupby(["architecture", "task", "seed"], sort=False)[measure].mean()
    table = means.groupby(["architecture", "task"], sort=False).median().unstack()
    ax = ax or plt.subplots()[1]
    sns.heatmap(table, vmin=0, vmax=1, annot=True, fmt=".2f", cmap="Blues", ax=ax, cbar_kws={"label": LABELS[measure]})
    ax.set(title="Beyond training lengths", xlabel="", ylabel="")
    return ax


def colors(rows: pd.DataFrame) -> dict[str, Any]:
    """Return seaborn's arguments that give each architecture the colour it has in a report of these rows."""
    styles = plot_styles(dict(zip(rows.architecture, rows.family, strict=True)))
    return {"hue": "architecture", "palette": {name: style.color for name, style in styles.items()}}


def _of_task(frame: pd.DataFrame, task: str | None) -> tuple[pd.DataFrame, str]:
    """Return the reported rows of one task, and its label."""
    rows = frame[frame.reported]
    labels = list(dict.fromkeys(rows.task))
    if task is None and len(labels) != 1:
        hint = f"; choose one of them, for example task={labels[0]!r}" if labels else ", as no model is finished"
        raise UserError(f"the frame has {len(labels)} tasks{hint}")
    if task is not None and task not in labels:
        raise UserError(f"task {task!r} is not in the frame{suggest(task, labels)}")
    chosen = labels[0] if task is None else task
    return rows[rows.task == chosen], chosen
