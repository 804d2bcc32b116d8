"""Groups of panels, drawn together as one figure for papers. The page draws its own plots.

Only matplotlib's object API is used, so no window system and no global state is involved. The same frames always give
the same files, byte for byte.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report import number_format as fmt
from harness.report.style import COLORS, INK, PAPER, RC, PlotStyle

LETTERS = 8
"""Letters of a title per inch."""

HEADING_INCHES = 0.25
"""Height of the heading of a panel."""

MAX_FIGURE_INCHES = 13.0
"""Largest width of a figure for papers."""

TRUETYPE = 42
"""The kind of fonts that PDF files embed; many journals do not accept matplotlib's default."""


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


def save(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle], *files: Path) -> None:
    """Draw all panels in one figure with its legend; write it to each file: ``.svg``, ``.pdf`` or ``.png``."""
    with rc_context({**RC, "svg.hashsalt": panel_group.name, "pdf.fonttype": TRUETYPE}):
        figure = combined_figure(panel_group, plot_styles)
        svg = _svg(figure)  # first, because it fixes the layout for the others
        for file in files:
            file.write_bytes(svg if file.suffix == ".svg" else WRITERS[file.suffix](figure))


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


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return buffer.getvalue()


WRITERS = {".png": _png, ".pdf": _pdf}


def combined_figure(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle]) -> Figure:
    """Return a figure of all panels, with a legend below them."""
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
    for ax, panel in zip(grid, panels, strict=False):
        _draw_panel(ax, panel)
    for ax in grid[len(panels) :]:  # the axes that are left over in the last row
        ax.set_axis_off()
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2 * columns)
    return figure


def _draw_panel(ax: Axes, panel: Panel) -> None:
    """Draw a panel with its heading."""
    panel.draw(ax)
    ax.set_title("\n".join(fmt.break_name(panel.title, int(LETTERS * panel.size[0]))), pad=16 if panel.note else 6)
    ax.annotate(panel.note, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=7.5, alpha=0.75)


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
