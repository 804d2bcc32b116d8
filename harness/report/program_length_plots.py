"""Plots of scores beyond training against the length of a task's program, and against the length of its answer."""

from functools import partial
from math import isnan, nan

from matplotlib.axes import Axes

from harness.report import number_format as fmt
from harness.report.captions import seeds_and_selection
from harness.report.figures import Panel, PanelGroup
from harness.report.program_length import MIN_PROGRAM_LENGTHS, NO_PROGRAM, answer_tokens, program_lengths
from harness.report.results import Results, TaskResult


def program_length_plots(results: Results) -> PanelGroup:
    """Return scores beyond training against the program's length and against the answer's length."""
    lengths = program_lengths(results)
    size = (2.6, 2.0)
    by_program = {result: float(lengths.get(result.task, nan)) for result in results.main_results}
    by_answer = {result: answer_tokens(results, result) for result in results.main_results}
    draw_program = partial(draw_scores, results=results, lengths=by_program, xlabel="core operations")
    draw_answer = partial(draw_scores, results=results, lengths=by_answer, xlabel="graded tokens of an answer")
    panels = (Panel("By program", draw_program, size=size), Panel("By answer", draw_answer, size=size))
    comparable = len({length for length in by_program.values() if not isnan(length)}) >= MIN_PROGRAM_LENGTHS
    caption = (
        "Each point is one task and architecture, at the median over seeds of exact match beyond training. Points are "
        "hollow where fewer than half of the seeds fit. Tasks without a known program are at the right. Program length "
        f"and answer length are confounded, so both plots have to be compared. {seeds_and_selection(results)}"
    )
    title = "Program length against generalization"
    return PanelGroup("conjecture", title, caption, panels if comparable else (), tuple(results.architectures))


def draw_scores(ax: Axes, results: Results, lengths: dict[TaskResult, float], xlabel: str) -> None:
    """Draw each score against the length of its task; tasks without a length share a position at the right."""
    ticks = sorted({length for length in lengths.values() if not isnan(length)})
    right = 1.25 * max(ticks, default=1)
    step = right / 120
    for index, architecture in enumerate(results.architectures):
        # Architectures are moved apart, so that equal scores do not hide each other.
        style, offset = results.plot_styles[architecture], step * (index - (len(results.architectures) - 1) / 2)
        for result, length in lengths.items():
            cell = results.table_cell(architecture, result)
            if cell.has_scores:
                x = (right if isnan(length) else length) + offset
                face = style.color if cell.fits else "none"
                ax.plot(
                    x,
                    cell.scores["exact"],
                    style.marker,
                    color=style.color,
                    mfc=face,
                    ms=3.2,
                    mew=0.7,
                    alpha=0.85,
                    ls="none",
                )
    labels = [fmt.number(tick) for tick in ticks]
    if any(map(isnan, lengths.values())):
        ticks, labels = [*ticks, right], [*labels, NO_PROGRAM.replace(" ", "\n")]
    ax.set_xticks(ticks, labels)
    ax.set(ylim=(-0.05, 1.05), xlim=(0, right * 1.08), xlabel=xlabel, ylabel="exact match")
