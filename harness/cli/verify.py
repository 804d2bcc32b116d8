"""``lengthwise verify`` reads every record of a run folder and names those that are damaged or cannot be right."""

from contextlib import nullcontext
from typing import Annotated

import typer

from harness.cli import arguments

Quarantine = Annotated[
    bool,
    typer.Option("--quarantine", help="Move damaged files into the folder quarantine/; the next run makes them again."),
]


def verify(folder: arguments.Folder, quarantine: Quarantine = False) -> None:
    """Check every record of a run: it can be read, belongs to its cell, and has possible counts.

    The exit code is 1 if there is a problem. Nothing is changed without --quarantine.
    """
    from harness.cli.console import console
    from harness.errors import UserError
    from harness.report.number_format import plural
    from harness.storage import verify as checks
    from harness.storage.folder import RunFolder

    run = RunFolder(folder)
    if not run.cell_ids():
        raise UserError(f"{folder} holds no records; give a folder that lengthwise run has written")
    out = console()
    with run.locked() if quarantine else nullcontext():  # a run may be writing its records
        found = list(checks.problems(run))
        for problem in found:
            out.print(f"cell {problem.cell}: {problem.text}", soft_wrap=True)
            for target in checks.quarantine(run, problem) if quarantine else ():
                out.print(f"  moved to {target}", soft_wrap=True)
    out.print(f"{plural(len(run.cell_ids()), 'cell')}, {plural(len(found), 'problem')}.")
    raise typer.Exit(1 if found else 0)
