"""Groups of panels, drawn together as one figure for papers, out of which the panels of the page are cut.

Only matplotlib's object API is used, so no window system and no global state is involved. The same frames always give
the same files, byte for byte.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from harness.report import number_format as fmt
from harness.report.inline_svg import HEADING, cut, inline
from harness.report.style import COLORS, INK, PAPER, RC, PlotStyle

LETTERS = 8
"""Letters of a title per inch."""

HEADING_INCHES = 0.25
"""Height of the heading of a panel."""

PAD = 2.0
"""Points around a panel that is cut out of a figure."""

MAX_FIGURE_INCHES = 13.0
"""Largest width of a figure for papers."""


@dataclass(frozen=True)
class Panel:
    """One set of axes. ``note`` names the training and test lengths; ``size`` is in inches."""

    title: str
    draw: Callable[[Axes], None]
    note: str = ""
    size: tuple[float, float] = (4.2, 2.7)


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading. ``legend`` names the architectures, ``keys`` other lines (keys of ``KEYS``)."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """All panels of a group in one figure, drawn once: as a file for papers, and cut into panels for the page.

    ``svg`` is the whole figure; ``pictures`` are its panels as inline SVG in the colours of the page.
    """

    svg: bytes
    pictures: tuple[str, ...]
    figure: Figure

    def write(self, *files: Path) -> None:
        """Write the figure to each file in the format of the file's suffix, ``.svg`` or ``.png``."""
        for file in files:
            file.write_bytes(self.svg if file.suffix == ".svg" else _png(self.figure))


def draw(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle]) -> Drawing:
    """Draw all panels of a group in one figure with its legend."""
    with rc_context({**RC, "svg.hashsalt": panel_group.name}):
        figure, placed = _combined_figure(panel_group, plot_styles)
        svg = _svg(figure)
        pictures = []
        for place, (panel, parts) in enumerate(zip(panel_group.panels, placed, strict=True)):
            panel_svg = cut(svg.decode(), f"panel-{place}", _box(figure, parts))
            pictures.append(inline(panel_svg, f"{panel_group.name}-{place + 1}", panel.title))
    return Drawing(svg, tuple(pictures), figure)


def save(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle], *files: Path) -> None:
    """Draw all panels in one figure with its legend; write it to each file in the format of the file's suffix."""
    draw(panel_group, plot_styles).write(*files)


def _svg(figure: Figure) -> bytes:
    """Return the figure as SVG. ``Figure.savefig`` would draw it twice, once only to compute the layout."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    figure.set_layout_engine("none")  # what is drawn later keeps this layout
    return buffer.getvalue()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.set(dpi=160, facecolor="white")
    with rc_context(RC):
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


class Parts(NamedTuple):
    """What a panel consists of in a figure; a panel with a colour bar has two axes."""

    axes: list[Axes]
    heading: list[Text]


def _box(figure: Figure, parts: Parts) -> tuple[float, float, float, float]:
    """Return left, top, width and height of a panel without its heading, in points of the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in parts.heading:
        text.set_visible(False)
    bounds = Bbox.union([box for ax in parts.axes if (box := ax.get_tightbbox(renderer))])
    for text in parts.heading:
        text.set_visible(True)
    scale = 72 / figure.dpi
    left, right = (scale * x for x in bounds.intervalx)
    bottom, top = (scale * y for y in bounds.intervaly)
    height = 72 * figure.get_figheight()
    return left - PAD, height - top - PAD, right - left + 2 * PAD, top - bottom + 2 * PAD


def _combined_figure(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle]) -> tuple[Figure, list[Parts]]:
    """Return the figure and the parts of each panel in it."""
    panels = panel_group.panels
    # All axes get the size of the largest panel, in as many columns as fit; the heading needs more height.
    width, height = (max(panel.size[axis] for panel in panels) for axis in (0, 1))
    height += HEADING_INCHES
    columns = max(1, min(len(panels), int(MAX_FIGURE_INCHES // width)))
    rows = ceil(len(panels) / columns)
    # The legend below needs 0.22 inches per line, with two entries per column of axes.
    handles = [*legend_handles(panel_group.legend, plot_styles), *(KEYS[key] for key in panel_group.keys)]
    legend_height = ceil(len(handles) / (2 * columns)) * 0.22 + 0.2 if handles else 0
    figure = Figure(figsize=(width * columns, height * rows + legend_height), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    placed = [_draw_panel(figure, grid[place], panel, place) for place, panel in enumerate(panels)]
    for ax in grid[len(panels) :]:  # the axes that are left over in the last row
        ax.set_axis_off()
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2 * columns)
    return figure, placed


def _draw_panel(figure: Figure, ax: Axes, panel: Panel, place: int) -> Parts:
    """Draw a panel with its heading. The names of its axes and of its heading are used to cut it out of the figure."""
    before = set(figure.axes)
    panel.draw(ax)
    axes = [ax, *(other for other in figure.axes if other not in before)]
    title = "\n".join(fmt.break_name(panel.title, int(LETTERS * panel.size[0])))
    heading: list[Text] = [ax.set_title(title, pad=16 if panel.note else 6)]
    heading.append(ax.annotate(panel.note, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=7.5, alpha=0.75))
    for number, part in enumerate(axes):
        part.set_gid(f"panel-{place}-{number}")
    for number, text in enumerate(heading):
        text.set_gid(f"{HEADING}-{2 * place + number}")
    return Parts(axes, heading)


def legend_handles(names: Iterable[str], plot_styles: dict[str, PlotStyle]) -> list[Line2D]:
    """Return a legend entry for each architecture."""
    styles = {name: plot_styles[name] for name in names}
    return [Line2D([], [], color=style.color, marker=style.marker, ms=5, label=name) for name, style in styles.items()]


CONSTANT, GROWING = COLORS[0], COLORS[1]
"""Colours of architectures by their state, for plots with too many architectures to give each its own colour."""

KEYS = {
    "chance": Line2D([], [], color=INK, ls=":", lw=1.2, label="chance"),
    "unfit": Line2D([], [], color=INK, ls=(0, (4, 2)), marker="o", mfc=PAPER, ms=5, label="did not fit"),
    "solid": Line2D([], [], color=INK, lw=1.2, label="at training lengths (validation)"),
    "dashed": Line2D([], [], color=INK, lw=1.2, ls=(0, (4, 2)), label="beyond training lengths"),
    "fitted": Line2D([], [], color=INK, lw=1.1, marker="o", ms=4, label="left the plateau to fit"),
    "never fitted": Line2D([], [], color=INK, lw=1.1, ls=(0, (4, 2)), marker="o", mfc=PAPER, ms=4, label="never fits"),
    "constant": Line2D([], [], color=CONSTANT, marker="o", ms=4, label="state has a constant size"),
    "growing": Line2D([], [], color=GROWING, marker="o", ms=4, label="state grows with the input"),
    "ended": Line2D([], [], color=INK, marker="|", ms=9, mew=1.6, label="not evaluated beyond"),
}
"""Legend entries for lines that are not architectures, by name."""
