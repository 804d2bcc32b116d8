"""Plots of cost: parameters, training speed, and the size of the decoding state by length."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.report import number_format as fmt
from harness.report.figures import Panel, PanelGroup, row_height, row_label
from harness.report.length_curves import label_lengths
from harness.report.results import Results
from harness.report.run_tables import devices


def costs(results: Results) -> PanelGroup:
    """Return parameters and speed by architecture, and state by length."""
    done = results.selected[results.selected.status == "done"]
    size = (2.6, max(1.6, 0.6 + row_height(results.architectures) * len(results.architectures)))
    panels = [
        Panel(title, partial(draw_values, cells=done, column=column, results=results), size=size)
        for column, title in {"parameters": "Parameters", "tokens_per_second": "Tokens per second"}.items()
        if done[column].notna().any()
    ]
    sizes = state_sizes(done)
    if len(sizes):
        draw = partial(draw_state, sizes=sizes, results=results)
        panels.append(Panel("State in decoding, by length", draw, size=size))
    caption = (
        "Each point is one task, at the median over seeds. State is the size of the decoding state of one sequence; "
        f"its lines are medians over tasks. {devices(results)}"
    )
    legend = tuple(name for name in results.architectures if name in set(done.architecture))
    return PanelGroup("cost", "Cost", caption, tuple(panels), legend)


def state_sizes(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each cell and length at which its state was measured."""
    measured = zip(cells.architecture, cells.state_bytes, strict=True)
    rows = [
        (name, float(length), float(size))
        for name, by_length in measured
        if isinstance(by_length, dict)
        for length, size in by_length.items()
    ]
    return pd.DataFrame(rows, columns=["architecture", "length", "bytes"])


def draw_values(ax: Axes, cells: pd.DataFrame, column: str, results: Results) -> None:
    """Draw one column of the cells: a horizontal line for each architecture, a point for each task."""
    names = [name for name in results.architectures if name in set(cells.architecture)]
    by_task = cells.groupby(["architecture", "task"])[column].median()
    for row, name in enumerate(names):
        style, values = results.plot_styles[name], by_task[name].dropna()
        ax.plot(values, [row] * len(values), color=style.color, marker=style.marker, ms=3.6, alpha=0.8, lw=0.8)
    ax.set_yticks(range(len(names)), [row_label(name) for name in names])
    ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.08 * max(by_task.max(), 1)))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.count(value)))
    ax.tick_params(axis="y", length=0)


def draw_state(ax: Axes, sizes: pd.DataFrame, results: Results) -> None:
    """Draw bytes by length; both axes are logarithmic."""
    for name in (name for name in results.architectures if name in set(sizes.architecture)):
        style, rows = results.plot_styles[name], sizes[sizes.architecture == name]
        median = rows[rows.bytes > 0].groupby("length").bytes.median()
        ax.plot(median.index, median, color=style.color, marker=style.marker, ms=3, lw=1.0)
    ax.set(xscale="log", yscale="log", xlabel="length")
    label_lengths(ax, sorted(sizes.length.unique(), reverse=True), log=True)
    ax.yaxis.set_major_locator(LogLocator(base=4, numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.size(value)))
    ax.yaxis.set_minor_locator(NullLocator())
