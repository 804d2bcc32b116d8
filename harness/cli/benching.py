"""``lengthwise bench``: what the harness costs, measured beside plain PyTorch, and how fast tasks make their data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli import arguments as given

if TYPE_CHECKING:
    from harness.bench import Bench
    from harness.catalog import Catalog

Rows = list[list[str]]
STEP = ["architecture", "data", "forward", "backward", "optimizer", "step", "overhead", "tokens/s", "x plain"]
SPEED = ["task", "length", "source tokens/s", "with answers"]


def bench(
    what: Annotated[Literal["architectures", "tasks"], typer.Argument(help="What to measure.")] = "architectures",
    architecture: given.Architectures = None,
    task: given.Tasks = None,
    steps: Annotated[int, typer.Option(min=8, metavar="N", help="Training steps of each measurement.")] = 64,
    workers: Annotated[bool, typer.Option(help="Also measure two workers against two plain loops.")] = True,
    device: given.Device = "auto",
    output: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Write the table there too.")] = None,
    plugin: given.Plugins = None,
) -> None:
    """Measure where a training step's time goes, beside a plain PyTorch loop; or how fast tasks make their data.

    A step takes 64 rows of length 20, a task 256 rows of length 100. Ratios are of things measured in turn.
    """
    from harness.catalog import Catalog
    from harness.launch.local import resolve_device

    catalog, where = Catalog(tuple(plugin or [])), resolve_device(device)
    if what == "tasks":
        _show("A task's data on one thread", SPEED, _speeds(task or catalog.names("task"), catalog), output)
        return
    specs = architecture or catalog.names("architecture")
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
    return [each.architecture, *milliseconds, *ratios]


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
