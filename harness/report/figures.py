"""Pictures: a gallery of panels, drawn one by one for the page and together for papers.

Everything goes through matplotlib's object API, so no window system and no global state is involved. Files are the
same, byte for byte, whenever they are drawn from the same frames.
"""

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from math import ceil
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report import number_format as fmt
from harness.report.style import COLORS, GRID, INK, PAPER, RC, Look

LETTERS = 8
"""Letters of a title to an inch."""

WIDEST, WIDE = 13.0, 440
"""Widths: of a figure for papers, in inches; above which a picture scrolls instead of shrinking, in pixels."""

PAGE_COLORS = {INK: "currentColor", GRID: "var(--line)", PAPER: "var(--paper)"}


@dataclass(frozen=True)
class Panel:
    """One set of axes. ``note`` says what it was trained and evaluated on; ``size`` is in inches."""

    title: str
    draw: Callable[[Axes], None]
    note: str = ""
    size: tuple[float, float] = (4.2, 2.7)


@dataclass(frozen=True)
class Gallery:
    """Panels that are read together. ``legend`` names the architectures that occur, ``keys`` what else is drawn."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def picture(panel: Panel, name: str) -> str:
    """Draw one panel as inline SVG in the colours of the page; ``name`` keeps its ids apart from other pictures'."""
    with rc_context({**RC, "svg.hashsalt": name}):
        figure = Figure(figsize=panel.size, layout="constrained")
        panel.draw(figure.add_subplot())
        drawn = _bytes(figure, "svg").decode()
    return inline(drawn, panel, name)


def inline(drawn: str, panel: Panel, name: str) -> str:
    """Make a standalone SVG part of a page: own ids, no size of its own, colours that follow light and dark."""
    drawn = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    drawn = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    for color, variable in PAGE_COLORS.items():
        drawn = drawn.replace(color, variable)
    width = round(panel.size[0] * 96)
    least = f";min-width:{round(0.85 * width)}px" if width > WIDE else ""
    head = f'<svg role="img" aria-label="{escape(panel.title)}" style="max-width:{round(1.15 * width)}px{least}"'
    return re.sub(r'<svg( xmlns:xlink="[^"]*")? width="[^"]*" height="[^"]*"', rf"{head}\g<1>", drawn, count=1)


def save(gallery: Gallery, looks: dict[str, Look], *files: Path) -> None:
    """Draw all panels in one figure with its legend, and write it to each file in the format of its ending."""
    with rc_context({**RC, "svg.hashsalt": gallery.name}):
        figure = _together(gallery, looks)
        for file in files:
            file.write_bytes(_bytes(figure, file.suffix[1:]))
            figure.set_layout_engine("none")  # later files keep the layout that was computed for the first


def _bytes(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "svg":
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    else:
        figure.savefig(buffer, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _together(gallery: Gallery, looks: dict[str, Look]) -> Figure:
    width, height = (max(panel.size[axis] for panel in gallery.panels) for axis in (0, 1))
    columns = max(1, min(len(gallery.panels), int(WIDEST // width)))
    rows = ceil(len(gallery.panels) / columns)
    handles = [*handles_of(gallery.legend, looks), *(KEYS[key] for key in gallery.keys)]
    room = ceil(len(handles) / (2 * columns)) * 0.22 + 0.2 if handles else 0
    figure = Figure(figsize=(width * columns, height * rows + room), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for panel in gallery.panels:
        ax = next(axes)
        panel.draw(ax)
        title = "\n".join(fmt.broken(panel.title, int(LETTERS * width)))
        ax.set_title(title, pad=16 if panel.note else 6)
        ax.annotate(panel.note, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=7.5, alpha=0.75)
    for ax in axes:
        ax.set_axis_off()
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2 * columns)
    return figure


def handles_of(names: Iterable[str], looks: dict[str, Look]) -> list[Line2D]:
    """Return a legend entry for each architecture."""
    return [Line2D([], [], color=looks[name].color, marker=looks[name].marker, ms=5, label=name) for name in names]


CONSTANT, GROWING = COLORS[0], COLORS[1]
"""Colours of architectures by their state, in pictures that have too many of them for a colour each."""

KEYS = {
    "chance": Line2D([], [], color=INK, ls=":", lw=1.2, label="chance"),
    "unfit": Line2D([], [], color=INK, ls=(0, (4, 2)), marker="o", mfc=PAPER, ms=5, label="did not fit"),
    "constant": Line2D([], [], color=CONSTANT, marker="o", ms=4, label="state stays as it is"),
    "growing": Line2D([], [], color=GROWING, marker="o", ms=4, label="state grows with what was read"),
    "ended": Line2D([], [], color=INK, marker="|", ms=9, mew=1.6, label="not evaluated beyond"),
}
"""What is drawn besides architectures, by name."""
