"""``lengthwise pack``: the records of a finished run in one small file, and its report as Markdown."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import arguments as given

Picture = Annotated[
    list[str] | None,
    typer.Option("--picture", metavar="NAME", help="Keep this plot of the report too, for example length-exact."),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write the packed form there, without weights (default: pack the folder itself)."),
]


def pack(folder: given.Folder, output: Output = None, picture: Picture = None, plugin: given.Plugins = None) -> None:
    """Pack a run: run.json, records.jsonl.gz and report.md. Other commands read this form as they read any run."""
    from harness.analysis.load import frames
    from harness.cli.console import console
    from harness.cli.report import catalog_for
    from harness.report.markdown import write_markdown
    from harness.report.results import Results
    from harness.report.write import write_pictures
    from harness.storage.folder import RunFolder

    target = output or folder
    RunFolder(folder).pack(target)
    results = Results.of(*frames([target], catalog_for([target], plugin or [])))
    write_pictures(results, target, picture or [])
    console().print(f"Packed: {write_markdown(results, target)}", soft_wrap=True)
