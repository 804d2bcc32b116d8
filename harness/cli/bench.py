"""``lengthwise bench``: the harness compared with plain PyTorch, and the cost of other parts of a run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import arguments

if TYPE_CHECKING:
    from harness.cli.bench_tables import Measurement

WIDE = 130
"""Columns of a terminal in which the details of a measurement have room."""

Subject = Literal["architectures", "populations", "decode", "long", "growth", "tasks"]


def bench(
    what: Annotated[Subject, typer.Argument(help="What to measure.")] = "architectures",
    architecture: arguments.Architectures = None,
    task: arguments.Tasks = None,
    steps: Annotated[int, typer.Option(min=8, metavar="N", help="Training steps of each measurement.")] = 64,
    length: Annotated[
        list[int] | None,
        typer.Option(min=1, metavar="N", help="Source length of a training step; repeatable. Default 20."),
    ] = None,
    workers: Annotated[bool, typer.Option(help="Also compare two workers with two plain loops.")] = True,
    device: arguments.Device = "auto",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Also write the table here; decode and growth add a figure next to it."),
    ] = None,
    plugin: arguments.Plugins = None,
) -> None:
    """Measure training steps (the default), populations, decoding, long evaluations, growth or tasks.

    A training step takes 64 rows of length 20. It is compared with a plain PyTorch loop, and with the time that its
    operations and bytes take at this machine's measured rates. Populations are compared with as many models trained one
    by one. Decode measures the time to the first token, the time of a token and the state, for sources of up to 65,536
    tokens. Long scores one row of length 1000 and one of 10,000. Growth varies the length, the width and the population
    size. Tasks make 256 rows of length 100. The two sides of each ratio are measured in turn.
    """
    from harness.cli.bench_tables import MEASUREMENTS, Setting
    from harness.cli.console import messages
    from harness.execution.run_options import resolve_device
    from harness.models.precision import FLOAT32
    from harness.registry.catalog import Catalog, split_files

    texts, files = split_files((task if what == "tasks" else architecture) or ())
    plugins = (*(plugin or ()), *files)
    resolved_device = resolve_device(device)
    with FLOAT32.applied():
        lengths = {"lengths": tuple(length)} if length else {}
        measurement = MEASUREMENTS[what](Setting(Catalog(plugins), plugins, resolved_device, steps, **lengths))
        specs = texts or measurement.default_specs()
        _print_table(measurement, specs, output)
        if what == "architectures" and workers and resolved_device == "cpu":
            _print_workers(specs[0], steps, plugins)
    figure = measurement.draw(output.with_suffix(".png")) if output else None
    if figure:
        messages().print(f"Picture: {figure}", soft_wrap=True)


def _print_table(measurement: "Measurement", specs: Sequence[str], output: Path | None) -> None:
    """Measure one spec after another and print a table; a file gets each row as soon as it is measured."""
    from rich.progress import track

    from harness.cli.console import console, messages, table

    out, log = console(), messages()
    hidden = measurement.details if out.width < WIDE else ()
    shown = [place for place, name in enumerate(measurement.columns) if name not in hidden]
    first, *others = (measurement.columns[place] for place in shown)
    rows = table(measurement.title, first, *(f">{name}" for name in others))
    with _row_writer(output) as write_row:
        write_row(list(measurement.columns))
        for spec in track(specs, "measuring", console=log, transient=True, disable=not log.is_terminal):
            for row in measurement.rows(spec):
                rows.add_row(*(row[place] for place in shown))
                write_row(row)
    out.print(rows)
    if hidden:
        out.print(f"A terminal of {WIDE} columns also shows {', '.join(hidden)}, and so does --output.", style="dim")
    if measurement.note:
        out.print(measurement.note, style="dim")


@contextmanager
def _row_writer(output: Path | None) -> Iterator[Callable[[list[str]], object]]:
    """Yield a function that writes a row of CSV at once; without a file it does nothing."""
    import csv

    if output is None:
        yield lambda row: None
        return
    with output.open("w", newline="", buffering=1, encoding="utf-8") as file:
        yield csv.writer(file).writerow


def _print_workers(spec: str, steps: int, plugins: Sequence[Path]) -> None:
    from harness.bench.workers import compare_workers
    from harness.cli.console import console

    together, in_turn = (compare_workers(spec, steps, plugins, together=together) for together in (True, False))
    console().print(
        f"\nTwo workers reach {together:.2f} of the throughput of two plain loops, and {in_turn:.2f} if one trains "
        f"while the other runs its plain loop ({spec})."
    )
