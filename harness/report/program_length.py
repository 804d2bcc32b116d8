"""The conjecture's table and picture: program length against generalization.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): transformers tend to generalize in length where the task's
next token is a short RASP-L program. No other suite measures the program, so no other can put the two side by side.
"""

from functools import partial
from math import inf, isnan, nan

import pandas as pd
from matplotlib.axes import Axes

from harness.report import number_format as fmt
from harness.report.captions import MEASURES, Table, marks, provenance
from harness.report.figures import Gallery, Panel
from harness.report.results import Question, View

UNKNOWN = "none known"
ENOUGH = 2
"""Different lengths of programs that make a comparison."""


def conjecture_table(view: View) -> Table:
    """Return tasks by program length, with the answer's length and each architecture's score; may be empty."""
    known = programs(view)
    asked = sorted(view.main, key=lambda question: (known.get(question.task, inf), question.task))
    several = len({known[question.task] for question in asked if question.task in known}) >= ENOUGH
    entries = {q: [view.entry(architecture, q) for architecture in view.architectures] for q in asked if several}
    rows = [
        {
            "task": question.title,
            "program": fmt.number(known[question.task]) if question.task in known else UNKNOWN,
            "answer": fmt.number(answer_tokens(view, question)),
            **dict(zip(view.architectures, (entry.score_text("exact") for entry in of), strict=True)),
        }
        for question, of in entries.items()
    ]
    frame = pd.DataFrame(rows)
    caption = (
        "Program: core operations of the shortest RASP-L program we know, an upper bound. Answer: graded tokens at the "
        "longest length tested. The two are confounded: a longer answer has more chances to go wrong, whatever the "
        f"program. Scores: mean beyond training lengths, median over seeds; {MEASURES['exact']}. "
        f"{provenance(view)}{marks(entry for of in entries.values() for entry in of)}"
    )
    return Table("conjecture", "Program length against generalization", caption, frame, frame)


def conjecture(view: View) -> Gallery:
    """Return scores beyond training against the program's length and, beside it, against the answer's."""
    known = programs(view)
    size = (5.2, 3.1)
    by_program = {question: float(known.get(question.task, nan)) for question in view.main}
    by_answer = {question: answer_tokens(view, question) for question in view.main}
    panels = (
        Panel("By program", partial(draw_against, view=view, by=by_program, what="core operations"), size=size),
        Panel(
            "By answer", partial(draw_against, view=view, by=by_answer, what="graded tokens of an answer"), size=size
        ),
    )
    caption = (
        "A point for each task and architecture: exact match beyond training, median over seeds; hollow where fewer "
        "than half of the seeds fit. Tasks without a known program stand at the right. Program and answer length are "
        f"confounded: compare both pictures. {provenance(view)}"
    )
    enough = len({length for length in by_program.values() if not isnan(length)}) >= ENOUGH
    legend = tuple(view.architectures)
    return Gallery("conjecture", "Program length against generalization", caption, panels if enough else (), legend)


def draw_against(ax: Axes, view: View, by: dict[Question, float], what: str) -> None:
    """Draw every score against one length; what has none gets a place of its own."""
    lengths = sorted({length for length in by.values() if not isnan(length)})
    nowhere = 1.25 * max(lengths, default=1)
    step = nowhere / 120
    for index, architecture in enumerate(view.architectures):
        look, shift = view.looks[architecture], step * (index - (len(view.architectures) - 1) / 2)
        for question, length in by.items():
            entry = view.entry(architecture, question)
            if entry.ok:
                x = (nowhere if isnan(length) else length) + shift
                face = look.color if entry.fits else "none"
                ax.plot(x, entry.scores["exact"], look.marker, color=look.color, mfc=face, ms=6, alpha=0.85, ls="none")
    ticks = [*lengths, *([nowhere] if any(map(isnan, by.values())) else [])]
    ax.set_xticks(ticks, [UNKNOWN.replace(" ", "\n") if tick == nowhere else fmt.number(tick) for tick in ticks])
    ax.set(ylim=(-0.05, 1.05), xlim=(0, nowhere * 1.08), xlabel=what, ylabel="exact match")


def programs(view: View) -> dict[str, int]:
    """Return the core operations of the tasks that have a known program."""
    return {name: size for name, size in (view.meta.get("programs") or {}).items() if size is not None}


def answer_tokens(view: View, question: Question) -> float:
    """Return the mean number of graded tokens of an answer at the longest length."""
    rows = view.seeds[(view.seeds.task == question.task) & (view.seeds.variant == "") & (view.seeds.status == "ok")]
    longest = rows[rows.length == rows.length.max()]
    return round(float((longest.tokens / longest.n).mean()), 1) if len(longest) else nan
