"""The report: two frames and a few facts become tables, plots and one self-contained HTML page.

Everything heavy is imported inside the functions, so that a command's ``--help`` does not wait for pandas.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group


def write_report(cells: "pd.DataFrame", scores: "pd.DataFrame", meta: dict[str, Any], folder: Path) -> Path:
    """Write ``report.html``, ``tables/*.csv|md|tex`` and ``plots/*.svg|png``; return the page's path.

    Args:
        cells, scores: the frames of ``harness.analysis.schema``; empty and half-filled ones are fine.
        meta: all keys optional: title, description (Markdown), created, git, versions (dict), command (list of lines),
            catalog_order and tasks_order (labels), not_applicable (architecture, task, reason), notes (list),
            programs (core operations of a task's RASP-L program by the task's label; None where none is known), and
            inspections (dicts of architecture, task, name, weights, rows, columns).
        folder: where to write; made if it is not there.
    """
    from harness.report.write import write

    return write(cells, scores, meta, folder)


def terminal_report(cells: "pd.DataFrame", scores: "pd.DataFrame", meta: dict[str, Any], width: int = 100) -> "Group":
    """Return the headline tables for ``rich.console.Console.print``; they fit ``width`` columns."""
    from harness.report.results import View
    from harness.report.terminal import terminal

    return terminal(View.of(cells, scores, meta), width)
