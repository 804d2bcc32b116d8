"""``lengthwise compare`` says whether two runs of one suite with different seeds agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

    from harness.report.captions import Table
    from harness.report.results import Results

First = Annotated[Path, typer.Argument(metavar="A", help="Output folder of a run, or a packed run.")]
Second = Annotated[Path, typer.Argument(metavar="B", help="Another run of the same suite, with other seeds.")]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write the tables to a .md file, or the compared pairs to a .csv file."),
]


def compare(first: First, second: Second, output: Output = None, plugin: arguments.Plugins = None) -> None:
    """Compare two runs of the same suite with different seeds: ranks, medians and verdicts."""
    from harness.analysis.reproducibility import compare_pairs
    from harness.cli.console import console, messages
    from harness.errors import UserError
    from harness.report.reproducibility import agreement_sentence, changed_table, tasks_table

    if output and output.suffix not in (".md", ".csv"):
        raise UserError(f"--output {output}: must end in .md or .csv")
    runs = _read([first, second], plugin or [])
    pairs = compare_pairs(runs[first].summary, runs[second].summary)
    if pairs.empty:
        raise UserError(f"{first} and {second} have no pair of architecture and task that both have evaluated")
    tables = [table for table in (tasks_table(pairs), changed_table(pairs)) if len(table.frame)]
    sentences = [agreement_sentence(pairs), *_notes(runs, first, second)]
    out = console()
    for table in tables:
        out.print(_printed(table))
    out.print("", *sentences, sep="\n")
    if output:
        output.write_text(_text(output, pairs, tables, sentences), encoding="utf-8")
        messages().print(f"Written: {output}", soft_wrap=True)


def _read(folders: list[Path], plugins: list[Path]) -> "dict[Path, Results]":
    """Return the results of each folder."""
    from harness.analysis.load import frames
    from harness.registry.catalog import Catalog
    from harness.report.results import Results

    catalog = Catalog(tuple(plugins))
    return {folder: Results.of(*frames([folder], catalog)) for folder in folders}


def _notes(runs: "dict[Path, Results]", first: Path, second: Path) -> list[str]:
    """Name suites that differ, seeds that both runs have, and models that an earlier version of the code trained."""
    from harness.report import number_format as fmt
    from harness.report.stale import trained_earlier

    shared = sorted(set(runs[first].selected.seed) & set(runs[second].selected.seed))
    suites = [" and ".join(sorted(set(runs[folder].cells.run))) for folder in (first, second)]
    notes = []
    if suites[0] != suites[1]:
        notes.append(f"The runs are of different suites, {suites[0]} and {suites[1]}.")
    if shared:
        notes.append(f"Both runs have the seeds {', '.join(map(fmt.number, shared))}, so they are not independent.")
    return notes + [f"{folder}: {text}." for folder, run in runs.items() if (text := trained_earlier(run))]


def _printed(table: "Table") -> "RichTable":
    """Return a table for the terminal."""
    from harness.cli.console import table as empty_table

    printed = empty_table(table.title, *table.frame.columns)
    for row in table.frame.itertuples(index=False):
        printed.add_row(*row)
    return printed


def _text(output: Path, pairs: "pd.DataFrame", tables: "list[Table]", sentences: list[str]) -> str:
    """Return the content of the output file in the format of its suffix."""
    from harness.report.export import csv, markdown

    if output.suffix == ".csv":
        return csv(pairs)
    return "\n".join([*(f"{sentence}\n" for sentence in sentences), *map(markdown, tables)])
