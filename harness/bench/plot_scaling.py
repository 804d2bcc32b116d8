"""Figure of growth: seconds and memory of training along each axis of growth, on logarithmic scales."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from harness.bench.scaling import CELL_STEPS, Point
from harness.report import number_format as fmt
from harness.report.figure_format import ONE_PICTURE
from harness.report.figures import Panel, PanelGroup, save
from harness.report.style import PlotStyle, line_styles

SIZE = (2.4, 1.8)

AXIS_LABELS = {
    "length": "source length",
    "width": "width",
    "population": "models in the population",
    "cells": f"cells of {CELL_STEPS} steps",
}

ROUND_SECONDS = (*(10.0**power for power in range(-6, 2)), 60, 600, 3600, 36_000, 360_000, 3_600_000)
"""Ticks: durations that are round numbers in the units that :func:`duration` uses."""

Field = tuple[str, str]
"""A field of ``Usage``, and the title of its panel."""

OF_A_STEP: tuple[Field, ...] = (("seconds", "Time of a step"), ("bytes", "Memory of a step"))
OF_CELLS: tuple[Field, ...] = (("seconds", "Time of all cells"), ("bytes", "Memory of a worker"))


def draw_growth(points: Sequence[Point], file: Path) -> Path:
    """Draw all points, write a PNG and an SVG file next to each other, and return the PNG file."""
    measured = [point for point in points if point.usage is not None]
    styles = line_styles(point.architecture for point in measured)
    axes = [axis for axis in AXIS_LABELS if any(point.axis == axis for point in measured)]
    panels = tuple(
        panel(field, title, axis, [point for point in measured if point.axis == axis], styles)
        for row in range(2)
        for axis in axes
        for field, title in [(OF_CELLS if axis == "cells" else OF_A_STEP)[row]]
    )
    panel_group = PanelGroup(file.stem, "Growth", "", panels, legend=tuple(styles))
    save(panel_group, styles, ONE_PICTURE, file.with_suffix(".svg"), file)
    return file


def panel(field: str, title: str, axis: str, points: Sequence[Point], styles: dict[str, PlotStyle]) -> Panel:
    """Return the panel of one field along one axis."""
    return Panel(title, partial(draw, field=field, axis=axis, points=points, styles=styles), size=SIZE)


def draw(ax: Axes, field: str, axis: str, points: Sequence[Point], styles: dict[str, PlotStyle]) -> None:
    """Draw one line for each architecture."""
    for name, style in styles.items():
        line = [(point.value, getattr(point.usage, field)) for point in points if point.architecture == name]
        ax.plot(*zip(*line, strict=True), color=style.color, marker=style.marker, ms=4, lw=1.3, label=name)
    values = sorted({point.value for point in points})
    ax.set(xscale="log", yscale="log", xlabel=AXIS_LABELS[axis])
    ax.set_xticks(values, [fmt.count(value) for value in values])
    ax.xaxis.set_minor_locator(NullLocator())
    label_values(ax, field, [getattr(point.usage, field) for point in points])


def label_values(ax: Axes, field: str, values: Iterable[float]) -> None:
    """Put round numbers on the vertical axis, which spans at least one decade."""
    locator, to_text = (
        (LogLocator(base=2, numticks=6), fmt.size) if field == "bytes" else (FixedLocator(ROUND_SECONDS), duration)
    )
    positive = [max(value, 1e-9) for value in values]
    low, high = min(positive), max(positive)
    middle, span = (low * high) ** 0.5, max((high / low) ** 0.55, 3.5)
    ax.set_ylim(middle / span, middle * span)
    ax.yaxis.set_major_locator(locator)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda number, _: to_text(number)))
    ax.yaxis.set_minor_locator(NullLocator())


def duration(value: float) -> str:
    """Return seconds as text in hours, minutes, seconds or milliseconds."""
    for unit, symbol in ((3600, "h"), (60, "min"), (1, "s")):
        if value >= unit:
            return f"{value / unit:.3g} {symbol}"
    return f"{value * 1e3:.3g} ms"
