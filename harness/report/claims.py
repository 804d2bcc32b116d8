"""The table of known results: what others found, whether it appears here, and the scores that say so."""

from collections.abc import Iterator

import pandas as pd

from harness.config.claims import Claim, Expectation, verdict
from harness.report import number_format as fmt
from harness.report.captions import SELECTION, Table
from harness.report.results import View

ANSWERS = {True: "yes", False: "no", None: "not measured"}


def known_table(view: View) -> Table:
    """Return a row for each expectation, claim by claim; may be empty."""
    rows = [row for known in view.meta.get("known") or [] for row in _rows(Claim(**known), view)]
    caption = (
        "Every predicate was written into the suite before the run. Measured: the scores of all seeds at that length, "
        "sorted. Fit: the seeds that solved their training lengths; where none did, a claim about longer ones was not "
        "put to the test. A claim appears if all that is expected of it holds; what does not is left as it is. "
        f"{SELECTION}"
    )
    frame = pd.DataFrame(rows)
    group = ("claim", "verdict", "source", "task")
    return Table("known", "Known results, and whether they appear", caption, frame, frame, group)


def _rows(known: Claim, view: View) -> Iterator[dict[str, str]]:
    looked = [_look_up(each, each.task or known.task, view) for each in known.expect]
    said = verdict([answer for *_, answer in looked])
    for each, (scores, others, planned, answer) in zip(known.expect, looked, strict=True):
        yield {
            "claim": known.claim,
            "verdict": said,
            "source": known.source,
            "task": known.task,
            "expected": each.words,
            "seeds": "medians" if each.above else f"{each.seeds or planned} of {planned}",
            "measured": _listed(scores) + (f" against {_listed(others)}" if each.above else ""),
            "fit": " against ".join(_fitted(view, name, each.task or known.task) for name in each.compared),
            "holds": ANSWERS[answer],
        }


def _look_up(each: Expectation, task: str, view: View) -> tuple[list[float], list[float], int, bool | None]:
    """Return the scores, those to compare with, the number of seeds planned, and whether the expectation holds."""
    scores, others = (scores_of(view, name, task, each) for name in (each.architecture, each.above))
    planned = _planned(view, each.architecture, task)
    return scores, others, planned, each.holds(scores, others, max(1, planned))


def scores_of(view: View, architecture: str, task: str, expectation: Expectation) -> list[float]:
    """Return the scores of all seeds at the expectation's length, the best first; a failed seed counts as 0."""
    rows = view.seeds
    chosen = (rows.architecture == architecture) & (rows.task == task) & (rows.variant == expectation.variant)
    found = rows[chosen & (rows.length == expectation.at) & (rows.status == "ok")][expectation.score]
    cells = view.selected
    failed = (cells.architecture == architecture) & (cells.task == task) & (cells.status == "failed")
    return sorted([0.0] * int(failed.sum()) + found.tolist(), reverse=True)


def _planned(view: View, architecture: str, task: str) -> int:
    cells = view.cells
    return int(cells.seed[(cells.architecture == architecture) & (cells.task == task)].nunique())


def _fitted(view: View, architecture: str, task: str) -> str:
    rows = view.seeds[(view.seeds.architecture == architecture) & (view.seeds.task == task)]
    return f"{int(rows.drop_duplicates('cell').fit.eq(True).sum())} of {_planned(view, architecture, task)}"


def _listed(scores: list[float]) -> str:
    return " ".join(map(fmt.score, scores)) or fmt.NOTHING
