"""``lengthwise audit``: how well tasks can be answered without their algorithm."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments

if TYPE_CHECKING:
    from rich.table import Table

    from harness.evaluation.shortcuts import AuditRow

COLUMNS = ("length", "chance", "shortcut", "exact", "token", "algorithm")
HEADINGS = [name if name in ("shortcut", "algorithm") else f">{name}" for name in COLUMNS]
NOTE = (
    "shortcut: the best reader that is not the task's algorithm, with its exact match and token accuracy; ! marks one "
    "that solves the task, or nearly all of its tokens; algorithm: a reader that is, and its exact match."
)
TRAIN_LENGTHS, TEST_LENGTH = "1:20", 60
Output = Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write the table to this file too.")]


def audit(
    task: arguments.Tasks = None,
    train_lengths: Annotated[str, typer.Option(metavar="LOW:HIGH", help="Lengths to fit readers on.")] = TRAIN_LENGTHS,
    test_length: Annotated[int, typer.Option(metavar="N", help="A length beyond them.", min=1)] = TEST_LENGTH,
    output: Output = None,
    plugin: arguments.Plugins = None,
) -> None:
    """Measure what simple readers score on tasks: the last token, symbol counts, counts modulo 2 and 3, and others.

    Readers are fitted on training lengths and scored at the longest of them and beyond, next to chance.
    """
    from rich.progress import track

    from harness.cli.console import console, messages, table
    from harness.config.lengths import Span
    from harness.evaluation.shortcuts import audit_task
    from harness.registry.catalog import Catalog, split_files
    from harness.registry.options import Spec

    texts, files = split_files(task or ())
    catalog, out, log = Catalog((*(plugin or ()), *files)), console(), messages()
    specs = [Spec.parse("task", text, catalog) for text in texts or catalog.names("task")]
    span = Span.parse(train_lengths, "train lengths")
    rows: list[tuple[str, AuditRow]] = []
    for spec in track(specs, "measuring", console=log, transient=True, disable=not log.is_terminal):
        rows += [(str(spec), row) for row in audit_task(spec, span, test_length)]
    if output is not None:
        write_csv(output, rows)
    shown = table(f"What simple readers answer, fitted at lengths {span.low} to {span.high}", "task", *HEADINGS)
    shown.columns[0].no_wrap = True
    for name, row in rows:
        shown.add_row(name, *cells(row))
    out.print(shown)
    out.print(NOTE, style="dim")


def write_csv(file: Path, rows: "list[tuple[str, AuditRow]]") -> None:
    """Write a table. ``trained``: readers were fitted at this length. ``solves``: the shortcut solves the task."""
    lines = [[name, *cells(row, mark=""), yes_or_no(row.is_trained), yes_or_no(row.is_shortcut)] for name, row in rows]
    with file.open("w", newline="", encoding="utf-8") as text:
        csv.writer(text).writerows([("task", *COLUMNS, "trained", "solves"), *lines])


def yes_or_no(value: bool) -> str:
    """Return a truth value as the table writes it."""
    return "yes" if value else "no"


def cells(row: "AuditRow", mark: str = "!") -> list[str]:
    """Return a row of the audit as text, in the order of :data:`COLUMNS`; ``mark`` follows a reader that solves it."""
    best = row.best.reader + (mark if row.is_shortcut else "")
    scores = [f"{row.best.exact:.2f}", f"{row.best.token:.2f}"]
    algorithm = ", ".join(f"{score.reader} {score.exact:.2f}" for score in row.algorithm)
    return [str(row.length), f"{row.chance:.2f}", best, *scores, algorithm]


def audit_table(rows: "list[AuditRow]") -> "Table":
    """Return the audit of one task as a table for ``lengthwise show``."""
    from harness.cli.console import table

    shown = table(f"What simple readers answer, fitted at lengths {TRAIN_LENGTHS.replace(':', ' to ')}", *HEADINGS)
    for row in rows:
        shown.add_row(*cells(row))
    return shown
