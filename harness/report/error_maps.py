"""Heat maps of where errors sit: by position in the answer, and by events since the one that is asked for.

A panel is one task. Each architecture is a block of rows, one for each tested length, the shortest at the top.
"""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import MaxNLocator

from harness.report.captions import selection
from harness.report.error_frames import error_frame
from harness.report.figures import Panel, PanelGroup
from harness.report.heatmaps import COLORS
from harness.report.number_format import span
from harness.report.results import Results
from harness.report.style import INK

BLOCK = 0.86
"""Height of an architecture's rows, out of 1."""

KINDS = {"position": "position in the answer", "events": "events since the one that is asked for"}
ROWS = (
    "Each architecture is a block of rows, one for each tested length, from the shortest at the top to the longest; a "
    "line divides training lengths from longer ones."
)
MEASURES = {
    "errors": "Colour is the share of wrong tokens over all seeds, from 0 (light) to 1 (dark).",
    "losses": "Colour is the mean loss of a token over all seeds, from 0 (light) to the largest of the panel (dark).",
}


def error_maps(results: Results, kind: str, measure: str) -> PanelGroup:
    """Return the maps of one kind of place and one measure, ``errors`` or ``losses``."""
    frame = error_frame(results)
    frame = frame[(frame.kind == kind) & (frame.variant == "") & (frame.n > 0)]
    frame = frame.assign(level=1 - frame.token if measure == "errors" else frame.loss)
    panels = []
    for result in results.main_results:
        rows = frame[frame.task == result.task]
        names = [name for name in results.architectures if name in set(rows.architecture)]
        if names:
            note = f"trained on {span(result.train)}, tested on {span(rows.length)}"
            size = (4.6, 1.0 + 0.42 * max(2, len(names)))
            panels.append(Panel(result.title, partial(draw_errors, rows=rows, names=names, kind=kind), note, size))
    title = f"{measure.capitalize()} by {KINDS[kind]}"
    return PanelGroup(f"{measure}-by-{kind}", title, f"{ROWS} {MEASURES[measure]} {selection(results)}", tuple(panels))


def draw_errors(ax: Axes, rows: pd.DataFrame, names: list[str], kind: str) -> None:
    """Draw one panel: a rectangle for each bin of each length and architecture."""
    top = max(rows.level.max(), 1e-9) if rows.level.max() > 1 else 1.0
    for place, name in enumerate(names):
        lengths = sorted(set(rows.length[rows.architecture == name]))
        height = BLOCK / len(lengths)
        for index, length in enumerate(lengths):
            bins = rows[(rows.architecture == name) & (rows.length == length)]
            low = place - BLOCK / 2 + index * height
            corners = [_rectangle(left, right, low, low + height) for left, right in _sides(bins, kind)]
            ax.add_collection(PolyCollection(corners, array=bins.level, cmap=COLORS, clim=(0, top), lw=0.1))
        trained = rows.length[(rows.architecture == name) & rows.in_range.astype(bool)].nunique()
        if 0 < trained < len(lengths):
            ax.axhline(place - BLOCK / 2 + trained * height, color=INK, lw=0.6)
    sides = _sides(rows, kind)
    ax.set(xlim=(sides.min(), sides.max()), ylim=(len(names) - 0.5, -0.5), xlabel=KINDS[kind])
    ax.grid(False)
    ax.set_yticks(range(len(names)), names)
    if kind == "events":
        bins = rows.drop_duplicates("start")
        labels = [span((start, end - 1)) for start, end in zip(bins.start, bins.end, strict=True)]
        ax.set_xticks(_event_bin(bins.start), labels)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _sides(bins: pd.DataFrame, kind: str) -> np.ndarray:
    """Return the left and the right side of each bin: positions to scale, and events one bin next to the other."""
    if kind == "events":
        place = _event_bin(bins.start)
        return np.stack((place - 0.5, place + 0.5), axis=1)
    return bins[["start", "end"]].to_numpy(dtype=float) - 0.5


def _event_bin(starts: pd.Series) -> np.ndarray:
    """Return the number of each bin of events from its start: 0, 1, 2, 4, 8, ..."""
    return np.frexp(starts.to_numpy(dtype=float))[1]


def _rectangle(left: float, right: float, low: float, high: float) -> list[tuple[float, float]]:
    return [(left, low), (right, low), (right, high), (left, high)]
