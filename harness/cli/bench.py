"""``lengthwise bench``: what the harness costs beside plain PyTorch, and what else takes time and memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import arguments as given

if TYPE_CHECKING:
    from harness.cli.bench_tables import Measure

Subject = Literal["architectures", "populations", "decode", "long", "growth", "tasks"]


def bench(
    what: Annotated[Subject, typer.Argument(help="What to measure.")] = "architectures",
    architecture: given.Architectures = None,
    task: given.Tasks = None,
    steps: Annotated[int, typer.Option(min=8, metavar="N", help="Training steps of each measurement.")] = 64,
    workers: Annotated[bool, typer.Option(help="Also measure two workers against two plain loops.")] = True,
    device: given.Device = "auto",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write the table there too; of decode and growth a picture besides."),
    ] = None,
    plugin: given.Plugins = None,
) -> None:
    """Measure a training step beside a plain PyTorch loop, or populations, decoding, long evaluations, growth, tasks.

    A step takes 64 rows of length 20, a task 256 rows of length 100; populations are held against as many models one by
    one; decode answers sources of up to 4096 tokens; long scores one row of length 1000 and one of 10,000; growth takes
    steps at other lengths, widths and populations. Ratios are of things measured in turn: the harness to a plain loop,
    the usual kernel to the one that is the equation.
    """
    from harness.cli.bench_tables import MEASURES, Setting
    from harness.cli.console import console
    from harness.execution.run_options import resolve_device
    from harness.models.precision import FLOAT32
    from harness.registry.catalog import Catalog

    plugins, where = tuple(plugin or []), resolve_device(device)
    with FLOAT32.applied():
        measure = MEASURES[what](Setting(Catalog(plugins), plugins, where, steps))
        specs = (task if what == "tasks" else architecture) or measure.specs()
        _print(measure, specs, output)
        if what == "architectures" and workers and where == "cpu":
            _two_workers(specs[0], steps)
    picture = measure.picture(output.with_suffix(".png")) if output else None
    if picture:
        console().print(f"Picture: {picture}")


def _print(measure: "Measure", specs: Sequence[str], output: Path | None) -> None:
    """Measure one after another and print a table; a file gets each row as soon as it is known."""
    from rich.progress import track

    from harness.cli.console import console, table

    first, *others = measure.columns
    made, out = table(measure.title, first, *(f">{name}" for name in others)), console()
    with _file(output) as keep:
        keep(list(measure.columns))
        for spec in track(specs, "measuring", console=out, transient=True, disable=not out.is_terminal):
            for measured in measure.rows(spec):
                made.add_row(*measured)
                keep(measured)
    out.print(made)
    if measure.note:
        out.print(measure.note, style="dim")


@contextmanager
def _file(output: Path | None) -> Iterator[Callable[[list[str]], object]]:
    """Yield what writes a row of CSV at once; without a file, what does nothing."""
    import csv

    if output is None:
        yield lambda row: None
        return
    with output.open("w", newline="", buffering=1) as file:
        yield csv.writer(file).writerow


def _two_workers(spec: str, steps: int) -> None:
    from harness.bench.workers import two_workers
    from harness.cli.console import console

    share = two_workers(spec, steps)
    console().print(f"\nTwo workers reach {share:.2f} of two plain loops side by side ({spec}).")
