"""Attention maps of the page: weights as letters, each of 64 levels up to the largest weight of the map."""

from typing import Any

import numpy as np

from harness.report.results import Results

LEVELS = "".join(map(chr, range(48, 112)))
"""64 letters in the order of their codes, from zero to the largest weight."""


def attention_rows(results: Results) -> list[dict[str, Any]]:
    """Return the maps in the order of the tables; tasks that are answered at a single position are left out."""
    architectures = {name: a for a, name in enumerate(results.architectures)}
    tasks = {result.task: t for t, result in enumerate(results.task_results) if not result.variant}
    rows = [
        {"a": architectures[m["architecture"]], "t": tasks[m["task"]], "name": m["name"]}
        | {"rows": list(m.get("rows") or []), "columns": list(m.get("columns") or []), **_letters(m["weights"])}
        for m in results.meta.inspections
        if len(m["weights"]) > 1
    ]
    return sorted(rows, key=lambda row: (row["t"], row["a"]))


def _letters(weights: Any) -> dict[str, Any]:
    """Return the largest weight, the width of a row, and all weights as one string, row by row."""
    values = np.asarray(weights, dtype=float)
    top = float(values.max(initial=0.0)) or 1.0
    levels = np.rint(values.ravel() / top * (len(LEVELS) - 1)).astype(int)
    return {"top": top, "width": values.shape[1], "weights": "".join(LEVELS[level] for level in levels)}
