"""Plots of accuracy by length, which show how far beyond its training lengths an architecture works.

There is one panel for each task and variant. The training range is shaded and chance is dotted. Each seed has a point,
and a line connects the medians. Hollow points are seeds that did not fit; the line is dashed where fewer than half of
the seeds fit.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.analysis.estimators import INTERVAL_SEEDS, intervals, median_weights
from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import MEASURES, chance, selection
from harness.report.figures import Panel, PanelGroup
from harness.report.results import Results, TaskResult
from harness.report.style import INK, PALE, PAPER, SHADE, PlotStyle

DASHES = (0, (4, 2))
BY_FAMILY = "Each panel shows one family of architectures, and the medians of the others in grey. "

MOST_TOGETHER = 8
"""Most architectures in one panel; more are drawn by family."""

LABELS = {"exact": "exact match", "token": "token accuracy"}


def curves(results: Results, measure: str) -> PanelGroup:
    """Return accuracy by length for each task and variant; token accuracy only where answers have several tokens."""
    task_results = [result for result in results.task_results if result.lengths]
    if measure == "token":
        task_results = [result for result in task_results if result.multi_token]
    legend = tuple(name for name in results.architectures if name in set(results.seeds.architecture))
    families = together(results, legend)
    panels = [
        Panel(
            f"{result.title}, {family}" if family else result.title,
            partial(draw, results=results, task_result=result, measure=measure, members=members),
            f"trained {fmt.span(result.train)}, tested to {fmt.span(result.lengths[-1:])}, "
            f"chance {fmt.score(chance(result, measure))}",
            members=tuple(members) if family else (),
        )
        for family, members in families.items()
        for result in task_results
        if set(members) & set(results.seeds_of(result).architecture)
    ]
    by_family = BY_FAMILY if len(families) > 1 else ""
    caption = (
        f"{MEASURES[measure]} Each point is one trained seed; lines connect the medians. Bands are 95% bootstrap "
        f"intervals of the median, from {INTERVAL_SEEDS} seeds on. The training range is shaded. Hollow points are "
        "seeds that did not fit their training lengths. A line is dashed where fewer than half of the seeds fit. A "
        f"bar at the end of a line says that no longer length was evaluated. {by_family}{selection(results)}"
    )
    titles = {"exact": "Exact match by length", "token": "Token accuracy by length"}
    keys = ("chance", "unfit", "ended") + ("others",) * (len(families) > 1)
    return PanelGroup(f"length-{measure}", titles[measure], caption, tuple(panels), legend, keys)


def together(results: Results, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the architectures of each panel of a task: all in one, or by family where there are too many."""
    if len(names) <= MOST_TOGETHER:
        return {"": list(names)}
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(results.families.get(name, "other"), []).append(name)
    return families


def draw(ax: Axes, results: Results, task_result: TaskResult, measure: str, members: Sequence[str]) -> None:
    """Draw one panel: all seeds of its members, and the medians of all other architectures in pale grey."""
    scores = results.seeds_of(task_result)
    chances = pd.Series(task_result.chance[measure]).sort_index()
    ax.plot(chances, color=INK, ls=":", lw=1.0, alpha=0.7, zorder=1)
    log = length_axis(ax, task_result.lengths, task_result.train)
    others = scores[~scores.architecture.isin(members) & is_scored(scores.status)]
    for _, median in others.groupby(["architecture", "length"])[measure].median().groupby("architecture"):
        ax.plot(median.droplevel(0), color=PALE, lw=0.7, zorder=0.5)
    names = [name for name in members if name in set(scores.architecture)]
    for name, offset in zip(names, dodges(len(names)), strict=True):
        rows = scores[scores.architecture == name].sort_values("length")
        draw_one(ax, rows.assign(x=shift(rows.length, offset, log)), measure, results.plot_styles[name])
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel=LABELS[measure])


def draw_one(ax: Axes, rows: pd.DataFrame, measure: str, style: PlotStyle) -> None:
    """Draw the seeds of one architecture; ``rows`` ascend by length and are drawn at their column ``x``."""
    evaluated = rows[is_scored(rows.status)]
    # A point for each seed, hollow where the seed did not fit.
    for fit, seeds in evaluated.groupby(evaluated.fit.ne(False)):
        face = style.color if fit else PAPER
        ax.plot(
            seeds.x, seeds[measure], style.marker, color=style.color, mfc=face, ms=2.6, mew=0.6, alpha=0.65, zorder=3
        )
    # A line through the medians, with a bar at its end if longer lengths were not evaluated.
    fits = evaluated.drop_duplicates("cell").fit.ne(False)
    median = evaluated.groupby("x")[measure].median()
    ax.plot(median, color=style.color, lw=1.2, ls="-" if fits.mean() >= 0.5 else DASHES, zorder=2)
    if len(evaluated) < len(rows):
        ax.plot(median[-1:], "|", color=style.color, ms=8, mew=1.3, zorder=4)
    # A band between the ends of the intervals, where there are enough seeds.
    by_seed = evaluated.pivot_table(index="x", columns="cell", values=measure)
    low, high = intervals(by_seed, median_weights)
    if np.isfinite(low).any():
        ax.fill_between(by_seed.index.to_numpy(dtype=float), low, high, color=style.color, alpha=0.15, lw=0, zorder=1)


def dodges(n: int) -> list[float]:
    """Return ``n`` offsets, as shares of the axis, that keep equal curves from hiding each other."""
    step = min(0.008, 0.04 / max(n - 1, 1))
    return [step * (place - (n - 1) / 2) for place in range(n)]


def shift(x: pd.Series, offset: float, log: bool) -> pd.Series:
    """Move lengths by a share of their range, on a linear or logarithmic axis."""
    low, high = x.min(), x.max()
    return x * (high / low) ** offset if log else x + offset * (high - low)


def length_axis(ax: Axes, lengths: Sequence[float], train: tuple[float, float]) -> bool:
    """Set up an axis of lengths with the training range shaded; return whether it is logarithmic."""
    low, high = lengths[0], lengths[-1]
    log = high > 8 * low
    margin = (high / low) ** 0.03 if log else 0.03 * max(high - low, 1)
    ends = (low / margin, high * margin) if log else (low - margin, high + margin)
    if log:
        ax.set_xscale("log")
    label_lengths(ax, [high, *(length for length in lengths if length in train), low, *lengths[::-1]], log)
    if np.isfinite(train).all():
        ax.axvspan(max(train[0], ends[0]), max(train[1], ends[0]), color=SHADE, alpha=0.16, lw=0, zorder=0)
    ax.set(xlim=ends, xlabel="length")
    return log


def label_lengths(ax: Axes, candidates: Sequence[float], log: bool, gap: float = 0.11) -> None:
    """Label lengths in order of preference, unless one is closer than ``gap`` of the axis to an earlier label."""
    position = np.log if log else float
    min_distance = gap * (position(max(candidates)) - position(min(candidates)))
    labels: list[float] = []
    for length in candidates:
        if all(abs(position(length) - position(label)) >= max(min_distance, 1e-9) for label in labels):
            labels.append(length)
    ax.xaxis.set_major_locator(FixedLocator(labels))
    ax.xaxis.set_major_formatter(FixedFormatter([fmt.number(length) for length in labels]))
    ax.xaxis.set_minor_locator(NullLocator())
