"""Pictures of cost: parameters, speed, and the state that decoding carries, by length."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.report import number_format as fmt
from harness.report.figures import Gallery, Panel
from harness.report.length_curves import label_lengths
from harness.report.results import View
from harness.report.run_tables import devices


def costs(view: View) -> Gallery:
    """Return parameters and speed by architecture, and state by length."""
    done = view.selected[view.selected.status == "done"]
    size = (4.2, max(2.2, 0.9 + 0.24 * len(view.architectures)))
    panels = [
        Panel(title, partial(draw_values, cells=done, name=name, view=view), size=size)
        for name, title in {"parameters": "Parameters", "tokens_per_second": "Tokens per second in training"}.items()
        if done[name].notna().any()
    ]
    state = states(done)
    if len(state):
        draw = partial(draw_state, state=state, view=view)
        panels.append(Panel("State in decoding, by length", draw, size=size))
    caption = "A point for every task, medians over seeds. State: of one sequence while decoding, median over tasks."
    legend = tuple(name for name in view.architectures if name in set(done.architecture))
    return Gallery("cost", "Cost", f"{caption} {devices(view)}", tuple(panels), legend)


def states(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each cell and length at which its state was measured."""
    sizes = zip(cells.architecture, cells.state_bytes, strict=True)
    rows = [(name, float(at), float(size)) for name, by in sizes if isinstance(by, dict) for at, size in by.items()]
    return pd.DataFrame(rows, columns=["architecture", "length", "bytes"])


def draw_values(ax: Axes, cells: pd.DataFrame, name: str, view: View) -> None:
    """Draw one number of every architecture on a line of its own, a point for every task."""
    there = [architecture for architecture in view.architectures if architecture in set(cells.architecture)]
    by_task = cells.groupby(["architecture", "task"])[name].median()
    for place, architecture in enumerate(there):
        look, values = view.looks[architecture], by_task[architecture].dropna()
        ax.plot(values, [place] * len(values), color=look.color, marker=look.marker, ms=6, alpha=0.8, lw=1)
    ax.set_yticks(range(len(there)), there)
    ax.set(ylim=(len(there) - 0.4, -0.6), xlim=(0, 1.08 * max(by_task.max(), 1)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.count(value)))
    ax.tick_params(axis="y", length=0)


def draw_state(ax: Axes, state: pd.DataFrame, view: View) -> None:
    """Draw bytes by length, both logarithmic."""
    for architecture in (name for name in view.architectures if name in set(state.architecture)):
        look, own = view.looks[architecture], state[state.architecture == architecture]
        median = own[own.bytes > 0].groupby("length").bytes.median()
        ax.plot(median.index, median, color=look.color, marker=look.marker, ms=5)
    ax.set(xscale="log", yscale="log", xlabel="length")
    label_lengths(ax, sorted(state.length.unique(), reverse=True), wide=True)
    ax.yaxis.set_major_locator(LogLocator(base=4, numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: fmt.size(value)))
    ax.yaxis.set_minor_locator(NullLocator())
