"""Scores of the page: one row for each task, for each pair of architecture and task, and for each seed of a pair.

A task here is a task or one of its variants (``Results.task_results``), named by its place.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.estimators import intervals, median_weights
from harness.analysis.schema import is_scored
from harness.analysis.statistics import SolvedTo
from harness.report.page.encoding import whole_scores
from harness.report.page.findings import finding
from harness.report.program_length import answer_tokens, program_lengths
from harness.report.results import Results, TaskResult

KEYS = ["architecture", "task", "variant"]
MEASURES = ("exact", "token")


def task_rows(results: Results) -> list[dict[str, Any]]:
    """Return what the page says of each task: lengths, chance and the shortcut at each length, and its finding."""
    programs, families = program_lengths(results), results.meta.task_families
    floors = _shortcuts(results)
    return [
        {
            "name": result.title,
            "task": result.task,
            "variant": result.variant,
            "family": families.get(result.task, ""),
            "train": result.train,
            "lengths": result.lengths,
            "beyond": result.beyond,
            "multi": result.multi_token,
            "chance": {name: whole_scores([result.chance[name].get(n) for n in result.lengths]) for name in MEASURES},
            "chance_beyond": {"exact": result.chance_exact, "token": result.chance_token},
            "shortcut": result.shortcut._asdict() if result.shortcut else None,
            "floor": floors.get((result.task, result.variant)),
            "program": programs.get(result.task),
            "answer": answer_tokens(results, result),
            "finding": "" if result.variant else finding(results, result),
        }
        for result in results.task_results
    ]


def _shortcuts(results: Results) -> dict[tuple[str, str], dict[str, list[int | None]]]:
    """Return the score of the strongest simple reader at each length, by task and variant."""
    rows = results.seeds[is_scored(results.seeds.status)].drop_duplicates(["task", "variant", "length"])
    return {
        (str(task), str(variant)): {m: whole_scores(group.sort_values("length")[f"shortcut_{m}"]) for m in MEASURES}
        for (task, variant), group in rows.groupby(["task", "variant"])
        if (group.shortcut != "").any()
    }


def pair_rows(results: Results) -> list[dict[str, Any]]:
    """Return the statistics over seeds of each pair, in the order of tasks and architectures."""
    curves, steps = _curves(results), _steps(results)
    in_range = _in_range(results).median()
    rows = []
    for t, result in enumerate(results.task_results):
        for a, name in enumerate(results.architectures):
            key = name, result.task, result.variant
            cell, row = results.table_cell(name, result), results.summary_row(name, result)
            if cell.status != "not planned":
                rows.append(
                    {"a": a, "t": t, "text": "" if cell.has_scores else cell.status_text, "reason": cell.reason}
                )
                rows[-1] |= {"marks": cell.marks, "fitted": cell.fitted, "graded": cell.graded, "failed": cell.failed}
                rows[-1] |= {"fits": cell.fits, "solved": cell.solved_to, "length": row.get("solved_length")}
                rows[-1] |= {name: cell.scores.get(name) for name in MEASURES}
                rows[-1] |= {"range": in_range.get(key), "low": row.get("exact_low"), "high": row.get("exact_high")}
                rows[-1] |= steps.get((name, result.task), {"steps": None, "stepped": 0, "budget": None})
                rows[-1] |= {"rate": row.get("learning_rate"), "curves": curves.get(key)}
    return rows


def _in_range(results: Results) -> Any:
    """Return the mean exact match of each seed at the evaluated training lengths, grouped by pair and variant."""
    rows = results.seeds[is_scored(results.seeds.status) & results.seeds.in_range]
    by_cell = rows.groupby([*KEYS, "cell"], sort=False).exact.mean()
    return by_cell.groupby(KEYS, sort=False)


def _steps(results: Results) -> dict[tuple[str, str], dict[Any, Any]]:
    """Return the median step to fit over the seeds that fit, their number, and the budget, by pair."""
    pairs = results.progress.groupby(["architecture", "task"], sort=False)
    table = pairs.agg(steps=("fitted_at", "median"), stepped=("fitted_at", "count"), budget=("steps", "max"))
    return {(str(a), str(t)): row for (a, t), row in zip(table.index, table.to_dict("records"), strict=True)}


def _curves(results: Results) -> dict[tuple[str, str, str], dict[str, list[list[int | None]]]]:
    """Return the median and the ends of its interval by length, for each pair, variant and measure.

    All intervals of the run are resampled at once.
    """
    rows = results.seeds[is_scored(results.seeds.status)]
    if rows.empty:
        return {}
    places = {(result.task, result.variant): result.lengths for result in results.task_results}
    curves: dict[tuple[str, str, str], dict[str, list[list[int | None]]]] = {}
    for measure in MEASURES:
        by_seed = rows.pivot_table(index=[*KEYS, "length"], columns="seed", values=measure)
        low, high = intervals(by_seed, median_weights)
        ends = pd.DataFrame({"median": by_seed.median(axis=1), "low": low, "high": high})
        for key, group in ends.groupby(KEYS, sort=False):
            architecture, task, variant = (str(name) for name in key)
            group = group.set_index(group.index.get_level_values("length")).reindex(places[task, variant])
            used = ["median"] if group.low.isna().all() else list(group)
            curve = curves.setdefault((architecture, task, variant), {})
            curve[measure] = [whole_scores(group[name]) for name in used]
    return curves


def score_rows(results: Results, places: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the scores of each cell on each variant; ``places`` are those of the cells in the page."""
    names = {(result.task, result.variant): t for t, result in enumerate(results.task_results)}
    grades = results.grades[results.grades.final]
    graded = dict(zip(zip(grades.cell, grades.variant, strict=True), grades.to_dict("records"), strict=True))
    in_range = results.seeds[results.seeds.in_range].groupby(["cell", "variant"], sort=False).exact.mean()
    rows = []
    for (cell, task, variant), values in _by_cell(results):
        t, grade = names[task, variant], graded.get((cell, variant), {})
        last: SolvedTo | None = grade.get("solved_to")
        exact, token = (whole_scores(_at(values[name], values["length"], results.task_results[t])) for name in MEASURES)
        rows.append({"c": places[cell], "t": t, "fit": grade.get("fit"), "solved": "" if last is None else str(last)})
        rows[-1] |= {"exact": grade.get("exact"), "token": grade.get("token"), "range": in_range.get((cell, variant))}
        rows[-1] |= {"by": {"exact": exact, **({"token": token} if results.task_results[t].multi_token else {})}}
    return rows


def _by_cell(results: Results) -> Any:
    """Yield (cell, task, variant) and the columns of its scores, cut out of numpy arrays."""
    rows = results.seeds[is_scored(results.seeds.status)]
    columns = {name: rows[name].to_numpy() for name in ("length", *MEASURES)}
    for key, index in rows.groupby(["cell", "task", "variant"], sort=False).indices.items():
        yield key, {name: column[index] for name, column in columns.items()}


def _at(values: np.ndarray, lengths: np.ndarray, result: TaskResult) -> list[float]:
    """Return the values in the order of the task's lengths, NaN at those that were not evaluated."""
    by_length = dict(zip(lengths.tolist(), values.tolist(), strict=True))
    return [by_length.get(length, np.nan) for length in result.lengths]
