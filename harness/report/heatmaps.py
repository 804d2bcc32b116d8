"""Heat maps: the score map of the whole run, and attention or alignment weights."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.report import number_format as fmt
from harness.report.captions import MEASURES, chance, seeds_and_selection
from harness.report.figures import Panel, PanelGroup
from harness.report.results import Results, TaskResult
from harness.report.style import INK, PAPER, SHADE

COLORS = LinearSegmentedColormap.from_list("score", ["#eceef2", "#a9c9e8", "#3d8bc9", "#0d4a86"])
DARK = "#14181f"
MOST_SYMBOLS = 48
"""Most rows or columns that are labelled by their tokens."""

HEAD = 16
"""Letters of a column's name on one line."""


def score_maps(results: Results) -> PanelGroup:
    """Return the scores beyond training as maps of architectures by tasks: exact match and token accuracy."""
    rows, columns = len(results.architectures), len(results.main_results)
    lines = max((len(fmt.break_name(result.title, HEAD)) for result in results.main_results), default=1)
    size = (2.4 + 1.0 * columns, 1.2 + 0.14 * lines + 0.34 * rows)
    measures = ["exact", "token"] if any(result.multi_token for result in results.main_results) else ["exact"]
    titles = {"exact": "Exact match beyond training", "token": "Token accuracy beyond training"}
    panels = [
        Panel(titles[measure], partial(draw_scores, results=results, measure=measure), size=size)
        for measure in measures
        if rows and columns
    ]
    caption = (
        "Scores are averaged over the lengths beyond training; each number is the median over seeds. "
        f"{' '.join(MEASURES[measure] for measure in measures)} Colour runs from the chance of the task (light) to 1 "
        "(dark). Cells are hatched where fewer than half of the seeds fit their training lengths. "
        f"{seeds_and_selection(results)}"
    )
    return PanelGroup("score-map", "Scores beyond training, all architectures and tasks", caption, tuple(panels))


def draw_scores(ax: Axes, results: Results, measure: str) -> None:
    """Draw one map; each column names its training range, its longest test length and chance."""
    import seaborn as sns  # half a second, which only a drawing needs

    columns = results.main_results
    grid = [[results.table_cell(name, result) for result in columns] for name in results.architectures]
    levels = np.array([[cell.levels.get(measure, np.nan) for cell in row] for row in grid])
    sns.heatmap(levels, ax=ax, cmap=COLORS, vmin=0, vmax=1, cbar=False, linewidths=1.5, linecolor=PAPER)
    for (y, x), level in np.ndenumerate(levels):
        cell = grid[y][x]
        text = fmt.score(cell.scores[measure]) if cell.has_scores else cell.status_text
        color = INK if np.isnan(level) else "white" if level > 0.65 else DARK
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8, color=color)
        if not np.isnan(level) and not cell.fits:
            ax.add_patch(Rectangle((x, y), 1, 1, fill=False, hatch="////", ec=SHADE, lw=0, alpha=0.5))
    ax.grid(False)
    ax.set_xticks(ax.get_xticks(), [column_head(result, measure) for result in columns], rotation=0, fontsize=7.5)
    ax.set_yticks(ax.get_yticks(), results.architectures, rotation=0)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)


def column_head(task_result: TaskResult, measure: str) -> str:
    """Return the label of a column: the task, its training range and longest test length, and chance."""
    name = "\n".join(fmt.break_name(task_result.title, HEAD))
    ranges = f"{fmt.span(task_result.train)} → {fmt.span(task_result.beyond[-1:])}"
    return f"{name}\n{ranges}\nchance {fmt.score(chance(task_result, measure))}"


def attention_maps(results: Results) -> PanelGroup:
    """Return attention and alignment weights with the tokens of their rows and columns."""

    def table_order(attention: Mapping[str, Any]) -> tuple[int, int]:
        return results.tasks.index(attention["task"]), results.architectures.index(attention["architecture"])

    panels = []
    maps = [attention for attention in results.meta.inspections if len(attention["weights"]) > 1]
    for attention in sorted(maps, key=table_order):
        height, width = (min(6.0, 1.3 + 0.13 * n) for n in np.shape(attention["weights"]))
        note = f"{attention['architecture']}, {attention['task']}"
        draw = partial(draw_weights, attention=attention)
        panels.append(Panel(attention["name"], draw, note, size=(max(width, 3.9), max(height, 3.4))))
    caption = (
        "Each row is a position that is answered, each column a position that it may attend to. Each architecture and "
        "task is shown by one model: the lowest seed at the chosen learning rate. Tasks answered at a single position "
        "are left out."
    )
    return PanelGroup("inspections", "Attention and alignment", caption, tuple(panels))


def draw_weights(ax: Axes, attention: Mapping[str, Any]) -> None:
    """Draw one map of weights with the tokens of its rows and columns."""
    weights = np.asarray(attention["weights"], dtype=float)
    top = max(weights.max(initial=0), 1e-9)
    image = ax.imshow(weights, cmap=COLORS, vmin=0, vmax=top, interpolation="nearest")
    ax.grid(False)
    columns = attention.get("columns") or []
    _label_tokens(ax.xaxis, columns, rotation=90 if max(map(len, columns), default=0) > 2 else 0)
    _label_tokens(ax.yaxis, attention.get("rows") or [])
    ax.spines[:].set_visible(False)
    bar = cast(Figure, ax.figure).colorbar(image, ax=ax, shrink=0.7, pad=0.02, ticks=[0, top], format="%.2g")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=INK)


def _label_tokens(axis: Axis, tokens: Sequence[str], rotation: float = 0) -> None:
    """Label every position, or none where the labels would not be legible."""
    labels = list(tokens) if len(tokens) <= MOST_SYMBOLS else []
    axis.set_ticks(range(len(labels)), labels, fontsize=8 if len(labels) <= 24 else 5.5, rotation=rotation)
    axis.set_tick_params(length=0)
