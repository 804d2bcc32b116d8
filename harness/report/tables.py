"""Tables of scores: solved to, means beyond training, scores by length, and all statistics."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import (
    HEADER_ROWS,
    MEASURES,
    SHORTCUT,
    SOLVED_TO,
    Table,
    marks,
    seeds_and_selection,
    selection,
    task_header,
)
from harness.report.carried import carried_table
from harness.report.claims import claims_table
from harness.report.comparison_tables import pairs_table, profile_table, ranks_table
from harness.report.dataset_tables import enough_table, sizes_table
from harness.report.paper_tables import scores_paper, solved_paper
from harness.report.program_length import program_length_table
from harness.report.published import published_table
from harness.report.rate_tables import rates_table, windows_table
from harness.report.recipe_tables import recipes_table, stages_table, transfer_table
from harness.report.results import Results
from harness.report.run_tables import cost_by_task_table, cost_table, problems_table
from harness.report.settings_table import settings_table
from harness.report.stale import mark_stale
from harness.report.table_cell import TableCell
from harness.report.training_tables import steps_table
from harness.report.unfitted import unfitted_table

OPTIONAL = {"known", "conjecture", "settings", "unfitted", "steps-to-fit", "rate-windows"}
OPTIONAL |= {"training-set-sizes", "enough-sequences", "comparisons", "ranks", "profile"}
OPTIONAL |= {"published", "recipes", "transfer", "stages", "carried"}
"""Names of the tables that a report leaves out where they have no row."""

HIGH_SHARE = 0.5
"""Share of test questions seen in training above which the caption names the task."""

DETAIL_PARTS = (
    ("learning rate", "seeds", "fit", "solved", "solved to"),
    ("exact", "exact, IQM", "exact, given fit", "exact, max"),
    ("token", "token, IQM", "token, given fit"),
)
"""Columns of each part of the table of all statistics in LaTeX."""


def tables(results: Results) -> list[Table]:
    """Return all tables of a run, in reading order."""
    scores = [solved_table(results), beyond_table(results, "exact"), beyond_table(results, "token")]
    more = [claims_table(results), program_length_table(results), lengths_table(results), detail_table(results)]
    cost = [cost_table(results), cost_by_task_table(results)]
    training = [settings_table(results), unfitted_table(results), steps_table(results)]
    rates = [rates_table(results), windows_table(results)]
    sizes = [carried_table(results), sizes_table(results), enough_table(results)]
    recipes = [recipes_table(results), transfer_table(results), stages_table(results)]
    over_tasks = [published_table(results), pairs_table(results), ranks_table(results), profile_table(results)]
    every = [*scores, *more, *over_tasks, *sizes, *recipes, *cost, *training, *rates, problems_table(results)]
    return [mark_stale(table, results) for table in every if len(table.frame) or table.name not in OPTIONAL]


def _pivot(results: Results, measure: str, write: Callable[[TableCell], str]) -> tuple[pd.DataFrame, list[TableCell]]:
    """Return architectures by tasks, with the header rows of the tasks at the end, and all cells."""
    columns: dict[str, list[str]] = {"architecture": [*results.architectures, *HEADER_ROWS]}
    cells = []
    for result in results.main_results:
        column = [results.table_cell(architecture, result) for architecture in results.architectures]
        columns[result.title] = [*map(write, column), *task_header(result, measure).values()]
        cells += column
    return pd.DataFrame(columns), cells


def solved_table(results: Results) -> Table:
    """Return the table of how far each architecture solves each task."""
    frame, cells = _pivot(results, "exact", lambda cell: cell.headline)
    caption = f"{SOLVED_TO} {SHORTCUT} {seeds_and_selection(results)}{marks(cells)}"
    title = "How far each architecture solves each task"
    return Table("solved-to", title, caption, frame, frame, paper=solved_paper(results))


def beyond_table(results: Results, measure: str) -> Table:
    """Return the medians of a score beyond training."""
    frame, cells = _pivot(results, measure, lambda cell: cell.score_text(measure))
    titles = {"exact": "Exact match beyond training lengths", "token": "Token accuracy beyond training lengths"}
    caption = (
        "Scores are averaged over the lengths beyond training (trapezoid rule); each number is the median over seeds. "
        f"{MEASURES[measure]} Numbers are in brackets where fewer than half of the seeds fit their training lengths. "
        f"{seeds_and_selection(results)}{marks(cells)}"
    )
    return Table(f"beyond-{measure}", titles[measure], caption, frame, frame, paper=scores_paper(results, measure))


def lengths_table(results: Results) -> Table:
    """Return medians at every evaluated length."""
    rows = results.seeds[is_scored(results.seeds.status)]
    data = rows.groupby(["task", "variant", "architecture", "length", "in_range"], sort=False).agg(
        seeds=("cell", "nunique"),
        exact=("exact", "median"),
        exact_low=("exact", "min"),
        exact_high=("exact", "max"),
        token=("token", "median"),
        chance_exact=("chance_exact", "median"),
        chance_token=("chance_token", "median"),
        samples=("n", "max"),
        seen=("seen", "median"),
    )
    data = data.reset_index().sort_values(["task", "variant", "architecture", "length"], key=_row_order(results))
    rounded = data[["exact", "exact_low", "exact_high", "token", "chance_exact", "chance_token", "seen"]].map(fmt.score)
    whole = data[["length", "seeds", "samples"]].map(fmt.number)
    frame = data.assign(**rounded, **whole, in_range=data.in_range.map({True: "yes", False: "no"}))
    names = {"in_range": "trained on", "seen": "seen in training"}
    frame = frame.rename(columns=names).rename(columns=lambda name: name.replace("_", " "))
    caption = (
        "Each row shows the median, the lowest and the highest seed at one length, over all trained seeds. "
        f"{_few_questions(data)}{_seen_in_training(data)}{selection(results)}"
    )
    return Table("lengths", "Scores by length", caption, frame, data, ("task", "variant"), labels=2)


def _few_questions(data: pd.DataFrame) -> str:
    """Explain test sets of different sizes."""
    if data.samples.nunique() < 2:
        return ""
    return "A length that has fewer questions than were asked for is tested on each of them once. "


def _seen_in_training(data: pd.DataFrame) -> str:
    """Explain the share of test questions that training has drawn, and say where it is above one half."""
    if not data.seen.notna().any():
        return ""
    high = data[data.seen > HIGH_SHARE]
    named = ", ".join(f"{task} ({fmt.span(high.length[high.task == task])})" for task in dict.fromkeys(high.task))
    where = f" It is above {HIGH_SHARE:g} for {named}: high scores there may be recall." if named else ""
    return f"Seen in training is the share of the test questions that were also drawn in training.{where} "


def detail_table(results: Results) -> Table:
    """Return every statistic of every architecture, task and variant."""
    data = results.summary
    if len(data):
        data = data.sort_values(["task", "variant", "architecture"], key=_row_order(results), kind="stable")
    results_by_key = {(result.task, result.variant): result for result in results.task_results}
    rows = []
    for row in data.to_dict("records"):
        result = results_by_key[row["task"], row["variant"]]
        header = task_header(result, "exact") | {"chance (token)": task_header(result, "token")["chance"]}
        rows.append({"task": result.title, **header, **_detail(row)})
    caption = (
        "Scores are means over the lengths beyond training, then median and interquartile mean (IQM) over seeds. "
        "Square brackets hold 95% bootstrap intervals of the IQM, from five seeds on. A failed seed counts as not "
        "fit, and its scores as 0. 'Given fit' is the median over the seeds that fit. 'Max of n, selected on test' is "
        f"not the result of a method; it is printed because some papers report it. {seeds_and_selection(results)}"
    )
    group = ("task", *HEADER_ROWS, "chance (token)")
    return Table("detail", "All statistics", caption, pd.DataFrame(rows), data, group, parts=DETAIL_PARTS)


def _detail(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return the texts of one row of the summary, by column."""
    graded = row["graded"]
    rate = fmt.number(row["learning_rate"])
    if row["edge"]:
        rate += "‡"
    seeds = fmt.NOTHING
    if row["status"] != "not applicable":
        seeds = f"{graded} of {row['planned']}"
        if row["failed"]:
            seeds += f", {row['failed']} failed"
    solved_to = row["status"]
    if row["status"] == "ok":
        solved_to = row["solved_to"] or fmt.NOTHING
        if row["ended"]:
            solved_to += f" ({row['ended']})"
    texts = {
        "architecture": row["architecture"],
        "learning rate": rate,
        "seeds": seeds,
        "fit": f"{row['fitted']}/{graded}" if graded else fmt.NOTHING,
        "solved": f"{round(row['solved'] * graded)}/{graded}" if graded else fmt.NOTHING,
        "solved to": solved_to,
    }
    for name in ("exact", "token"):
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        texts[name] = fmt.score(row[name])
        texts[f"{name}, IQM"] = fmt.score(row[f"{name}_iqm"]) + fmt.interval(low, high)
        texts[f"{name}, given fit"] = fmt.score(row[f"{name}_fit"])
    best = f"{fmt.score(row['exact_max'])} (max of {row['max_of']}, selected on test)"
    return texts | {"exact, max": best if row["max_of"] else fmt.NOTHING}


def _row_order(results: Results) -> Callable[[pd.Series], pd.Series]:
    """Return a sort key that orders architectures and tasks as the report does, and other columns by value."""
    places = {name: place for names in (results.architectures, results.tasks) for place, name in enumerate(names)}
    return lambda column: column.map(places) if column.name in ("architecture", "task") else column
