"""Training speed of populations: many models as one program, compared with the same models one by one.

Models are trained one by one in two ways. The first is a hand-written loop (:mod:`harness.bench.baseline`), whose
kernels are launched from Python. The second, only on a GPU, is a population of one, whose step is replayed as a CUDA
graph. Both use torch's fused operators (cuDNN's recurrences) where they exist; populations cannot use them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.roofline import PeakRates, work_of
from harness.bench.timing import measure_speedup
from harness.bench.workload import Workload, make_workload
from harness.registry.catalog import Catalog
from harness.training.memory import release_memory
from harness.training.trainer import Trainer

SIZES = {"cpu": (1, 2, 4, 8), "cuda": (1, 8, 32, 128)}


@dataclass(frozen=True)
class PopulationSpeed:
    """Speed of a population of ``size`` models: seconds of a step, and its speedups over models trained one by one.

    ``speedup_over_replayed`` is ``None`` if no step is replayed. ``floor_ratio`` is the time of a step divided by the
    least time that its work needs (:class:`harness.bench.roofline.Work`).
    """

    size: int
    seconds: float
    speedup_over_plain: float
    speedup_over_replayed: float | None
    floor_ratio: float


def measure_populations(
    spec: str, catalog: Catalog, rates: PeakRates, *, steps: int, device: str, sizes: Sequence[int] = ()
) -> Iterator[PopulationSpeed]:
    """Measure populations of growing size until memory runs out."""
    torch.set_num_threads(1)
    workload = make_workload(spec, catalog, device)
    plain, floor = PlainLoop(workload), work_of(make_workload(spec, catalog, "cpu")).seconds(rates)
    replayed = workload.trainer() if device.startswith("cuda") else None
    for size in sizes or SIZES[torch.device(device).type]:
        release_memory(torch.device(device))
        try:
            seconds, over_plain, over_replayed = _compare(plain, replayed, workload, size, steps)
        except torch.OutOfMemoryError:
            return
        yield PopulationSpeed(size, seconds, over_plain, over_replayed, seconds / (size * floor))


def _compare(
    plain: PlainLoop, replayed: Trainer | None, workload: Workload, size: int, steps: int
) -> tuple[float, float, float | None]:
    """Return the seconds of a population's step, and its speedups over a plain loop and over one replayed model."""
    population, device = workload.trainer(size), workload.device
    over_plain, seconds = measure_speedup(plain.step, population.step, steps, device)
    over_replayed = None
    if replayed:
        over_replayed = size * measure_speedup(replayed.step, population.step, steps, device)[0]
    return seconds, size * over_plain, over_replayed
