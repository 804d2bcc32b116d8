"""``lengthwise report`` writes tables, plots and a report page from the records of one or several runs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import arguments
from harness.registry.catalog import Catalog

if TYPE_CHECKING:
    from rich.console import Console

Patterns = tuple[Sequence[str], Sequence[str]]
"""Patterns of architectures and of tasks; without any, all are shown."""


def report(
    folders: arguments.Folders,
    architecture: arguments.ArchitectureFilter = None,
    task: arguments.TaskFilter = None,
    output: arguments.ReportOutput = None,
    plugin: arguments.Plugins = None,
    as_json: arguments.Json = False,
    quiet: arguments.Quiet = False,
    figures: arguments.Figures = False,
) -> None:
    """Write the report of one or several runs. A run need not be finished.

    Nothing in a folder is run: plug-ins of the runs are read only if you give them with --plugin.
    """
    from harness.cli.console import console, messages

    patterns = (architecture or [], task or [])
    target = output or _default_output(folders, is_selection=any(patterns))
    publish(folders, target, Catalog(tuple(plugin or ())), console(), messages(quiet), patterns, as_json, figures)


def publish(
    folders: list[Path],
    output: Path,
    catalog: Catalog,
    out: "Console",
    log: "Console",
    patterns: Patterns = ((), ()),
    as_json: bool = False,
    figures: bool = False,
) -> None:
    """Read the records of the folders, print the comparison and write the report.

    Args:
        out: gets the tables, or the summary as JSON.
        log: gets messages, such as the path of the page.
        patterns: select architectures and tasks.
        figures: whether static plots are drawn too.
    """
    from harness.analysis.attention_maps import attention_maps
    from harness.analysis.load import frames
    from harness.analysis.selection import select
    from harness.cli.console import print_json
    from harness.execution.recorded_code import unread_plugins, unread_text
    from harness.report.results import Results
    from harness.report.terminal import terminal_report
    from harness.report.write import write_figures, write_report
    from harness.storage.folder import RunFolder

    cells, scores, meta = select(frames(folders, catalog), *patterns)
    results = Results.of(cells, scores, replace(meta, inspections=attention_maps(folders, cells, catalog)))
    if as_json:
        print_json(json.loads(results.summary.to_json(orient="records")))
    else:
        out.print(terminal_report(results, out.width))
    page = write_report(results, output)
    if figures:
        write_figures(results, output)
        log.print(f"Plots: {output / 'plots'}", soft_wrap=True)
    log.print(f"Report: {page}", soft_wrap=True)
    for folder in folders:
        run = RunFolder(folder).run()
        if run and (unread := unread_plugins(run, catalog)):
            log.print(f"{unread_text(unread)}.", soft_wrap=True)


def _default_output(folders: list[Path], is_selection: bool) -> Path:
    """Return the folder of the run; for several runs a folder next to the first, named after all of them.

    The report of a selection gets a folder below it, so that it does not replace the report of everything.
    """
    joined = folders[0].parent / "+".join(folder.resolve().name for folder in folders)
    whole = folders[0] if len(folders) == 1 else joined
    return whole / "selection" if is_selection else whole
