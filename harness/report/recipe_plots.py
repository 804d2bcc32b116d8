"""Plots of ways to train: exact match by length, with one line for each recipe, or for each stage of one."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from seaborn import color_palette

from harness.config.lengths import even_grid
from harness.report.captions import selection
from harness.report.figures import Panel, PanelGroup
from harness.report.length_curves import dodges, draw_one, length_axis, shift
from harness.report.number_format import count
from harness.report.recipe_tables import after_each_stage, compared_tasks
from harness.report.results import Results
from harness.report.style import INK, PlotStyle, line_styles

MOST_LINES, MOST_WITH_SEEDS, MOST_NAMES = 9, 3, 4
"""The most lines of a panel of stages, the most with which it has a point for each seed, and the most in its legend."""


def recipe_curves(results: Results) -> PanelGroup:
    """Return exact match by length for each task and architecture that was trained in several ways."""
    panels = []
    names = list(dict.fromkeys(name for tasks in compared_tasks(results).values() for name in tasks))
    styles = line_styles(names)
    for (task, _), tasks in compared_tasks(results).items():
        for architecture in results.architectures:
            shown = {name: label for name, label in tasks.items() if _has_scores(results, architecture, label)}
            if len(shown) > 1:
                draw = partial(draw_recipes, results=results, architecture=architecture, tasks=shown, styles=styles)
                panels.append(Panel(f"{architecture} on {task}", draw))
    caption = (
        "Each colour is a way to train; all take the same number of steps. Each point is one seed, and lines connect "
        f"the medians. The training range is shaded. {selection(results)}"
    )
    return PanelGroup(
        "recipes", "Exact match by length, by recipe", caption, tuple(panels), tuple(names), styles=styles
    )


def draw_recipes(
    ax: Axes, results: Results, architecture: str, tasks: dict[str, str], styles: dict[str, PlotStyle]
) -> None:
    """Draw one panel: a line for each recipe."""
    by_label = {result.task: result for result in results.main_results}
    first = by_label[next(iter(tasks.values()))]
    log = length_axis(ax, first.lengths, first.train)
    for (name, label), offset in zip(tasks.items(), dodges(len(tasks)), strict=True):
        scores = results.seeds_of(by_label[label])
        rows = scores[scores.architecture == architecture].sort_values("length")
        draw_one(ax, rows.assign(x=shift(rows.length, offset, log)), "exact", styles[name])
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="exact match")


def stage_curves(results: Results) -> PanelGroup:
    """Return exact match by length after each stage and round, for each model and recipe with several of them."""
    panels = []
    trained = {result.task: result.train for result in results.main_results}
    staged = after_each_stage(results)
    for (task, architecture, recipe), scores in staged.groupby(["task", "architecture", "recipe"]):
        if scores.step.nunique() > 1:
            draw = partial(draw_stages, scores=scores, train=trained[str(task)])
            title = f"{architecture} on {scores.base.iloc[0]}"
            panels.append(Panel(title if staged.recipe.nunique() == 1 else f"{title}: {recipe}", draw))
    caption = (
        "Each colour is the models after so many steps, from dark to light: after a stage, after a round of "
        f"self-improvement, or at a checkpoint. Lines connect the medians; where there are at most {MOST_WITH_SEEDS} "
        f"lines, each point is one seed. Lengths below half of the longest one in training are left out. "
        f"The training range is shaded. {selection(results)}"
    )
    return PanelGroup("stages", "Exact match by length, after each stage", caption, tuple(panels))


def draw_stages(ax: Axes, scores: pd.DataFrame, train: tuple[float, float]) -> None:
    """Draw one panel with its own legend; of many steps the first, the last and evenly spaced ones between them."""
    scores = scores[~(scores.length < train[1] / 2)].sort_values("length")
    steps = sorted(scores.step.unique())
    shown = [steps[i] for i in even_grid(0, len(steps) - 1, MOST_LINES)]
    with_seeds = len(shown) <= MOST_WITH_SEEDS
    colors = color_palette("viridis", len(shown) + 1)  # the last one is too light for a line
    log = length_axis(ax, list(scores.length.unique()), train)
    named = {shown[i] for i in even_grid(0, len(shown) - 1, MOST_NAMES)}
    for step, color, offset in zip(shown, colors, dodges(len(shown)), strict=False):
        rows = scores[scores.step == step]
        x = shift(rows.length, offset, log) if with_seeds else rows.length
        ax.plot(
            rows.exact.groupby(x).median(), color=color, lw=1.6, zorder=2, label=count(step) if step in named else None
        )
        if with_seeds:
            ax.plot(x, rows.exact, "o", color=color, ms=2.6, alpha=0.65, zorder=3)
    ax.set(ylim=(-0.04, 1.06), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="exact match")
    ax.legend(fontsize=7, labelcolor=INK, loc="lower left", handlelength=1.2, title="after steps", title_fontsize=7)


def _has_scores(results: Results, architecture: str, task: str) -> bool:
    return bool(((results.seeds.architecture == architecture) & (results.seeds.task == task)).any())
