"""Groups of panels, drawn together as figures of a given width. The page draws its own plots.

Only matplotlib's object API is used, so no window system and no global state is involved. The same frames always give
the same files, byte for byte.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import ceil, isfinite
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report import number_format as fmt
from harness.report.figure_format import FigureFormat
from harness.report.style import COLORS, INK, PALE, PAPER, PlotStyle, rc

LETTER = 0.058
"""Inches of a small letter."""

TITLE_LETTER = 0.078
"""Inches of a letter of a title."""

LINE = 0.15
"""Inches of a line of a legend."""

HEADING_INCHES = 0.2
"""Height of the heading of a panel."""

STRETCH = 1.25
"""How much higher than its smallest size a panel becomes where it is wider."""

TRUETYPE = 42
"""The kind of fonts that PDF files embed; many journals do not accept matplotlib's default."""


LABEL_LETTERS = 22
"""Letters of a line of a row's label."""


def row_label(name: str) -> str:
    """Return the label of a row, broken into lines."""
    return "\n".join(fmt.break_name(name, LABEL_LETTERS))


def row_height(names: Iterable[str]) -> float:
    """Return the height in inches that rows with these labels need."""
    lines = max((row_label(name).count("\n") + 1 for name in names), default=1)
    return 0.06 + 0.11 * lines


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    ``note`` names the training and test lengths; ``size`` is the smallest in a paper, in inches. ``members`` are the
    architectures that are drawn in their colours, if these are not all of the legend.
    """

    title: str
    draw: Callable[[Axes], None]
    note: str = ""
    size: tuple[float, float] = (2.6, 1.8)
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading. ``legend`` names the architectures, ``keys`` other lines (keys of ``KEYS``).

    Where lines stand for something else than architectures, such as recipes, ``styles`` has the style of each name.
    """

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    styles: dict[str, PlotStyle] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The grid of a figure in inches of a paper: columns, size of a cell, rows of a page, and height of the legend."""

    columns: int
    cell: tuple[float, float]
    rows: int
    legend: float
    legend_columns: int


def layout(panel_group: PanelGroup, figure_format: FigureFormat) -> Layout:
    """Return the grid of all figures of a group: all axes have the size of the largest panel."""
    panels, room = panel_group.panels, figure_format.room
    width, height = (max(panel.size[axis] for panel in panels) for axis in (0, 1))
    columns = max(1, min(len(panels), int(room / width)))
    cell = (room / columns, height * min(STRETCH, max(1.0, room / columns / width)) + HEADING_INCHES)
    labels = [*panel_group.legend, *(KEYS[key]["label"] for key in panel_group.keys)]
    legend_columns = max(1, int(room / (0.45 + LETTER * max(map(len, labels), default=1))))
    legend = ceil(len(labels) / legend_columns) * LINE + 0.1 if labels else 0.0
    free = figure_format.height / figure_format.scale - legend
    rows = max(1, int(free / cell[1])) if isfinite(free) else len(panels)
    return Layout(columns, cell, rows, legend, legend_columns)


def pages(panel_group: PanelGroup, figure_format: FigureFormat) -> list[PanelGroup]:
    """Return the group as parts of which each fits the largest height; parts are numbered where there are several.

    Panels with other members are in other parts, so that a legend names only what is drawn.
    """
    parts = []
    for members, panels in groupby(panel_group.panels, key=lambda panel: panel.members):
        part = replace(panel_group, panels=tuple(panels), legend=members or panel_group.legend)
        grid = layout(part, figure_format)
        most = grid.columns * grid.rows
        starts = range(0, len(part.panels), most)
        parts += [replace(part, panels=part.panels[start : start + most]) for start in starts]
    if len(parts) == 1:
        return parts
    return [replace(part, name=f"{part.name}-{place}") for place, part in enumerate(parts, 1)]


def save(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle], figure_format: FigureFormat, *files: Path) -> None:
    """Draw all panels in one figure with its legend; write it to each file: ``.svg``, ``.pdf`` or ``.png``."""
    settings = rc(figure_format.scale)
    with rc_context({**settings, "svg.hashsalt": panel_group.name, "pdf.fonttype": TRUETYPE}):
        figure = combined_figure(panel_group, plot_styles, figure_format)
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
    figure.set(dpi=200, facecolor="white")
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _pdf(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return buffer.getvalue()


WRITERS = {".png": _png, ".pdf": _pdf}


def combined_figure(panel_group: PanelGroup, plot_styles: dict[str, PlotStyle], figure_format: FigureFormat) -> Figure:
    """Return a figure of all panels, with a legend below them."""
    panels, scale = panel_group.panels, figure_format.scale
    grid = layout(panel_group, figure_format)
    rows = ceil(len(panels) / grid.columns)
    height = scale * (rows * grid.cell[1] + grid.legend)
    figure = Figure(figsize=(figure_format.width, height), layout="constrained")
    axes = list(figure.subplots(rows, grid.columns, squeeze=False).flat)
    for ax, panel in zip(axes, panels, strict=False):
        _draw_panel(ax, panel, grid.cell[0], scale)
        _enlarge([*ax.lines, *ax.collections], scale)
    for ax in axes[len(panels) :]:  # the axes that are left over in the last row
        ax.set_axis_off()
    handles = [*legend_handles(panel_group.legend, panel_group.styles or plot_styles), *key_handles(panel_group.keys)]
    if handles:
        _enlarge(handles, scale)
        figure.legend(handles=handles, loc="outside lower center", ncols=grid.legend_columns)
    return figure


def _draw_panel(ax: Axes, panel: Panel, width: float, scale: float) -> None:
    """Draw a panel with its heading; ``width`` is that of its cell in inches of a paper."""
    panel.draw(ax)
    title = "\n".join(fmt.break_name(panel.title, int(0.85 * width / TITLE_LETTER)))
    ax.set_title(title, pad=scale * (12 if panel.note else 4))
    note = {"xycoords": "axes fraction", "textcoords": "offset fontsize", "fontsize": "small", "alpha": 0.8}
    ax.annotate(panel.note, (0, 1), (0, 0.4), **note)  # type: ignore[arg-type]


def _enlarge(artists: Iterable[object], scale: float) -> None:
    """Multiply the sizes of lines and points, which the settings of matplotlib do not reach."""
    for artist in artists:
        for name in ("markersize", "linewidth", "markeredgewidth"):
            if hasattr(artist, f"set_{name}"):
                getattr(artist, f"set_{name}")(scale * getattr(artist, f"get_{name}")())


def legend_handles(names: Iterable[str], plot_styles: dict[str, PlotStyle]) -> Iterator[Line2D]:
    """Yield a legend entry for each architecture."""
    for name in names:
        style = plot_styles[name]
        yield Line2D([], [], color=style.color, marker=style.marker, ms=4, lw=1.2, label=name)


CONSTANT, GROWING = COLORS[0], COLORS[1]
"""Colours of architectures by their state, for plots with too many architectures to give each its own colour."""

KEYS: dict[str, dict[str, Any]] = {
    "chance": {"ls": ":", "lw": 1.0, "label": "chance"},
    "unfit": {"ls": (0, (4, 2)), "marker": "o", "mfc": PAPER, "ms": 4, "label": "did not fit"},
    "solid": {"lw": 1.0, "label": "at training lengths (validation)"},
    "dashed": {"lw": 1.0, "ls": (0, (4, 2)), "label": "beyond training lengths"},
    "fitted": {"lw": 1.0, "marker": "o", "ms": 3.2, "label": "left the plateau to fit"},
    "never fitted": {"lw": 1.0, "ls": (0, (4, 2)), "marker": "o", "mfc": PAPER, "ms": 3.2, "label": "never fits"},
    "constant": {"color": CONSTANT, "marker": "o", "ms": 3.2, "label": "state has a constant size"},
    "growing": {"color": GROWING, "marker": "o", "ms": 3.2, "label": "state grows with the input"},
    "ended": {"marker": "|", "ms": 7, "mew": 1.3, "label": "not evaluated beyond"},
    "others": {"color": PALE, "lw": 1.0, "label": "other families"},
}
"""Legend entries for lines that are not architectures, by name: the settings of a line."""


def key_handles(names: Iterable[str]) -> Iterator[Line2D]:
    """Yield the legend entry of each key."""
    for name in names:
        yield Line2D([], [], **{"color": INK} | KEYS[name])
