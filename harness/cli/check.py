"""``lengthwise check`` runs the contract checks of an architecture or a task."""

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments, completion

if TYPE_CHECKING:
    from rich.table import Table

    from harness.check import Result


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|FILE.py",
            help="An architecture or a task, or a Python file. Options can follow, as in mine.py:heads=8.",
            autocompletion=completion.entries,
        ),
    ],
    plugin: arguments.Plugins = None,
) -> None:
    """Run the checks that every architecture or task must pass, and explain each failure."""
    from harness.check import run_checks
    from harness.cli.console import console
    from harness.cli.targets import specs_of

    out, failures = console(), 0
    for spec in specs_of(target, plugin or []):
        entry = spec.entry
        out.print(f"{entry.kind} {spec} ({entry.origin}, {entry.path or entry.module})\n", soft_wrap=True)
        for result in run_checks(spec):
            out.print(_line(result))
            failures += not result.ok
    out.print(f"\n{failures} failed." if failures else "\nAll checks passed.")
    raise typer.Exit(1 if failures else 0)


def _line(result: "Result") -> "Table":
    """Return a check's mark and sentence, and below them the problem where the check failed."""
    from rich.table import Table

    from harness.cli.console import MARKS
    from harness.cli.docstrings import plain

    mark = "error" if not result.ok else "warning" if result.skipped else "ok"
    line = Table.grid(padding=(0, 1))
    line.add_row("", MARKS[mark], plain(result.sentence) + (f" ({result.skipped})" if result.skipped else ""))
    if not result.ok:
        line.add_row("", "", result.problem.strip())
    return line
