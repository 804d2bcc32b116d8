"""The table and plots that compare program length with length generalization.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?") conjecture that transformers tend to generalize in length
where the next token is computed by a short RASP-L program. Lengthwise measures the length of these programs, so the two
can be compared.
"""

from functools import partial
from math import inf, isnan, nan

import pandas as pd
from matplotlib.axes import Axes

from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import MEASURES, Table, marks, seeds_and_selection
from harness.report.figures import Panel, PanelGroup
from harness.report.results import Results, TaskResult

NO_PROGRAM = "none known"
MIN_PROGRAM_LENGTHS = 2
"""Fewest different program lengths that make a comparison."""


def program_length_table(results: Results) -> Table:
    """Return tasks by program length, with the answer's length and each architecture's score; may be empty."""
    lengths = program_lengths(results)
    task_results = sorted(results.main_results, key=lambda result: (lengths.get(result.task, inf), result.task))
    if len({lengths[result.task] for result in task_results if result.task in lengths}) < MIN_PROGRAM_LENGTHS:
        task_results = []
    rows, cells = [], []
    for result in task_results:
        row_cells = [results.table_cell(architecture, result) for architecture in results.architectures]
        cells += row_cells
        scores = (cell.score_text("exact") for cell in row_cells)
        rows.append(
            {
                "task": result.title,
                "program": fmt.number(lengths[result.task]) if result.task in lengths else NO_PROGRAM,
                "answer": fmt.number(answer_tokens(results, result)),
                **dict(zip(results.architectures, scores, strict=True)),
            }
        )
    frame = pd.DataFrame(rows)
    caption = (
        "Program is the number of core operations of the shortest RASP-L program we know, an upper bound. Answer is "
        "the number of graded tokens at the longest length tested. The two are confounded: a longer answer has more "
        "chances to go wrong, independent of the program. Scores are means beyond training lengths, then medians over "
        f"seeds. {MEASURES['exact']} {seeds_and_selection(results)}{marks(cells)}"
    )
    return Table("conjecture", "Program length against generalization", caption, frame, frame)


def program_length_plots(results: Results) -> PanelGroup:
    """Return scores beyond training against the program's length and against the answer's length."""
    lengths = program_lengths(results)
    size = (5.2, 3.1)
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
                ax.plot(x, cell.scores["exact"], style.marker, color=style.color, mfc=face, ms=6, alpha=0.85, ls="none")
    labels = [fmt.number(tick) for tick in ticks]
    if any(map(isnan, lengths.values())):
        ticks, labels = [*ticks, right], [*labels, NO_PROGRAM.replace(" ", "\n")]
    ax.set_xticks(ticks, labels)
    ax.set(ylim=(-0.05, 1.05), xlim=(0, right * 1.08), xlabel=xlabel, ylabel="exact match")


def program_lengths(results: Results) -> dict[str, int]:
    """Return the core operations of the tasks that have a known program."""
    return {task: length for task, length in results.meta.programs.items() if length is not None}


def answer_tokens(results: Results, task_result: TaskResult) -> float:
    """Return the mean number of graded tokens of an answer at the longest length."""
    rows = results.seeds[(results.seeds.task == task_result.task) & (results.seeds.variant == "")]
    rows = rows[is_scored(rows.status)]
    longest = rows[rows.length == rows.length.max()]
    return round(float((longest.tokens / longest.n).mean()), 1) if len(longest) else nan
