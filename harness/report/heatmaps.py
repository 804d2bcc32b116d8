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
from harness.report.figures import LETTER, Panel, PanelGroup, row_height, row_label
from harness.report.results import Results
from harness.report.style import INK, PAPER, SHADE

COLORS = LinearSegmentedColormap.from_list("score", ["#eceef2", "#a9c9e8", "#3d8bc9", "#0d4a86"])
DARK = "#14181f"
MOST_SYMBOLS = 24
"""Most rows or columns that are labelled by their tokens."""

SHORT_STATUS = {"not applicable": "n/a", "failed": "fail", "missing": "…"}
"""What a cell without a score says."""

CELL, ROW = 0.36, 0.19
"""Inches of a column and of a row of a map of scores."""

HEAD, SLANT = 26, 50
"""Letters of a line of a column's name, and its angle in degrees."""


def score_maps(results: Results, room: float) -> PanelGroup:
    """Return the scores beyond training as maps of architectures by tasks: exact match and token accuracy.

    Args:
        room: inches of the figure's width, in a paper; a map with more tasks than fit continues in another panel.
    """
    measures = ["exact", "token"] if any(result.multi_token for result in results.main_results) else ["exact"]
    titles = {"exact": "Exact match beyond training", "token": "Token accuracy beyond training"}
    label = 0.3 + LETTER * max((len(row_label(name).split("\n")[0]) for name in results.architectures), default=0)
    head = LETTER * min(HEAD, max((len(result.title) for result in results.main_results), default=0))
    most = max(1, int((room - label - 0.7 * head) / CELL))
    starts = range(0, len(results.main_results), most) if results.architectures else ()
    # All maps have the columns of the widest, so that their cells are of one size.
    width = label + 0.7 * head + CELL * min(most, len(results.main_results))
    height = 0.4 + 0.8 * head + max(ROW, row_height(results.architectures)) * (len(results.architectures) + 1)
    panels = [
        Panel(
            titles[measure],
            partial(draw_scores, results=results, measure=measure, start=start, most=most),
            "",
            (min(room, width), height),
        )
        for measure in measures
        for start in starts
    ]
    caption = (
        "Scores are averaged over the lengths beyond training; each number is the median over seeds. "
        f"{' '.join(MEASURES[measure] for measure in measures)} Colour runs from the chance of the task (light) to 1 "
        "(dark). Cells are hatched where fewer than half of the seeds fit their training lengths. "
        f"{seeds_and_selection(results)}"
    )
    return PanelGroup("score-map", "Scores beyond training, all architectures and tasks", caption, tuple(panels))


def draw_scores(ax: Axes, results: Results, measure: str, start: int, most: int) -> None:
    """Draw the map of at most ``most`` tasks; its last row is the chance of each task."""
    import seaborn as sns  # half a second, which only a drawing needs

    columns = results.main_results[start : start + most]
    grid = [[results.table_cell(name, result) for result in columns] for name in results.architectures]
    levels = np.array([[cell.levels.get(measure, np.nan) for cell in row] for row in grid])
    levels = np.pad(levels, ((0, 1), (0, most - len(columns))), constant_values=np.nan)
    sns.heatmap(levels, ax=ax, cmap=COLORS, vmin=0, vmax=1, cbar=False, linewidths=1, linecolor=PAPER)
    for y, x in np.ndindex(len(grid), len(columns)):
        cell, level = grid[y][x], levels[y, x]
        text = fmt.score(cell.scores[measure]) if cell.has_scores else SHORT_STATUS.get(cell.status, "")
        color = INK if np.isnan(level) else "white" if level > 0.65 else DARK
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize="small", color=color)
        if not np.isnan(level) and not cell.fits:
            ax.add_patch(Rectangle((x, y), 1, 1, fill=False, hatch="////", ec=SHADE, lw=0, alpha=0.5))
    for x, result in enumerate(columns):
        text = fmt.score(chance(result, measure))
        ax.text(x + 0.5, len(grid) + 0.5, text, ha="center", va="center", fontsize="small", style="italic")
    ax.grid(False)
    heads = ["\n".join(fmt.break_name(result.title, HEAD)) for result in columns]
    turned: dict[str, Any] = {"rotation": SLANT, "ha": "left", "va": "bottom", "rotation_mode": "anchor"}
    ax.set_xticks(np.arange(len(columns)) + 0.5, heads, **turned)
    ax.set_yticks(np.arange(len(grid) + 1) + 0.5, [*map(row_label, results.architectures), "chance"], rotation=0)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)


def attention_maps(results: Results) -> PanelGroup:
    """Return attention and alignment weights with the tokens of their rows and columns."""

    def table_order(attention: Mapping[str, Any]) -> tuple[int, int]:
        return results.tasks.index(attention["task"]), results.architectures.index(attention["architecture"])

    panels = []
    maps = [attention for attention in results.meta.inspections if len(attention["weights"]) > 1]
    for attention in sorted(maps, key=table_order):
        height, width = (min(5.4, 1.0 + 0.11 * n) for n in np.shape(attention["weights"]))
        note = f"{attention['architecture']}, {attention['task']}"
        draw = partial(draw_weights, attention=attention)
        panels.append(Panel(attention["name"], draw, note, size=(max(width, 2.6), max(height, 2.3))))
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
    axis.set_ticks(range(len(labels)), labels, fontsize="small", rotation=rotation)
    axis.set_tick_params(length=0)
