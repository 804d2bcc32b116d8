"""The tables of scores: the headline, the means beyond training, every length, every statistic."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from harness.report import number_format as fmt
from harness.report.captions import FACTS, MEASURES, SELECTION, SOLVED_TO, Table, facts, marks, provenance
from harness.report.claims import known_table
from harness.report.program_length import conjecture_table
from harness.report.results import View
from harness.report.run_tables import cost_by_task_table, cost_table, problems_table, rates_table
from harness.report.table_cell import Entry


def tables(view: View) -> list[Table]:
    """Return all tables of a run, in reading order."""
    scores = [solved_table(view), beyond_table(view, "exact"), beyond_table(view, "token")]
    accounts = [cost_table(view), cost_by_task_table(view), rates_table(view), problems_table(view)]
    compared = [table for table in [known_table(view), conjecture_table(view)] if len(table.frame)]
    return [*scores, *compared, lengths_table(view), detail_table(view), *accounts]


def _pivot(view: View, measure: str, write: Callable[[Entry], str]) -> tuple[pd.DataFrame, list[Entry]]:
    """Architectures by tasks; the last rows are the facts of the tasks."""
    grid = {q: [view.entry(architecture, q) for architecture in view.architectures] for q in view.main}
    columns: dict[str, list[str]] = {"architecture": [*view.architectures, *FACTS]}
    for question, entries in grid.items():
        columns[question.title] = [*map(write, entries), *facts(question, measure).values()]
    return pd.DataFrame(columns), [entry for entries in grid.values() for entry in entries]


def solved_table(view: View) -> Table:
    """Return the headline: how far each architecture solves each task."""
    frame, entries = _pivot(view, "exact", lambda entry: entry.headline)
    caption = f"{SOLVED_TO} {provenance(view)}{marks(entries)}"
    return Table("solved-to", "How far each architecture solves each task", caption, frame, frame)


def beyond_table(view: View, measure: str) -> Table:
    """Return the medians of a score beyond training."""
    frame, entries = _pivot(view, measure, lambda entry: entry.score_text(measure))
    titles = {"exact": "Exact match beyond training lengths", "token": "Token accuracy beyond training lengths"}
    caption = (
        f"Mean over the lengths beyond training (trapezoid rule), median over seeds; {MEASURES[measure]}. In brackets "
        f"where fewer than half of the seeds fit their training lengths. {provenance(view)}{marks(entries)}"
    )
    return Table(f"beyond-{measure}", titles[measure], caption, frame, frame)


def lengths_table(view: View) -> Table:
    """Return medians at every evaluated length."""
    rows = view.seeds[view.seeds.status == "ok"]
    data = rows.groupby(["task", "variant", "architecture", "length", "in_range"], sort=False).agg(
        seeds=("cell", "nunique"),
        exact=("exact", "median"),
        exact_low=("exact", "min"),
        exact_high=("exact", "max"),
        token=("token", "median"),
        chance_exact=("chance_exact", "median"),
        chance_token=("chance_token", "median"),
        samples=("n", "max"),
    )
    data = data.reset_index().sort_values(["task", "variant", "architecture", "length"], key=_places(view))
    rounded = data[["exact", "exact_low", "exact_high", "token", "chance_exact", "chance_token"]].map(fmt.score)
    plain = data[["length", "seeds", "samples"]].map(fmt.number)
    frame = data.assign(**rounded, **plain, in_range=data.in_range.map({True: "yes", False: "no"}))
    frame = frame.rename(columns={"in_range": "trained on"}).rename(columns=lambda name: name.replace("_", " "))
    caption = f"Median, lowest and highest seed at each evaluated length; all trained seeds. {SELECTION}"
    return Table("lengths", "Scores by length", caption, frame, data)


def detail_table(view: View) -> Table:
    """Return every statistic of every architecture, task and variant."""
    data = view.summary
    if len(data):
        data = data.sort_values(["task", "variant", "architecture"], key=_places(view), kind="stable")
    questions = {(question.task, question.variant): question for question in view.questions}
    rows = []
    for row in data.to_dict("records"):
        question = questions[row["task"], row["variant"]]
        known = facts(question, "exact") | {"chance (token)": facts(question, "token")["chance"]}
        rows.append({"task": question.title, **known, **_detail(row)})
    caption = (
        "Scores are means over the lengths beyond training, then median and interquartile mean (IQM) over seeds; in "
        "square brackets 95% bootstrap intervals of the IQM, from five seeds on. A failed seed counts as not fit and "
        "as 0; 'given fit' takes the fitted seeds alone. 'Max of n, selected on test' is no result of a method: it is "
        f"what some papers print. {provenance(view)}"
    )
    group = ("task", *FACTS, "chance (token)")
    return Table("detail", "All statistics", caption, pd.DataFrame(rows), data, group)


def _detail(row: Mapping[Any, Any]) -> dict[str, str]:
    ended = f" ({row['ended']})" if row["ended"] else ""
    failed = f", {row['failed']} failed" if row["failed"] else ""
    graded = row["graded"]
    written = {
        "architecture": row["architecture"],
        "learning rate": fmt.number(row["learning_rate"]) + ("‡" if row["edge"] else ""),
        "seeds": f"{graded} of {row['planned']}{failed}" if row["status"] != "not applicable" else fmt.NOTHING,
        "fit": f"{row['fitted']}/{graded}" if graded else fmt.NOTHING,
        "solved": f"{round(row['solved'] * graded)}/{graded}" if graded else fmt.NOTHING,
        "solved to": (row["solved_to"] or fmt.NOTHING) + ended if row["status"] == "ok" else row["status"],
    }
    for name in ("exact", "token"):
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        written[name] = fmt.score(row[name])
        written[f"{name}, IQM"] = fmt.score(row[f"{name}_iqm"]) + fmt.interval(low, high)
        written[f"{name}, given fit"] = fmt.score(row[f"{name}_fit"])
    best = f"{fmt.score(row['exact_max'])} (max of {row['max_of']}, selected on test)"
    return written | {"exact, max": best if row["max_of"] else fmt.NOTHING}


def _places(view: View) -> Callable[[pd.Series], pd.Series]:
    """Order names as the catalog does, and anything else by itself."""
    places = {name: place for names in (view.architectures, view.tasks) for place, name in enumerate(names)}
    return lambda column: column.map(places) if column.name in ("architecture", "task") else column
