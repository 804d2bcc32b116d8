"""``lengthwise merge`` joins the run folders of one suite, for example those of the jobs of an array on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import arguments

Output = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the joined run; it may have records already.")]


def merge(folders: arguments.Folders, output: Output) -> None:
    """Join the records and weights of several runs of one suite in one folder.

    The command can be repeated: what the output has is kept. Different records of one cell are refused.
    """
    from harness.cli.console import console
    from harness.report.number_format import plural
    from harness.storage.merge import merge as merge_folders

    added, had = merge_folders(folders, output)
    before = f" to the {had} that it had" if had else ""
    console().print(f"Merged: {output}, {plural(added, 'cell')} added{before}.", soft_wrap=True)
