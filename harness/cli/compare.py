"""``lengthwise compare`` says what changed from one run of a suite to another, and whether they agree."""

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
Second = Annotated[
    Path, typer.Argument(metavar="B", help="Another run of the same suite, with other seeds or other code.")
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write the tables to a .md file, or the compared pairs to a .csv file."),
]

FailIfWorse = Annotated[
    bool,
    typer.Option("--fail-if-worse", help="Exit with code 1 if a pair got worse in B: the rule is printed."),
]


def compare(
    first: First,
    second: Second,
    output: Output = None,
    fail_if_worse: FailIfWorse = False,
    plugin: arguments.Plugins = None,
) -> None:
    """Compare two runs of the same suite: ranks, verdicts, and which pairs got better or worse."""
    from harness.analysis.reproducibility import compare_pairs
    from harness.analysis.statistics import PAIR
    from harness.cli.console import console, messages
    from harness.errors import UserError
    from harness.report import reproducibility as texts

    if output and output.suffix not in (".md", ".csv"):
        raise UserError(f"--output {output}: must end in .md or .csv")
    runs = _read([first, second], plugin or [])
    pairs = compare_pairs(runs[first].summary, runs[second].summary)
    if pairs.empty:
        raise UserError(f"{first} and {second} have no pair of architecture and task that both have evaluated")
    differences = _differences(runs[first], runs[second])
    every = texts.tasks_table(pairs), texts.changed_table(pairs), texts.differences_table(differences)
    tables = [table for table in every if len(table.frame)]
    sentences = [texts.agreement_sentence(pairs), texts.changes_sentence(differences), *_notes(runs, first, second)]
    out = console()
    for table in tables:
        out.print(_printed(table))
    out.print("", *sentences, sep="\n")
    if output:
        data = pairs.merge(differences, on=PAIR, how="left")
        output.write_text(_text(output, data, tables, sentences), encoding="utf-8")
        messages().print(f"Written: {output}", soft_wrap=True)
    if fail_if_worse:
        _gate(differences, first, second)


def _gate(differences: "pd.DataFrame", first: Path, second: Path) -> None:
    """Name each pair that got worse and exit with code 1 if there is any.

    Raises:
        UserError: if no pair can be judged, because then the runs have not been compared.
    """
    from harness.analysis.differences import FEWEST_SEEDS, UNJUDGED
    from harness.errors import UserError
    from harness.report.reproducibility import worse_sentences

    if (differences.change == UNJUDGED).all():
        raise UserError(
            f"--fail-if-worse: {first} and {second} have no pair that both tested beyond training with at least "
            f"{FEWEST_SEEDS} seeds; run with more --seeds"
        )
    if worse := worse_sentences(differences):
        print(*worse, sep="\n")
        raise typer.Exit(1)


def _differences(first: "Results", second: "Results") -> "pd.DataFrame":
    """Return the differences of all pairs that both runs have."""
    from harness.analysis.differences import compare_seeds, seed_lengths

    failed = [run.selected[run.selected.status == "failed"] for run in (first, second)]
    return compare_seeds(
        *(seed_lengths(run.seeds, of_run) for run, of_run in zip((first, second), failed, strict=True))
    )


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


def _text(output: Path, data: "pd.DataFrame", tables: "list[Table]", sentences: list[str]) -> str:
    """Return the content of the output file in the format of its suffix."""
    from harness.report.export import csv, markdown

    if output.suffix == ".csv":
        return csv(data)
    return "\n".join([*(f"{sentence}\n" for sentence in sentences), *map(markdown, tables)])
