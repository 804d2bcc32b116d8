"""The table of known results: published claims, and whether the scores of this run agree with them."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from harness.analysis.schema import is_scored
from harness.analysis.statistics import is_tuning
from harness.config.claims import Claim, Expectation, SeedScore, verdict
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results

ANSWERS = {True: "yes", False: "no", None: "not tested"}


class Evidence(NamedTuple):
    """The scores of an expectation and of the architecture it is compared with; ``holds`` is None if not tested."""

    scores: list[SeedScore]
    others: list[SeedScore]
    planned: int
    holds: bool | None


def claims_table(results: Results) -> Table:
    """Return a row for each expectation, claim by claim; the table may be empty."""
    rows = [row for claim in results.meta.known for row in _rows(claim, results)]
    caption = (
        "Every expectation was written into the suite before the run. Measured lists the scores of all seeds at that "
        "length, best first. Fit counts the seeds that solved their training lengths. The failure of a model that does "
        "not fit is no evidence about longer lengths, so such an expectation is not tested, except where the claim is "
        "that the task cannot be learned. A claim is not put to the test if one of its expectations is not tested or "
        "lacks seeds, appears if all of them hold, and does not appear otherwise. All claims are listed. "
        f"{selection(results)}"
    )
    frame = pd.DataFrame(rows)
    group = ("claim", "verdict", "source", "task")
    return Table("known", "Known results, and whether they appear", caption, frame, frame, group)


def _rows(claim: Claim, results: Results) -> Iterator[dict[str, str]]:
    tasks = [expectation.task or claim.task for expectation in claim.expect]
    evidence = [_look_up(*pair, results) for pair in zip(claim.expect, tasks, strict=True)]
    claim_verdict = verdict([item.holds for item in evidence])
    for expectation, task, item in zip(claim.expect, tasks, evidence, strict=True):
        seeds, measured = f"{expectation.seeds or item.planned} of {item.planned}", _listed(item.scores)
        if expectation.above:
            seeds, measured = "medians", f"{measured} against {_listed(item.others)}"
        yield {
            "claim": claim.claim,
            "verdict": claim_verdict,
            "source": claim.source,
            "task": claim.task,
            "expected": expectation.words,
            "seeds": seeds,
            "measured": measured,
            "fit": " against ".join(_fitted(results, name, task) for name in expectation.compared),
            "holds": ANSWERS[item.holds],
        }


def _look_up(expectation: Expectation, task: str, results: Results) -> Evidence:
    scores = scores_of(results, expectation.architecture, task, expectation)
    others = scores_of(results, expectation.above, task, expectation)
    planned = _planned(results, expectation.architecture, task)
    return Evidence(scores, others, planned, expectation.holds(scores, others, max(1, planned)))


def scores_of(results: Results, architecture: str, task: str, expectation: Expectation) -> list[SeedScore]:
    """Return all seeds at the expectation's length, best first; a failed seed has score 0 and does not fit."""
    rows, cells = results.seeds, results.selected
    chosen = (rows.architecture == architecture) & (rows.task == task) & (rows.variant == expectation.variant)
    found = rows[chosen & (rows.length == expectation.at) & is_scored(rows.status)]
    seeds = [
        SeedScore(*pair) for pair in zip(found[expectation.score].tolist(), found.fit.eq(True).tolist(), strict=True)
    ]
    failed = (cells.architecture == architecture) & (cells.task == task) & (cells.status == "failed")
    return sorted([*seeds, *(SeedScore(0.0, False) for _ in range(int(failed.sum())))], reverse=True)


def _planned(results: Results, architecture: str, task: str) -> int:
    cells = results.cells[~is_tuning(results.cells)]
    return int(cells.seed[(cells.architecture == architecture) & (cells.task == task)].nunique())


def _fitted(results: Results, architecture: str, task: str) -> str:
    rows = results.seeds[(results.seeds.architecture == architecture) & (results.seeds.task == task)]
    return f"{int(rows.drop_duplicates('cell').fit.eq(True).sum())} of {_planned(results, architecture, task)}"


def _listed(seeds: list[SeedScore]) -> str:
    return " ".join(fmt.score(seed.score) for seed in seeds) or fmt.NOTHING
