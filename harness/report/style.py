"""One colour and one marker for each architecture, in every plot and table.

Colours are Okabe and Ito's, with four of similar lightness added. Colour-blind readers can tell them apart, on light
and on dark pages. Ten colours and thirteen markers advance together, so 130 architectures get different pairs. Line
styles do not identify architectures: dashes say that a model did not fit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#6A5ACD", "#A8326F", "#8F8F2E", "#808080"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "d", "h")

INK, GRID, PAPER, SHADE = "#22262e", "#dfe2e8", "#fffffe", "#7c8aa5"
"""Colours of text and axes, grid lines, background, and training range; the page replaces the first three."""

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "xtick.minor.size": 0,
    "ytick.color": INK,
    "ytick.labelsize": 8,
    "ytick.minor.size": 0,
}


@dataclass(frozen=True)
class PlotStyle:
    """Colour and marker of one architecture."""

    color: str
    marker: str


def plot_styles(order: Iterable[str], places: Mapping[str, int] | None = None) -> dict[str, PlotStyle]:
    """Return a style for each architecture, the same in every report where that is possible.

    ``places`` are positions in the whole catalog, by name. An architecture with a place gets the colour and marker of
    that place. The others (variants by option, and places whose colour is already used) get the next unused colour.
    """
    names, places = list(dict.fromkeys(order)), places or {}
    slots: dict[str, int] = {}
    # Names with a place come first, in catalog order; the others follow in their own order.
    for name in sorted(names, key=lambda name: places.get(name, len(places) + names.index(name))):
        used_colors = {slot % len(COLORS) for slot in slots.values()}
        preferred = places.get(name, 0)
        candidates = range(preferred, preferred + len(COLORS))
        unused = (slot for slot in candidates if slot % len(COLORS) not in used_colors)
        slots[name] = next(unused, preferred + len(slots))
    return {name: PlotStyle(COLORS[slots[name] % len(COLORS)], MARKERS[slots[name] % len(MARKERS)]) for name in names}
