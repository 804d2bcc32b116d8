"""``lengthwise bench``: what the harness costs beside plain PyTorch, what decoding costs, how fast tasks make data."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import arguments as given

if TYPE_CHECKING:
    from harness.bench import Bench
    from harness.bench.decode import Decode
    from harness.catalog import Catalog

Row = Callable[[str], list[str]]
Subject = Literal["architectures", "decode", "tasks"]
STEP = [
    *("architecture", "data", "forward", "backward", "optimizer", "step"),
    *("overhead", "tokens/s", "x plain", "x reference"),
]
SPEED = ["task", "length", "source tokens/s", "with answers"]


def bench(
    what: Annotated[Subject, typer.Argument(help="What to measure.")] = "architectures",
    architecture: given.Architectures = None,
    task: given.Tasks = None,
    steps: Annotated[int, typer.Option(min=8, metavar="N", help="Training steps of each measurement.")] = 64,
    workers: Annotated[bool, typer.Option(help="Also measure two workers against two plain loops.")] = True,
    device: given.Device = "auto",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the table there too; of decode a picture besides.")
    ] = None,
    plugin: given.Plugins = None,
) -> None:
    """Measure a training step beside a plain PyTorch loop; or what decoding costs; or how fast tasks make their data.

    A step takes 64 rows of length 20, a task 256 rows of length 100; decode feeds one sequence up to 4096 tokens.
    Ratios are of things measured in turn: the harness to a plain loop, the usual kernel to the one that is the
    equation.
    """
    from harness.catalog import Catalog
    from harness.launch.local import resolve_device

    catalog, where = Catalog(tuple(plugin or [])), resolve_device(device)
    if what == "tasks":
        _measure("A task's data on one thread", SPEED, task or catalog.names("task"), _speed(catalog), output)
        return
    specs = architecture or [name for name in catalog.names("architecture") if _trains(name, catalog)]
    if what == "decode":
        _decode(specs, catalog, where, output)
        return
    _measure("Milliseconds of a training step", STEP, specs, _step(catalog, steps, where), output)
    if workers and where == "cpu":
        _two_workers(specs[0], steps)


def _measure(title: str, columns: list[str], specs: Sequence[str], row: Row, output: Path | None) -> None:
    """Measure one after another and print a table; a file gets each row as soon as it is known."""
    from rich.progress import track

    from harness.cli.page import console, table

    made, out = table(title, columns[0], *(f">{name}" for name in columns[1:])), console()
    with _file(output) as keep:
        keep(columns)
        for spec in track(specs, "measuring", console=out, transient=True, disable=not out.is_terminal):
            measured = row(spec)
            made.add_row(*measured)
            keep(measured)
    out.print(made)


@contextmanager
def _file(output: Path | None) -> "Iterator[Callable[[list[str]], object]]":
    """Yield what writes a row of CSV at once; without a file, what does nothing."""
    import csv

    if output is None:
        yield lambda row: None
        return
    with output.open("w", newline="", buffering=1) as file:
        yield csv.writer(file).writerow


def _step(catalog: "Catalog", steps: int, device: str) -> Row:
    from harness.bench import bench as measure

    return lambda spec: _step_row(next(measure([spec], catalog, steps=steps, device=device)))


def _step_row(each: "Bench") -> list[str]:
    milliseconds = [f"{each.split.milliseconds[name]:.2f}" for name in STEP[1:5]] + [f"{each.split.step:.2f}"]
    ratios = [f"{each.split.overhead:.1%}", f"{each.tokens_per_second:.0f}", f"{each.against_plain:.2f}"]
    beside = "" if each.against_reference is None else f"{each.against_reference:.2f}"
    return [each.architecture, *milliseconds, *ratios, beside]


def _trains(name: str, catalog: "Catalog") -> bool:
    """Whether an architecture imports, and is trained by gradients."""
    from harness.errors import UserError

    try:
        cls = catalog.find("architecture", name).cls
    except UserError:
        return False
    return not (hasattr(cls, "fits_itself") and cls.fits_itself())


def _decode(specs: Sequence[str], catalog: "Catalog", device: str, output: Path | None) -> None:
    from harness.bench.decode import LENGTHS, decode_costs
    from harness.cli.page import console

    costs: dict[str, list[Decode]] = {}

    def row(spec: str) -> list[str]:
        costs[spec] = decode_costs(spec, catalog, device=device)
        return _decode_row(spec, costs[spec])

    columns = ["architecture", *(f"ms@{n}" for n in LENGTHS), *(f"KiB@{n}" for n in LENGTHS)]
    _measure("Decoding one sequence, token by token", columns, specs, row, output)
    if output:
        from harness.report.decoding import draw_decoding

        console().print(f"Picture: {draw_decoding(costs, output.with_suffix('.png'))}")


def _decode_row(name: str, of: "Sequence[Decode]") -> list[str]:
    from harness.bench.decode import LENGTHS

    at = {each.length: each for each in of}
    times = [f"{at[n].seconds * 1e3:.2f}" if n in at else "" for n in LENGTHS]
    return [name, *times, *(f"{at[n].bytes / 1024:.1f}" if n in at else "" for n in LENGTHS)]


def _speed(catalog: "Catalog") -> Row:
    from harness.bench.tasks import task_speed

    def row(spec: str) -> list[str]:
        each = task_speed(spec, catalog)
        return [each.task, str(each.length), f"{each.source:.1f} M", f"{each.whole:.1f} M"]

    return row


def _two_workers(spec: str, steps: int) -> None:
    from harness.bench.workers import two_workers
    from harness.cli.page import console

    share = two_workers(spec, steps)
    console().print(f"\nTwo workers reach {share:.2f} of two plain loops side by side ({spec}).")
