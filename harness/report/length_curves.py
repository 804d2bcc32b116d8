"""Accuracy by length: the picture that shows how far an architecture keeps working.

One panel for each task and variant: the training range shaded, chance dotted, a point for every seed and a line through
the medians. Hollow points are seeds that did not fit; the line is dashed where fewer than half of the seeds did.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.analysis.statistics import INTERVAL_SEEDS, interval
from harness.report import number_format as fmt
from harness.report.captions import MEASURES, SELECTION, chance
from harness.report.figures import Gallery, Panel
from harness.report.results import Question, View
from harness.report.style import INK, PAPER, SHADE, Look

DASHES = (0, (4, 2))
LABELS = {"exact": "exact match", "token": "token accuracy"}


def curves(view: View, measure: str) -> Gallery:
    """Return accuracy by length for every question; token accuracy only where it is a measure of its own."""
    questions = [question for question in view.questions if question.lengths]
    if measure == "token":
        questions = [question for question in questions if question.several]
    panels = [
        Panel(
            question.title,
            partial(draw, view=view, question=question, measure=measure),
            f"trained on {fmt.span(question.train)}, evaluated to {fmt.span(question.lengths[-1:])}, "
            f"chance {fmt.score(chance(question, measure))}",
        )
        for question in questions
    ]
    caption = (
        f"{MEASURES[measure][0].upper()}{MEASURES[measure][1:]}. A point for every trained seed, a line through the "
        f"medians; bands are 95% bootstrap intervals of the median, from {INTERVAL_SEEDS} seeds on. The training range "
        "is shaded. Hollow points are seeds that did not fit their training lengths; the line is dashed where fewer "
        f"than half did. A bar ends a line beyond which nothing was evaluated. {SELECTION}"
    )
    titles = {"exact": "Exact match by length", "token": "Token accuracy by length"}
    legend = tuple(name for name in view.architectures if name in set(view.seeds.architecture))
    return Gallery(f"length-{measure}", titles[measure], caption, tuple(panels), legend, ("chance", "unfit", "ended"))


def draw(ax: Axes, view: View, question: Question, measure: str) -> None:
    """Draw one panel."""
    rows = view.seeds[(view.seeds.task == question.task) & (view.seeds.variant == question.variant)]
    chances = pd.Series(question.chance[measure]).sort_index()
    ax.plot(chances, color=INK, ls=":", lw=1.2, alpha=0.7, zorder=1)
    wide = length_axis(ax, question.lengths, question.train)
    there = [name for name in view.architectures if name in set(rows.architecture)]
    for name, shift in zip(there, dodges(len(there)), strict=True):
        own = rows[rows.architecture == name].sort_values("length")
        draw_one(ax, own.assign(x=moved(own.length, shift, wide)), measure, view.looks[name])
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel=LABELS[measure])


def draw_one(ax: Axes, rows: pd.DataFrame, measure: str, look: Look) -> None:
    """Draw the seeds of one architecture; ``rows`` are by length, drawn at ``x``."""
    known = rows[rows.status == "ok"]
    for fit, own in known.groupby(known.fit.ne(False)):
        face = look.color if fit else PAPER
        ax.plot(own.x, own[measure], look.marker, color=look.color, mfc=face, ms=3.4, mew=0.8, alpha=0.65, zorder=3)
    fits = known.drop_duplicates("cell").fit.ne(False)
    median = known.groupby("x")[measure].median()
    ax.plot(median, color=look.color, ls="-" if fits.mean() >= 0.5 else DASHES, zorder=2)
    if len(known) < len(rows):
        ax.plot(median[-1:], "|", color=look.color, ms=11, mew=1.8, zorder=4)
    ends = {x: interval(own.tolist(), np.median) for x, own in known.groupby("x")[measure]}
    sure = {x: pair for x, pair in ends.items() if pair}
    if sure:
        low, high = np.array([*sure.values()]).T
        ax.fill_between(np.array([*sure], dtype=float), low, high, color=look.color, alpha=0.15, lw=0, zorder=1)


def dodges(n: int) -> list[float]:
    """Return shifts, in shares of the axis, that keep equal curves from hiding each other."""
    step = min(0.008, 0.04 / max(n - 1, 1))
    return [step * (place - (n - 1) / 2) for place in range(n)]


def moved(x: pd.Series, shift: float, wide: bool) -> pd.Series:
    """Move lengths aside by a share of their range, on the axis they are drawn on."""
    low, high = x.min(), x.max()
    return x * (high / low) ** shift if wide else x + shift * (high - low)


def length_axis(ax: Axes, lengths: Sequence[float], train: tuple[float, float]) -> bool:
    """Set up an axis of lengths, the training range shaded; return whether it is logarithmic, for a wide range."""
    low, high = lengths[0], lengths[-1]
    wide = high > 8 * low
    margin = (high / low) ** 0.03 if wide else 0.03 * max(high - low, 1)
    ends = (low / margin, high * margin) if wide else (low - margin, high + margin)
    if wide:
        ax.set_xscale("log")
    label_lengths(ax, [high, *(length for length in lengths if length in train), low, *lengths[::-1]], wide)
    if np.isfinite(train).all():
        ax.axvspan(max(train[0], ends[0]), max(train[1], ends[0]), color=SHADE, alpha=0.16, lw=0, zorder=0)
    ax.set(xlim=ends, xlabel="length")
    return wide


def label_lengths(ax: Axes, wanted: Sequence[float], wide: bool, gap: float = 0.085) -> None:
    """Label lengths, the most wanted first, as far as they stand ``gap`` of the axis apart."""
    place = np.log if wide else float
    least = gap * (place(max(wanted)) - place(min(wanted)))
    shown: list[float] = []
    for length in wanted:
        if all(abs(place(length) - place(other)) >= max(least, 1e-9) for other in shown):
            shown.append(length)
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_major_formatter(FixedFormatter([fmt.number(length) for length in shown]))
    ax.xaxis.set_minor_locator(NullLocator())
