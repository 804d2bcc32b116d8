"""``lengthwise report`` writes tables, plots and a report page from the records of one or several runs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.cli import arguments
from harness.registry.catalog import Catalog
from harness.report.figure_format import FigureFormat, figure_format

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.results import Results

Patterns = tuple[Sequence[str], Sequence[str]]
"""Patterns of architectures and of tasks; without any, all are shown."""


class Extras(NamedTuple):
    """What a report writes besides tables and page: static plots of a format, and one Parquet file of everything."""

    figures: FigureFormat | None = None
    parquet: bool = False


NOTHING_MORE = Extras()


def report(
    folders: arguments.Folders,
    architecture: arguments.ArchitectureFilter = None,
    task: arguments.TaskFilter = None,
    output: arguments.ReportOutput = None,
    plugin: arguments.Plugins = None,
    as_json: arguments.Json = False,
    quiet: arguments.Quiet = False,
    figures: arguments.Figures = False,
    style: arguments.FigureStyle = None,
    width: arguments.FigureWidth = None,
    parquet: arguments.Parquet = False,
) -> None:
    """Write the report of one or several runs. A run need not be finished.

    Nothing in a folder is run: plug-ins of the runs are read only if you give them with --plugin.
    """
    from harness.cli.console import console, messages

    patterns = (architecture or [], task or [])
    target = output or _default_output(folders, is_selection=any(patterns))
    extras = Extras(figure_format(style, width) if figures or style or width else None, parquet)
    publish(folders, target, Catalog(tuple(plugin or ())), console(), messages(quiet), patterns, as_json, extras)


def publish(
    folders: list[Path],
    output: Path,
    catalog: Catalog,
    out: "Console",
    log: "Console",
    patterns: Patterns = ((), ()),
    as_json: bool = False,
    extras: Extras = NOTHING_MORE,
) -> None:
    """Read the records of the folders, print the comparison and write the report.

    Args:
        out: gets the tables, or the summary as JSON.
        log: gets messages, such as the path of the page.
        patterns: select architectures and tasks.
        extras: what is written besides tables and page.
    """
    from harness.analysis.attention_maps import attention_maps
    from harness.analysis.load import frames
    from harness.analysis.selection import select
    from harness.cli.console import print_json
    from harness.execution.recorded_code import unread_plugins, unread_text
    from harness.report.parquet import require_pyarrow
    from harness.report.results import Results
    from harness.report.terminal import terminal_report
    from harness.report.write import write_report
    from harness.storage.folder import RunFolder

    if extras.parquet:
        require_pyarrow()
    cells, scores, meta = select(frames(folders, catalog), *patterns)
    results = Results.of(cells, scores, replace(meta, inspections=attention_maps(folders, cells, catalog)))
    if as_json:
        print_json(json.loads(results.summary.to_json(orient="records")))
    else:
        out.print(terminal_report(results, out.width))
    page = write_report(results, output)
    for text in _write_extras(extras, results, output):
        log.print(text, soft_wrap=True)
    log.print(f"Report: {page}", soft_wrap=True)
    for folder in folders:
        run = RunFolder(folder).run()
        if run and (unread := unread_plugins(run, catalog)):
            log.print(f"{unread_text(unread)}.", soft_wrap=True)


def _write_extras(extras: Extras, results: "Results", output: Path) -> Iterator[str]:
    """Write what is asked for besides tables and page, and yield a line about each."""
    from harness.report.parquet import write_parquet
    from harness.report.write import write_figures

    if extras.figures:
        write_figures(results, output, extras.figures)
        yield f"Plots: {output / 'plots'}"
    if extras.parquet:
        yield f"Data: {write_parquet(results, output / 'tables' / 'all.parquet')}"


def _default_output(folders: list[Path], is_selection: bool) -> Path:
    """Return the folder of the run; for several runs a folder next to the first, named after all of them.

    The report of a selection gets a folder below it, so that it does not replace the report of everything.
    """
    joined = folders[0].parent / "+".join(folder.resolve().name for folder in folders)
    whole = folders[0] if len(folders) == 1 else joined
    return whole / "selection" if is_selection else whole
