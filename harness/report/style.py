"""One colour for each family of architectures, and a shade and a marker for each of its members, in every plot.

Colours are Okabe and Ito's, with two of similar lightness added. Colour-blind readers can tell them apart. Line styles
do not identify architectures: dashes say that a model did not fit. The page has the same colours
(``page/scripts/styles.js``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex, to_rgb

HUES = {
    "recurrent": "#0072b2",
    "attention": "#d55e00",
    "linear": "#009e73",
    "seq2seq": "#cc79a7",
    "convolution": "#b8860b",
    "memory": "#7a5bd0",
    "other": "#7a7f87",
}
"""Colour of each family of the catalog."""

SPARE = ("#3aa6dd", "#a8326f", "#8f8f2e")
"""Colours of other families, in the order in which they occur."""

SHADES = (0.0, 0.45, -0.4, 0.22, -0.2)
"""How far the colour of each member of a family is mixed with white (above 0) or with black (below 0)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "d", "h")

COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#6A5ACD", "#A8326F", "#8F8F2E", "#808080"),
)
"""Colours of lines that are not architectures."""

INK, GRID, PAPER, SHADE = "#22262e", "#dfe2e8", "#fffffe", "#7c8aa5"
"""Colours of text and axes, grid lines, background, and training range."""

PALE = "#c9cdd5"
"""Colour of the architectures that a panel shows for comparison only."""

POINTS = 8.4
"""Size of text in a paper; what is ``small`` has five sixths of it, which is seven points."""


def rc(scale: float = 1.0) -> dict[Any, Any]:
    """Return matplotlib's settings for letters, ticks and gaps of ``scale`` times their size in a paper."""
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": INK,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.labelpad": 2.5 * scale,
        "axes.labelsize": "small",
        "axes.linewidth": 0.6 * scale,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.titleweight": "bold",
        "figure.constrained_layout.h_pad": 0.05 * scale,
        "figure.constrained_layout.w_pad": 0.05 * scale,
        "figure.facecolor": "none",
        "font.family": "DejaVu Sans",
        "font.size": POINTS * scale,
        "grid.color": GRID,
        "grid.linewidth": 0.5 * scale,
        "hatch.linewidth": 0.6 * scale,
        "legend.fontsize": "small",
        "legend.frameon": False,
        "svg.fonttype": "path",
        "text.color": INK,
        **{f"{axis}tick.{name}": value for axis in "xy" for name, value in _tick(scale).items()},
    }


def _tick(scale: float) -> dict[str, Any]:
    sizes = {"major.size": 2.5 * scale, "major.pad": 2.0 * scale, "major.width": 0.6 * scale, "minor.size": 0}
    return {"color": INK, "labelsize": "small", **sizes}


@dataclass(frozen=True)
class PlotStyle:
    """Colour and marker of one architecture."""

    color: str
    marker: str


def plot_styles(families: Mapping[str, str]) -> dict[str, PlotStyle]:
    """Return a style for each architecture.

    Args:
        families: the family of each architecture, in the order of the catalog.
    """
    members: dict[str, int] = {}
    styles = {}
    for name, family in families.items():
        place = members[family] = members.get(family, -1) + 1
        color = shade(hue(family, members), SHADES[place % len(SHADES)])
        styles[name] = PlotStyle(color, MARKERS[place % len(MARKERS)])
    return styles


def line_styles(names: Iterable[str]) -> dict[str, PlotStyle]:
    """Return a style for each of some lines that have no family."""
    distinct = enumerate(dict.fromkeys(names))
    return {name: PlotStyle(COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]) for i, name in distinct}


def hue(family: str, families: Iterable[str]) -> str:
    """Return the colour of a family; ``families`` are those that occur, in their order."""
    others = [name for name in families if name not in HUES]
    return HUES[family] if family in HUES else SPARE[others.index(family) % len(SPARE)]


def shade(color: str, amount: float) -> str:
    """Return a colour mixed with white or with black.

    >>> shade("#808080", 0.5), shade("#808080", -0.5)
    ('#c0c0c0', '#404040')
    """
    end = 1.0 if amount > 0 else 0.0
    red, green, blue = ((1 - abs(amount)) * part + abs(amount) * end for part in to_rgb(color))
    return to_hex((red, green, blue))
