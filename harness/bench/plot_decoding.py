"""Picture of decoding: time of a token and state against the length of the source, each line named at its end.

Two colours tell the two kinds apart: a state that grows with what was read, and one that stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from scipy.optimize import isotonic_regression

from harness.bench.decode import Decode
from harness.report import number_format as fmt
from harness.report.figures import CONSTANT, GROWING, Gallery, Panel, save

LETTERS = 0.125
"""Inches that a name takes."""

BASES = {"bytes": 4, "seconds": 10}
"""Steps of the two axes, such that their numbers are round."""

Costs = Mapping[str, Sequence[Decode]]


def draw_decoding(costs: Costs, file: Path) -> Path:
    """Draw the costs of all architectures that step; write PNG and SVG beside each other and return the PNG."""
    known = {name: of for name, of in costs.items() if of}
    size = (6.4, max(3.5, 0.17 * len(known) + 1))
    panels = (
        Panel("State of one sequence", partial(draw, costs=known, value="bytes", words=fmt.size), size=size),
        Panel("Time of a token", partial(draw, costs=known, value="seconds", words=_milliseconds), size=size),
    )
    gallery = Gallery(file.stem, "Decoding", "", panels, keys=("constant", "growing"))
    save(gallery, {}, file.with_suffix(".svg"), file)
    return file


def draw(ax: Axes, costs: Costs, value: str, words: Callable[[float], str]) -> None:
    """Draw one value of every architecture by length, both logarithmic."""
    lengths = sorted({each.length for of in costs.values() for each in of})
    for of in costs.values():
        line = [getattr(each, value) for each in of]
        ax.plot([each.length for each in of], line, color=kind_of(of), marker="o", ms=3, lw=1.1, alpha=0.8)
    ax.set(xscale="log", yscale="log", xlabel="length of the source", xlim=(lengths[0] / 1.15, lengths[-1] * 5))
    ax.set_xticks(lengths, [f"{length}" for length in lengths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(base=BASES[value], numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda number, _: words(number)))
    ax.yaxis.set_minor_locator(NullLocator())
    name_the_ends(ax, costs, value, lengths[-1])


def kind_of(of: Sequence[Decode]) -> str:
    """Return the colour of an architecture: whether its state grew."""
    return GROWING if of[-1].bytes > of[0].bytes else CONSTANT


def name_the_ends(ax: Axes, costs: Costs, value: str, end: int) -> None:
    """Write each name right of its line, moved up or down until no two touch."""
    ordered = sorted(costs, key=lambda name: getattr(costs[name][-1], value))
    low, high = np.log(ax.get_ylim())
    wanted = [(np.log(getattr(costs[name][-1], value)) - low) / (high - low) for name in ordered]
    room = ax.get_figure().get_size_inches()[1] - 1  # type: ignore[union-attr]
    for name, place in zip(ordered, spread(wanted, LETTERS / room), strict=True):
        last = costs[name][-1]
        ax.annotate(
            name,
            (last.length, getattr(last, value)),
            (end * 1.35, np.exp(low + place * (high - low))),
            color=kind_of(costs[name]),
            fontsize=7.5,
            va="center",
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": kind_of(costs[name]), "alpha": 0.6, "shrinkA": 1},
        )


def spread(wanted: Sequence[float], gap: float) -> np.ndarray:
    """Return places at least ``gap`` apart, as near to the ascending wanted ones as possible, above 0 and below 1.

    Places less their number of gaps must not fall: the nearest such sequence is an isotonic regression.
    """
    gaps = gap * np.arange(len(wanted))
    return isotonic_regression(np.array(wanted) - gaps).x.clip(0, max(0.0, 1 - gaps[-1])) + gaps


def _milliseconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms"
