"""Models that an earlier version of the code trained: one sentence about them, and the mark * at their rows."""

from dataclasses import replace

from harness.report.captions import HEADER_ROWS, Table
from harness.report.results import Results
from harness.report.table_cell import MARKS

STALE = "*"


def stale_sentence(results: Results) -> str:
    """Say how many models an earlier version of the code trained, and how they are marked; empty if none."""
    text = trained_earlier(results)
    return f"{text}; their rows are marked {STALE}." if text else ""


def trained_earlier(results: Results) -> str:
    """Say how many models an earlier version of the code trained; empty if none."""
    trained = results.cells[results.cells.status.isin(["done", "failed"])]
    stale = int(trained.stale.sum())
    return f"{stale:,} of {len(trained):,} models were trained by an earlier version of the code" if stale else ""


def mark_stale(table: Table, results: Results) -> Table:
    """Return the table with a mark at each architecture whose models on the row's task are stale.

    A row over all tasks is marked if any of them is. Tables of architectures by tasks have marks in their cells.
    """
    frame, stale = table.frame, results.cells[results.cells.stale]
    if "architecture" not in frame or stale.empty or frame.architecture.isin(HEADER_ROWS).any():
        return table
    tasks = {result.title: result.task for result in results.task_results}
    pairs = set(zip(stale.architecture, stale.task, strict=True))
    rows = zip(frame.architecture, frame.get("task", [""] * len(frame)), strict=True)
    marked = [
        (name, tasks.get(task, task)) in pairs if task else name in set(stale.architecture) for name, task in rows
    ]
    names = [f"{name}{STALE}" if mark else name for name, mark in zip(frame.architecture, marked, strict=True)]
    caption = f"{table.caption} {STALE}: {MARKS[STALE]}." if any(marked) else table.caption
    return replace(table, frame=frame.assign(architecture=names), caption=caption)
