"""Costs of the page: what each pair costs to train and to evaluate, and the decoding state of each architecture."""

from typing import Any

import pandas as pd

from harness.analysis.statistics import PAIR
from harness.report.results import Results

COSTS = ("parameters", "train_seconds", "evaluate_seconds")


def cost_rows(results: Results) -> list[dict[str, Any]]:
    """Return medians over seeds for each pair with a finished cell; ``state`` is in bytes at the longest length."""
    done = results.selected[results.selected.status == "done"]
    if done.empty:
        return []
    medians = done.assign(state=[_longest(sizes) for sizes in done.state_bytes])
    table = medians.groupby(PAIR, sort=False)[[*COSTS, "state"]].median().reset_index()
    architectures = {name: a for a, name in enumerate(results.architectures)}
    tasks = {result.task: t for t, result in enumerate(results.task_results) if not result.variant}
    return [
        {"a": architectures[row["architecture"]], "t": tasks[row["task"]]}
        | {name: row[name] for name in (*COSTS, "state")}
        for row in table.to_dict("records")
    ]


def _longest(sizes: Any) -> float:
    """Return the size of the state at the longest length at which it was measured; NaN where it was not."""
    return float(sizes[max(sizes)]) if isinstance(sizes, dict) and sizes else float("nan")


def state_rows(results: Results) -> list[dict[Any, Any]]:
    """Return the bytes of the decoding state by architecture and length, medians over tasks and seeds."""
    done = results.selected[results.selected.status == "done"].drop_duplicates(PAIR)
    measured = [
        {"a": a, "length": float(length), "bytes": float(size)}
        for a, name in enumerate(results.architectures)
        for sizes in done.state_bytes[done.architecture == name]
        if isinstance(sizes, dict)
        for length, size in sizes.items()
    ]
    frame = pd.DataFrame(measured, columns=["a", "length", "bytes"])
    return frame.groupby(["a", "length"]).bytes.median().reset_index().to_dict("records")
