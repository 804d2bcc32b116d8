"""The critical-difference picture: mean ranks over tasks, with bars over architectures that cannot be told apart."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.analysis.comparisons import compare_all, mean_ranks, rank_groups
from harness.report import number_format as fmt
from harness.report.comparison_tables import BARS, seed_scores
from harness.report.figures import Panel, PanelGroup, row_height, row_label
from harness.report.results import Results
from harness.report.style import INK

FEWEST = 3
"""Architectures below which a rank says no more than the comparison of the pair."""


def rank_picture(results: Results) -> PanelGroup:
    """Return mean ranks with groups; no panel for fewer than three architectures or without a common task."""
    scores = seed_scores(results)
    ranks = mean_ranks(scores)
    panels: tuple[Panel, ...] = ()
    tasks = ""
    if len(ranks) >= FEWEST:
        pairs = compare_all(scores)
        groups = rank_groups(ranks, pairs) if len(pairs) else []
        tasks = fmt.plural(int(ranks.tasks.iloc[0]), "task")
        size = (2.6, 0.6 + row_height(ranks.architecture) * len(ranks))
        draw = partial(draw_ranks, ranks=ranks, groups=groups, results=results)
        panels = (Panel(f"Mean rank over {tasks}", draw, size=size),)
    caption = (
        "Architectures are ranked on each task by the median scaled accuracy over seeds, 1 for the best; ties share "
        f"their ranks. {BARS}"
    )
    return PanelGroup("ranks", "Mean ranks over tasks", caption, panels)


def draw_ranks(ax: Axes, ranks: pd.DataFrame, groups: list[tuple[int, int]], results: Results) -> None:
    """Draw one row for each architecture, the best at the top, and the bars of the groups to the right."""
    for place, (name, rank) in enumerate(zip(ranks.architecture, ranks["rank"], strict=True)):
        style = results.plot_styles[name]
        ax.plot([1, rank], [place, place], color=style.color, lw=0.8)
        ax.plot(rank, place, color=style.color, marker=style.marker, ms=4)
    right = ranks["rank"].max()
    for number, (first, last) in enumerate(groups, 1):
        x = right + 0.06 * number * max(right - 1, 1)
        ax.plot([x, x], [first - 0.2, last + 0.2], color=INK, lw=2, solid_capstyle="butt")
    ax.set_yticks(range(len(ranks)), [row_label(name) for name in ranks.architecture])
    ax.set(ylim=(len(ranks) - 0.5, -0.5), xlabel="mean rank")
    ax.tick_params(axis="y", length=0)
