"""The cost of scheduling: sweeps of cells that are recorded without being trained, ``python -m tests.scheduling``.

A plug-in does what remains of a cell: it waits for a given time, and writes the records and weights of the first cell
that its worker has trained under the id of each further one. All else is as in any run: plan, jobs, worker processes,
display and records.
"""

import argparse
import io
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from harness.config.suite import make
from harness.execution.job import Event
from harness.execution.launchers import opened
from harness.execution.make_plan import make_plan
from harness.execution.plan import Plan
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder

PLUGIN = '''"""A model that is trained once in each worker; see tests/scheduling.py."""
import time
from torch import nn
from architectures.base import Mixer
from harness.execution.worker import Worker

train, first = Worker.train_all, []

class Trivial(Mixer):
    """A linear map, whose cells take some seconds."""

    def __init__(self, width: int, *, seconds: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x, context):
        return self.inner(x)

def record(self, cells):
    """Wait, and record the cells as the first one."""
    if not first:
        train(self, cells)
        first.append((self.folder.cell(cells[0].id), self.folder.weights(cells[0].id, 1)))
        return
    records, weights = first[0]
    for cell in cells:
        time.sleep(float(dict(cell.architecture.options).get("seconds", 0.0)))
        training = records.training.model_copy(update={"cell": cell.canonical()})
        self.folder.finish(cell.id, training, {1: weights})
        self.folder.add(cell.id, records.evaluations)
        self.finish_cell("cell", cell, "recorded")

Worker.train_all = record
'''


def plan(cells: int, folder: Path, seconds: float = 0.0) -> Plan:
    """Return the plan of a sweep of trivial cells."""
    plugin = folder / "trivial.py"
    plugin.write_text(PLUGIN)
    recipe = {"steps": 1, "batch_size": 1, "train_lengths": "1:1", "warmup": 0}
    suite: dict[str, Any] = {"name": "scheduling", "architectures": [f"trivial:width=4,depth=1,seconds={seconds}"]}
    suite |= {"tasks": ["parity"], "seeds": cells, "samples": 1, "test_lengths": "2", "recipe": recipe}
    return make_plan(make(suite, "scheduling"), Catalog((plugin,)))


@dataclass(frozen=True)
class Measured:
    """Seconds of a sweep: to plan it, to run it, to find nothing to do, and between the records of two cells.

    ``interval`` is the mean, and ``gap`` the median, which leaves out that the first models train as one population.
    ``processor`` are those of the driver's processor for each cell.
    """

    planning: float
    running: float
    again: float
    interval: float
    gap: float
    processor: float


def measure(cells: int, options: RunOptions, seconds: float = 0.0) -> Measured:
    """Run a sweep twice. The time between records leaves out the start of the processes."""
    with tempfile.TemporaryDirectory(prefix="lengthwise-scheduling-") as path:
        folder, quiet, moments = Path(path), Console(file=io.StringIO()), list[float]()

        def listen(event: Event) -> None:
            if event.kind == "cell":
                moments.append(time.perf_counter())

        began, used = time.perf_counter(), time.process_time()
        planned = plan(cells, folder, seconds)
        times = [time.perf_counter() - began]
        for _ in range(2):
            began = time.perf_counter()
            assert execute(planned, folder / "run", options, quiet, listen).failed == 0
            times.append(time.perf_counter() - began)
        used = time.process_time() - used
        assert len(moments) == len(RunFolder(folder / "run").cell_ids()) == cells
        gap = median(later - earlier for earlier, later in pairwise(moments))
        return Measured(*times, (moments[-1] - moments[0]) / (cells - 1), gap, used / cells)


def main() -> None:
    """Print the rate for each number of cells, and what cells of ten seconds take in addition."""
    parser = argparse.ArgumentParser(prog="python -m tests.scheduling", description=__doc__)
    parser.add_argument("--launcher", choices=("local", "ray"), default="local")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cells", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--long", type=int, default=7, help="cells of ten seconds for one worker; 0 for none")
    arguments = parser.parse_args()
    options = RunOptions("cpu", arguments.workers, launcher=arguments.launcher)
    with opened(options):  # a Ray of its own starts once for all sweeps
        for cells in arguments.cells:
            result = measure(cells, options)
            print(
                f"{arguments.launcher}, {cells} cells: {result.planning:.1f} s to plan, {result.running:.1f} s to run, "
                f"{result.again:.1f} s to find nothing to do; {1 / result.interval:.0f} cells a second, "
                f"{1000 * result.processor:.1f} ms of the driver's processor a cell",
                flush=True,
            )
        if arguments.long:
            result = measure(arguments.long, replace(options, workers=1), 10.0)
            share = 100 * (result.gap / 10.0 - 1)
            print(f"{arguments.launcher}, cells of 10 s: one in {result.gap:.3f} s, {share:.2f} % more")


if __name__ == "__main__":
    sys.exit(main())
