"""``lengthwise bench``: what the harness costs beside plain PyTorch, what decoding costs, how fast tasks make data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import arguments as given

if TYPE_CHECKING:
    from harness.bench import Bench
    from harness.bench.decode import Decode
    from harness.catalog import Catalog

Rows = list[list[str]]
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
        _show("A task's data on one thread", SPEED, _speeds(task or catalog.names("task"), catalog), output)
        return
    specs = architecture or [name for name in catalog.names("architecture") if _trains(name, catalog)]
    if what == "decode":
        _decode(specs, catalog, where, output)
        return
    _show("Milliseconds of a training step", STEP, _steps(specs, catalog, steps, where), output)
    if workers and where == "cpu":
        _two_workers(specs[0], steps)


def _show(title: str, columns: list[str], rows: Rows, output: Path | None) -> None:
    """Print a table and, where asked, write it as CSV."""
    import csv

    from harness.cli.page import console, table

    made = table(title, columns[0], *(f">{name}" for name in columns[1:]))
    for row in rows:
        made.add_row(*row)
    console().print(made)
    if output:
        with output.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])


def _steps(specs: Sequence[str], catalog: "Catalog", steps: int, device: str) -> Rows:
    from harness.bench import bench as measure
    from harness.cli.page import console

    rows = []
    with console().status("") as status:
        for spec in specs:
            status.update(f"measuring {spec}")
            rows += [_step_row(each) for each in measure([spec], catalog, steps=steps, device=device)]
    return rows


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
    with console().status("") as status:
        for spec in specs:
            status.update(f"decoding with {spec}")
            costs[spec] = decode_costs(spec, catalog, device=device)
    columns = ["architecture", *(f"ms@{n}" for n in LENGTHS), *(f"KiB@{n}" for n in LENGTHS)]
    _show("Decoding one sequence, token by token", columns, [_decode_row(*each) for each in costs.items()], output)
    if output:
        from harness.report.decoding import draw_decoding

        console().print(f"Picture: {draw_decoding(costs, output.with_suffix('.png'))}")


def _decode_row(name: str, of: "Sequence[Decode]") -> list[str]:
    from harness.bench.decode import LENGTHS

    at = {each.length: each for each in of}
    times = [f"{at[n].seconds * 1e3:.2f}" if n in at else "" for n in LENGTHS]
    return [name, *times, *(f"{at[n].bytes / 1024:.1f}" if n in at else "" for n in LENGTHS)]


def _speeds(specs: Sequence[str], catalog: "Catalog") -> Rows:
    from harness.bench.tasks import task_speed
    from harness.cli.page import console

    rows = []
    with console().status("") as status:
        for spec in specs:
            status.update(f"measuring {spec}")
            each = task_speed(spec, catalog)
            rows.append([each.task, str(each.length), f"{each.source:.1f} M", f"{each.whole:.1f} M"])
    return rows


def _two_workers(spec: str, steps: int) -> None:
    from harness.bench.workers import two_workers
    from harness.cli.page import console

    share = two_workers(spec, steps)
    console().print(f"\nTwo workers reach {share:.2f} of two plain loops side by side ({spec}).")
