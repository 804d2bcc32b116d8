"""``lengthwise check`` runs the contract checks of an architecture or a task."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments
from harness.registry.catalog import Catalog, Entry, program_of

if TYPE_CHECKING:
    from rich.table import Table

    from harness.check import Result


def check(
    target: Annotated[
        str, typer.Argument(metavar="NAME|FILE.py", help="Name of an architecture or a task, or a Python file.")
    ],
    plugin: arguments.Plugins = None,
) -> None:
    """Run the checks that every architecture or task must pass, and explain each failure."""
    from harness.check import run_checks
    from harness.cli.console import console
    from harness.registry.options import Spec

    out, failures = console(), 0
    catalog, entries = _entries(target, plugin or [])
    for entry in entries:
        out.print(f"{entry.kind} {entry.name} ({entry.origin}, {entry.path or entry.module})\n", soft_wrap=True)
        for result in run_checks(Spec(entry.kind, entry.name, catalog=catalog)):
            out.print(_line(result))
            failures += not result.ok
    out.print(f"\n{failures} failed." if failures else "\nAll checks passed.")
    raise typer.Exit(1 if failures else 0)


def _entries(target: str, plugins: list[Path]) -> tuple[Catalog, list[Entry]]:
    """Return the entries to check and their catalog. ``target`` is a name, ``FILE.py`` or ``FILE.py:FUNCTION``."""
    if target.endswith(".py"):
        catalog = Catalog((*plugins, Path(target)))
        return catalog, [catalog.of_plugin(Path(target))]
    from harness.cli.show import entries_named

    file, name = program_of(target)
    catalog = Catalog((*plugins, *([file] if file else [])))
    return catalog, entries_named(name, catalog)


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
