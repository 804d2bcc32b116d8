"""Pictures made of coloured squares: the score map of the whole run, and attention or alignment weights."""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.report import number_format as fmt
from harness.report.captions import MEASURES, chance, provenance
from harness.report.figures import Gallery, Panel
from harness.report.results import Question, View
from harness.report.style import INK, PAPER, SHADE

COLORS = LinearSegmentedColormap.from_list("score", ["#eceef2", "#a9c9e8", "#3d8bc9", "#0d4a86"])
DARK = "#14181f"
MOST_SYMBOLS = 48


HEAD = 16
"""Letters of a column's name on one line."""


def score_maps(view: View) -> Gallery:
    """Return the scores beyond training as a map of architectures by tasks, in exact match and in tokens."""
    rows, columns = len(view.architectures), len(view.main)
    lines = max((len(fmt.broken(question.title, HEAD)) for question in view.main), default=1)
    size = (2.4 + 1.0 * columns, 1.2 + 0.14 * lines + 0.34 * rows)
    measures = ["exact", "token"] if any(question.several for question in view.main) else ["exact"]
    titles = {"exact": "Exact match beyond training", "token": "Token accuracy beyond training"}
    panels = [
        Panel(titles[measure], partial(draw_scores, view=view, measure=measure), size=size)
        for measure in measures
        if rows and columns
    ]
    meaning = "; ".join(MEASURES[measure] for measure in measures)
    caption = (
        f"Median over seeds of the mean over lengths beyond training; {meaning}. Colour runs from chance (light) to 1 "
        "(dark), for each task from its own chance; hatched where fewer than half of the seeds fit their training "
        f"lengths. {provenance(view)}"
    )
    return Gallery("score-map", "Scores beyond training, all at once", caption, tuple(panels))


def draw_scores(ax: Axes, view: View, measure: str) -> None:
    """Draw one map; every column names its training range, evaluated range and chance."""
    grid = [[view.entry(architecture, question) for question in view.main] for architecture in view.architectures]
    levels = np.array([[entry.levels.get(measure, np.nan) for entry in row] for row in grid])
    words = [[fmt.score(entry.scores[measure]) if entry.ok else entry.word for entry in row] for row in grid]
    sns.heatmap(levels, ax=ax, cmap=COLORS, vmin=0, vmax=1, cbar=False, linewidths=1.5, linecolor=PAPER)
    for (y, x), level in np.ndenumerate(levels):
        color = INK if np.isnan(level) else "white" if level > 0.65 else DARK
        ax.text(x + 0.5, y + 0.5, words[y][x], ha="center", va="center", fontsize=8, color=color)
        if not np.isnan(level) and not grid[y][x].fits:
            ax.add_patch(Rectangle((x, y), 1, 1, fill=False, hatch="////", ec=SHADE, lw=0, alpha=0.5))
    ax.grid(False)
    ax.set_xticks(ax.get_xticks(), [head(question, measure) for question in view.main], rotation=0, fontsize=7.5)
    ax.set_yticks(ax.get_yticks(), view.architectures, rotation=0)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)


def head(question: Question, measure: str) -> str:
    """Name a column and what every score in it has to be read against."""
    name = "\n".join(fmt.broken(question.title, HEAD))
    ranges = f"{fmt.span(question.train)} → {fmt.span(question.beyond[-1:])}"
    return f"{name}\n{ranges}\nchance {fmt.score(chance(question, measure))}"


def inspections(view: View) -> Gallery:
    """Return attention and alignment weights, the symbols beside them."""
    panels = []
    maps = [seen for seen in view.meta.get("inspections") or [] if len(seen["weights"]) > 1]
    for seen in sorted(
        maps, key=lambda seen: (view.tasks.index(seen["task"]), view.architectures.index(seen["architecture"]))
    ):
        height, width = (min(6.0, 1.3 + 0.13 * n) for n in np.shape(seen["weights"]))
        note = f"{seen['architecture']}, {seen['task']}"
        draw = partial(draw_weights, seen=seen)
        panels.append(Panel(seen["name"], draw, note, size=(max(width, 3.9), max(height, 3.4))))
    caption = (
        "Each row is a position that is answered, each column a position that it may look at. One model for each pair: "
        "the lowest seed at the chosen learning rate. Questions answered at a single position are left out."
    )
    return Gallery("inspections", "Attention and alignment", caption, tuple(panels))


def draw_weights(ax: Axes, seen: dict[str, Any]) -> None:
    """Draw one map of weights with the symbols of its rows and columns."""
    weights = np.asarray(seen["weights"], dtype=float)
    top = max(weights.max(initial=0), 1e-9)
    image = ax.imshow(weights, cmap=COLORS, vmin=0, vmax=top, interpolation="nearest")
    ax.grid(False)
    columns = seen.get("columns") or []
    _symbols(ax.xaxis, columns, rotation=90 if max(map(len, columns), default=0) > 2 else 0)
    _symbols(ax.yaxis, seen.get("rows") or [])
    ax.spines[:].set_visible(False)
    bar = cast(Figure, ax.figure).colorbar(image, ax=ax, shrink=0.7, pad=0.02, ticks=[0, top], format="%.2g")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=INK)


def _symbols(axis: Axis, symbols: Sequence[str], rotation: float = 0) -> None:
    """Label every position, or none where they would not be legible."""
    shown = list(symbols) if len(symbols) <= MOST_SYMBOLS else []
    axis.set_ticks(range(len(shown)), shown, fontsize=8 if len(shown) <= 24 else 5.5, rotation=rotation)
    axis.set_tick_params(length=0)
