"""``lengthwise bench``: what the harness costs beside plain PyTorch, and what else takes time and memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import arguments as given

if TYPE_CHECKING:
    from harness.bench import Bench
    from harness.bench.decode import Decode
    from harness.bench.fresh import Spent
    from harness.bench.growth import Point
    from harness.catalog import Catalog

Rows = Callable[[str], Iterable[list[str]]]
Subject = Literal["architectures", "decode", "long", "growth", "tasks"]
STEP = [
    *("architecture", "data", "forward", "backward", "optimizer", "step"),
    *("overhead", "tokens/s", "x plain", "x reference"),
]
GROWTH = ["architecture", "of", "value", "seconds", "MiB"]
GROWING = ["lstm", "transformer", "mamba2"]
"""Whose growth is measured where nothing else is asked for."""
SPEED = ["task", "length", "source tokens/s", "with answers"]


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
    """Measure a training step beside a plain PyTorch loop, or decoding, long evaluations, growth, tasks.

    A step takes 64 rows of length 20, a task 256 rows of length 100; decode answers sources of up to 4096 tokens; long
    scores one row of length 1000 and one of 10,000; growth takes steps at other lengths, widths and populations.
    Ratios are of things measured in turn: the harness to a plain loop, the usual kernel to the one that is the
    equation.
    """
    from harness.catalog import Catalog
    from harness.launch.local import resolve_device

    catalog, where = Catalog(tuple(plugin or [])), resolve_device(device)
    if what == "tasks":
        _measure("A task's data on one thread", SPEED, task or catalog.names("task"), _speed(catalog), output)
        return
    if what == "growth":
        _growth(architecture or GROWING, plugin or [], steps, where, output)
        return
    specs = architecture or [name for name in catalog.names("architecture") if _runs(name, catalog, what != "long")]
    if what == "long":
        _long(specs, plugin or [], where, output)
        return
    if what == "decode":
        _decode(specs, catalog, where, output)
        return
    _measure("Milliseconds of a training step", STEP, specs, _step(catalog, steps, where), output)
    if workers and where == "cpu":
        _two_workers(specs[0], steps)


def _measure(title: str, columns: list[str], specs: Sequence[str], rows: Rows, output: Path | None) -> None:
    """Measure one after another and print a table; a file gets each row as soon as it is known."""
    from rich.progress import track

    from harness.cli.page import console, table

    made, out = table(title, columns[0], *(f">{name}" for name in columns[1:])), console()
    with _file(output) as keep:
        keep(columns)
        for spec in track(specs, "measuring", console=out, transient=True, disable=not out.is_terminal):
            for measured in rows(spec):
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


def _step(catalog: "Catalog", steps: int, device: str) -> Rows:
    from harness.bench import bench as measure

    return lambda spec: map(_step_row, measure([spec], catalog, steps=steps, device=device))


def _step_row(each: "Bench") -> list[str]:
    milliseconds = [f"{each.split.milliseconds[name]:.2f}" for name in STEP[1:5]] + [f"{each.split.step:.2f}"]
    ratios = [f"{each.split.overhead:.1%}", f"{each.tokens_per_second:.0f}", f"{each.against_plain:.2f}"]
    beside = "" if each.against_reference is None else f"{each.against_reference:.2f}"
    return [each.architecture, *milliseconds, *ratios, beside]


def _runs(name: str, catalog: "Catalog", trains: bool) -> bool:
    """Whether an architecture imports and, where that counts, is trained by gradients."""
    from harness.errors import UserError

    try:
        cls = catalog.find("architecture", name).cls
    except UserError:
        return False
    return not (trains and hasattr(cls, "fits_itself") and cls.fits_itself())


def _decode(specs: Sequence[str], catalog: "Catalog", device: str, output: Path | None) -> None:
    from harness.bench.decode import LENGTHS, decode_costs
    from harness.cli.page import console

    costs: dict[str, list[Decode]] = {}

    def rows(spec: str) -> Iterator[list[str]]:
        costs[spec] = decode_costs(spec, catalog, device=device)
        yield _decode_row(spec, costs[spec])

    columns = ["architecture", *(f"ms@{n}" for n in LENGTHS), *(f"KiB@{n}" for n in LENGTHS)]
    _measure("Decoding one sequence, token by token", columns, specs, rows, output)
    if output:
        from harness.report.decoding import draw_decoding

        console().print(f"Picture: {draw_decoding(costs, output.with_suffix('.png'))}")


def _decode_row(name: str, of: "Sequence[Decode]") -> list[str]:
    from harness.bench.decode import LENGTHS

    at = {each.length: each for each in of}
    times = [f"{at[n].seconds * 1e3:.2f}" if n in at else "" for n in LENGTHS]
    return [name, *times, *(f"{at[n].bytes / 1024:.1f}" if n in at else "" for n in LENGTHS)]


def _long(specs: Sequence[str], plugins: Sequence[Path], device: str, output: Path | None) -> None:
    from harness.bench.long import LENGTHS, long_costs

    def rows(spec: str) -> Iterator[list[str]]:
        spent = {each.length: each.spent for each in long_costs(spec, plugins, device=device, lengths=LENGTHS)}
        known = [_spent(spent[n]) if n in spent else ["beyond reach", ""] for n in LENGTHS]
        yield [spec, *(pair[0] for pair in known), *(pair[1] for pair in known)]

    columns = ["architecture", *(f"s@{n}" for n in LENGTHS), *(f"MiB@{n}" for n in LENGTHS)]
    _measure("Scoring one row of a long length", columns, specs, rows, output)


def _growth(specs: Sequence[str], plugins: Sequence[Path], steps: int, device: str, output: Path | None) -> None:
    from harness.bench.growth import growth
    from harness.cli.page import console

    points: list[Point] = []

    def rows(spec: str) -> Iterator[list[str]]:
        for each in growth(spec, plugins, steps=steps, device=device):
            points.append(each)
            yield [spec, each.axis, str(each.value), *_spent(each.spent)]

    _measure("How the cost of training grows", GROWTH, specs, rows, output)
    if output:
        from harness.report.growth import draw_growth

        console().print(f"Picture: {draw_growth(points, output.with_suffix('.png'))}")


def _spent(spent: "Spent | None") -> list[str]:
    """Return seconds and MiB."""
    return ["out of memory", ""] if spent is None else [f"{spent.seconds:.4g}", f"{spent.bytes / (1 << 20):.1f}"]


def _speed(catalog: "Catalog") -> Rows:
    from harness.bench.tasks import task_speed

    def rows(spec: str) -> Iterator[list[str]]:
        each = task_speed(spec, catalog)
        yield [each.task, str(each.length), f"{each.source:.1f} M", f"{each.whole:.1f} M"]

    return rows


def _two_workers(spec: str, steps: int) -> None:
    from harness.bench.workers import two_workers
    from harness.cli.page import console

    share = two_workers(spec, steps)
    console().print(f"\nTwo workers reach {share:.2f} of two plain loops side by side ({spec}).")
