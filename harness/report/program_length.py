"""The table that compares program length with length generalization.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?") conjecture that transformers tend to generalize in length
where the next token is computed by a short RASP-L program. Lengthwise measures the length of these programs, so the two
can be compared.
"""

from math import inf, nan

import pandas as pd

from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import MEASURES, Table, marks, seeds_and_selection
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


def program_lengths(results: Results) -> dict[str, int]:
    """Return the core operations of the tasks that have a known program."""
    return {task: length for task, length in results.meta.programs.items() if length is not None}


def answer_tokens(results: Results, task_result: TaskResult) -> float:
    """Return the mean number of graded tokens of an answer at the longest length."""
    rows = results.seeds[(results.seeds.task == task_result.task) & (results.seeds.variant == "")]
    rows = rows[is_scored(rows.status)]
    longest = rows[rows.length == rows.length.max()]
    return round(float((longest.tokens / longest.n).mean()), 1) if len(longest) else nan
