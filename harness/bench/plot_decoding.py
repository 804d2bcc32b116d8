"""Figure of decoding by source length: size of the state, time to the first token and time of a token.

The name of an architecture is at the end of its line. Two colours separate states that grow with the tokens read from
states of constant size.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from scipy.optimize import isotonic_regression

from harness.bench.decode import DecodingCost
from harness.report import number_format as fmt
from harness.report.figure_format import FigureFormat
from harness.report.figures import CONSTANT, GROWING, Panel, PanelGroup, save

NAME_HEIGHT = 0.125
"""Height of a name in inches."""

BASES = {"bytes": 4, "first": 10, "seconds": 10}
"""Bases of the logarithmic axes, chosen so that ticks are round numbers."""


def time_text(seconds: float) -> str:
    """Return a time in seconds or, below one second, in milliseconds."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


PANELS = (
    ("State of one sequence", "bytes", fmt.size),
    ("Time to the first token", "first", time_text),
    ("Time of a token", "seconds", time_text),
)
"""For each panel: its title, the field that it shows, and how numbers are written."""

FORMAT = FigureFormat(12.9, inf)
"""Room for the names at the ends of the lines."""

Costs = Mapping[str, Sequence[DecodingCost]]


def draw_decoding(costs: Costs, file: Path) -> Path:
    """Draw the costs of all architectures that can be stepped, write a PNG and an SVG file, and return the PNG file."""
    measured = {name: points for name, points in costs.items() if points}
    size = (4.3, max(3.5, 0.17 * len(measured) + 1))  # names assume one row of panels, and three fit
    panels = tuple(
        Panel(title, partial(draw, costs=measured, field=field, to_text=to_text), size=size)
        for title, field, to_text in PANELS
    )
    panel_group = PanelGroup(file.stem, "Decoding", "", panels, keys=("constant", "growing"))
    save(panel_group, {}, FORMAT, file.with_suffix(".svg"), file)
    return file


def draw(ax: Axes, costs: Costs, field: str, to_text: Callable[[float], str]) -> None:
    """Draw one field of each architecture by length, on logarithmic axes."""
    lengths = sorted({point.length for points in costs.values() for point in points})
    for points in costs.values():
        values = [getattr(point, field) for point in points]
        color = color_of(points)
        ax.plot([point.length for point in points], values, color=color, marker="o", ms=3, lw=1.1, alpha=0.8)
    ax.set(xscale="log", yscale="log", xlabel="length of the source", xlim=(lengths[0] / 1.15, lengths[-1] * 12))
    ax.set_xticks(lengths, [f"{length}" for length in lengths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(base=BASES[field], numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda number, _: to_text(number)))
    ax.yaxis.set_minor_locator(NullLocator())
    label_line_ends(ax, costs, field, lengths[-1])


def color_of(points: Sequence[DecodingCost]) -> str:
    """Return the colour of an architecture, which tells whether its state grew."""
    return GROWING if points[-1].bytes > points[0].bytes else CONSTANT


def label_line_ends(ax: Axes, costs: Costs, field: str, end: int) -> None:
    """Write each name to the right of its line, moved up or down until no two names overlap."""
    ordered = sorted(costs, key=lambda name: getattr(costs[name][-1], field))
    low, high = np.log(ax.get_ylim())
    wanted = [(np.log(getattr(costs[name][-1], field)) - low) / (high - low) for name in ordered]
    height = ax.get_figure().get_size_inches()[1] - 1  # type: ignore[union-attr]
    for name, position in zip(ordered, spread(wanted, NAME_HEIGHT / height), strict=True):
        last = costs[name][-1]
        ax.annotate(
            name,
            (last.length, getattr(last, field)),
            (end * 1.35, np.exp(low + position * (high - low))),
            color=color_of(costs[name]),
            fontsize=7.5,
            va="center",
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": color_of(costs[name]), "alpha": 0.6, "shrinkA": 1},
        )


def spread(wanted: Sequence[float], gap: float) -> np.ndarray:
    """Return positions in [0, 1] at least ``gap`` apart, as near as possible to the wanted positions, which ascend.

    Position ``i`` minus ``i`` gaps must not decrease with ``i``. The nearest such sequence is an isotonic regression.
    """
    gaps = gap * np.arange(len(wanted))
    return isotonic_regression(np.array(wanted) - gaps).x.clip(0, max(0.0, 1 - gaps[-1])) + gaps
