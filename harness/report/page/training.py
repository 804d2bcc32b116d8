"""Trainings of the page: one row for each reported cell with its curves, the learning rates, and the checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.analysis.statistics import PAIR
from harness.report.page.encoding import Shared, log_losses, whole_scores
from harness.report.results import Results

MOST_POINTS, FEWEST_POINTS, ALL_POINTS = 120, 24, 96_000
"""Points of one curve, at most and at least, and of all curves of a page together."""

Curve = Sequence[Mapping[str, Any]]


def cell_rows(results: Results, steps: Shared) -> list[dict[str, Any]]:
    """Return a row for each finished or failed cell at the chosen learning rate.

    ``loss`` and ``valid`` are (place of the steps in ``steps``, values), thinned so that the page stays small.
    """
    cells, (architectures, tasks) = results.progress, _places(results)
    points = int(np.clip(ALL_POINTS // max(1, len(cells)), FEWEST_POINTS, MOST_POINTS))
    names = ("cell", "seed", "learning_rate", "status", "reason", "fitted_at", "left_plateau", "steps_used", "curve")
    columns = (cells[name].tolist() for name in (*PAIR, *names))
    rows = []
    for architecture, task, cell, seed, rate, status, reason, fitted, left, used, curve in zip(*columns, strict=True):
        rows.append({"a": architectures[architecture], "t": tasks[task], "cell": cell, "seed": seed, "rate": rate})
        rows[-1] |= {"failed": reason or "failed" if status == "failed" else None}
        rows[-1] |= {"fitted": fitted, "left": left, "used": used}
        rows[-1] |= curves_of(curve if isinstance(curve, list) else [], points, steps)
    return rows


def curves_of(curve: Curve, points: int, steps: Shared) -> dict[str, Any]:
    """Return the training loss and the exact match in validation; losses that a logarithm cannot show are left out."""
    losses = thin([(p["step"], p["loss"]) for p in curve if (p.get("loss") or 0) > 0], points)
    scores = [(p["step"], p["validation_exact"]) for p in curve if p.get("validation_exact") is not None]
    scores = thin(scores, points)
    return {
        "loss": [steps.place(step for step, _ in losses), log_losses([loss for _, loss in losses])],
        "valid": [steps.place(step for step, _ in scores), whole_scores([score for _, score in scores])],
    }


def thin(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Return every n-th of the points, so that at most ``most`` are left, and the last one."""
    stride = -(-len(points) // most) or 1
    return [*points[:-1:stride], *points[-1:]]


def rate_rows(results: Results) -> list[dict[str, Any]]:
    """Return the scores at every learning rate of the pairs of which several were tried."""
    architectures, tasks = _places(results)
    rates = results.rates[results.rates.seeds > 0].merge(results.windows[PAIR], on=PAIR)
    names = [*PAIR, "learning_rate", "validation_exact", "exact_beyond", "chosen"]
    return [
        {"a": architectures[row["architecture"]], "t": tasks[row["task"]], "rate": row["learning_rate"]}
        | {"valid": row["validation_exact"], "beyond": row["exact_beyond"], "chosen": row["chosen"]}
        for row in rates[names].to_dict("records")
    ]


def checkpoint_rows(results: Results) -> list[dict[str, Any]]:
    """Return the median exact match beyond training at every checkpoint; empty where only the last was evaluated."""
    architectures, _ = _places(results)
    tasks = {(result.task, result.variant): t for t, result in enumerate(results.task_results)}
    medians = results.checkpoints.groupby([*PAIR, "variant", "step"]).exact.median().dropna().reset_index()
    return [
        {"a": architectures[row["architecture"]], "t": tasks[row["task"], row["variant"]]}
        | {"step": row["step"], "exact": row["exact"]}
        for row in medians.to_dict("records")
    ]


def _places(results: Results) -> tuple[dict[str, int], dict[str, int]]:
    """Return the places of architectures and of tasks without variants in the page."""
    tasks = {result.task: t for t, result in enumerate(results.task_results) if not result.variant}
    return {name: a for a, name in enumerate(results.architectures)}, tasks
