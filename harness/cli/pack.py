"""``lengthwise pack`` stores the records of a run in one small file, and its report as Markdown."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import arguments

Picture = Annotated[
    list[str] | None,
    typer.Option(
        "--picture", metavar="NAME", help="Also store this plot of the report, for example length-exact; repeatable."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder for the packed run, which gets no checkpoints (default: the folder itself, which keeps its own).",
    ),
]


def pack(
    folder: arguments.Folder, output: Output = None, picture: Picture = None, plugin: arguments.Plugins = None
) -> None:
    """Pack the records of a run into a small file. Other commands read a packed run like any other.

    A packed run consists of run.json, records.jsonl.gz and report.md.
    """
    from harness.analysis.load import frames
    from harness.cli.console import console
    from harness.registry.catalog import Catalog
    from harness.report.markdown import write_markdown
    from harness.report.results import Results
    from harness.report.write import write_pictures
    from harness.storage.folder import RunFolder

    target, run = output or folder, RunFolder(folder)
    with run.locked() if target.resolve() == folder.resolve() else nullcontext():  # a run may be writing its records
        run.pack(target)
    results = Results.of(*frames([target], Catalog(tuple(plugin or ()))))
    write_pictures(results, target, picture or [])
    console().print(f"Packed: {write_markdown(results, target)}", soft_wrap=True)
