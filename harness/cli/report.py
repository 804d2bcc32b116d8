"""``lengthwise report`` writes tables, plots and a report page from the records of one or several runs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import arguments

if TYPE_CHECKING:
    from rich.console import Console

    from harness.registry.catalog import Catalog


def report(folders: arguments.Folders, output: arguments.ReportOutput = None, plugin: arguments.Plugins = None) -> None:
    """Write the report of one or several runs. A run need not be finished."""
    from harness.cli.console import console

    catalog, out = catalog_for(folders, plugin or []), console()
    publish(folders, output or _default_output(folders), catalog, out)


def publish(folders: list[Path], output: Path, catalog: "Catalog", out: "Console") -> None:
    """Read the records of the folders, print the comparison and write the report."""
    from harness.analysis.attention_maps import attention_maps
    from harness.analysis.load import frames
    from harness.execution.run import missing_plugins, moved_text
    from harness.report.results import Results
    from harness.report.terminal import terminal_report
    from harness.report.write import write_report
    from harness.storage.folder import RunFolder

    cells, scores, meta = frames(folders, catalog)
    results = Results.of(cells, scores, replace(meta, inspections=attention_maps(folders, cells, catalog)))
    out.print(terminal_report(results, out.width))
    page = write_report(results, output)
    out.print(f"\nReport: {page}", soft_wrap=True)
    for folder in folders:
        run = RunFolder(folder).run()
        if run and (missing := missing_plugins(run, catalog)):
            out.print(f"{moved_text(missing)}.", soft_wrap=True)


def catalog_for(folders: list[Path], plugins: list[Path]) -> "Catalog":
    """Return the catalog with ``plugins`` and with those plug-ins of the runs whose files still exist.

    A plug-in of a run is replaced by one in ``plugins`` with the same file name. Of several recorded plug-ins of one
    name the first counts.
    """
    from harness.registry.catalog import Catalog
    from harness.storage.folder import RunFolder

    runs = [run for run in (RunFolder(folder).run() for folder in folders) if run]
    recorded = [Path(plugin) for run in runs for plugin in run.suite.get("plugins", [])]
    paths = [path.resolve() for path in plugins]
    for path in recorded:
        if path.is_file() and path.stem not in {other.stem for other in paths}:
            paths.append(path)
    return Catalog(tuple(dict.fromkeys(paths)))


def _default_output(folders: list[Path]) -> Path:
    """Return the folder of the run; for several runs a folder next to the first, named after all of them."""
    if len(folders) == 1:
        return folders[0]
    return folders[0].parent / "+".join(folder.resolve().name for folder in folders)
