"""``lengthwise audit``: how well tasks can be answered without their algorithm."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments

if TYPE_CHECKING:
    from harness.registry.options import Spec

COLUMNS = ("task", "length", "trained", "chance", "shortcut", "exact", "token", "algorithm")
NOTE = (
    "shortcut: the best reader that is not the task's algorithm, with its exact match and token accuracy; algorithm: a "
    "reader that is, and its exact match; ! marks a shortcut that solves the task, or its token accuracy above 0.9."
)
Output = Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write the table to this file too.")]


def audit(
    task: arguments.Tasks = None,
    train_lengths: Annotated[str, typer.Option(metavar="LOW:HIGH", help="Lengths readers are fitted on.")] = "1:20",
    test_length: Annotated[int, typer.Option(metavar="N", help="A length beyond them.", min=1)] = 60,
    output: Output = None,
    plugin: arguments.Plugins = None,
) -> None:
    """Measure what simple readers score on tasks: the last token, symbol counts, counts modulo 2 and 3, and others.

    Readers are fitted on training lengths and scored at the longest of them and beyond, next to chance.
    """
    from rich.progress import track

    from harness.cli.console import console, table
    from harness.config.lengths import Span
    from harness.registry.catalog import Catalog
    from harness.registry.options import Spec

    catalog, out = Catalog(tuple(plugin or [])), console()
    specs = [Spec.parse("task", text, catalog) for text in task or catalog.names("task")]
    span = Span.parse(train_lengths, "train lengths")
    shown, rows = table("What simple readers answer", *(_heading(name) for name in COLUMNS)), []
    for spec in track(specs, "measuring", console=out, transient=True, disable=not out.is_terminal):
        for row in _rows(spec, span.low, span.high, test_length):
            shown.add_row(*row)
            rows.append(row)
    if output is not None:
        with output.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    out.print(shown)
    out.print(NOTE, style="dim")


def _heading(name: str) -> str:
    return name if name in ("task", "shortcut", "algorithm") else f">{name}"


def _rows(spec: "Spec", low: int, high: int, test_length: int) -> Iterator[list[str]]:
    """Yield one row at the longest training length and one beyond it, where the task has such lengths."""
    from harness.data.presentation import Presentation
    from harness.evaluation.chance import chance
    from harness.evaluation.shortcuts import SOLVED, Audit
    from harness.registry.options import build_task

    task = build_task(spec)
    presentation = Presentation(task)
    trained = [length for length in range(low, high + 1) if length in task.lengths] or list(task.lengths[:8])
    beyond = [length for length in range(trained[-1] + 1, test_length + 1) if length in task.lengths][-1:]
    audit = Audit(presentation, str(spec), trained)
    for length in (trained[-1], *beyond):
        scores = audit.scores(length)
        best = max((s for s in scores if s.reader not in task.algorithm_readers), key=lambda s: (s.exact, s.token))
        own = [f"{s.reader} {s.exact:.2f}" for s in scores if s.reader in task.algorithm_readers]
        mark = "!" if best.exact >= SOLVED or best.token > 0.9 else ""
        guess = chance(presentation, str(spec), length).exact
        exact = [f"{guess:.2f}", f"{best.reader}{mark}", f"{best.exact:.2f}", f"{best.token:.2f}"]
        yield [str(spec), str(length), "yes" if length <= trained[-1] else "no", *exact, ", ".join(own)]
