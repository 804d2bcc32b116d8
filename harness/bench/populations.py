"""How many models are trained a second: many as one program, against as many one after another.

One by one means a hand-written loop (:mod:`harness.bench.baseline`), whose kernels Python launches; and, on a GPU, a
population of one, whose step is replayed as a CUDA graph. Where torch has a fused operator (cuDNN's recurrences), both
use it, and populations cannot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.roofline import PeakRates, work_of
from harness.bench.timing import ratio
from harness.bench.workload import Workload, make_workload
from harness.registry.catalog import Catalog
from harness.training.memory import release_memory
from harness.training.trainer import Trainer

SIZES = {"cpu": (1, 2, 4, 8), "cuda": (1, 8, 32, 128)}


@dataclass(frozen=True)
class Crowd:
    """A population of ``size`` models: seconds of its step, and how many times faster than one by one it trains them.

    ``against_replayed`` is ``None`` where nothing is replayed; ``beyond_floor`` is the step's time in units of the
    least that its work needs (:class:`harness.bench.roofline.Work`).
    """

    size: int
    seconds: float
    against_plain: float
    against_replayed: float | None
    beyond_floor: float


def population_speed(
    spec: str, catalog: Catalog, rates: PeakRates, *, steps: int, device: str, sizes: Sequence[int] = ()
) -> Iterator[Crowd]:
    """Measure populations of growing size until memory runs out."""
    torch.set_num_threads(1)
    subject = make_workload(spec, catalog, device)
    plain, floor = PlainLoop(subject), work_of(make_workload(spec, catalog, "cpu")).seconds(rates)
    alone = subject.trainer() if device.startswith("cuda") else None
    for size in sizes or SIZES[torch.device(device).type]:
        release_memory(torch.device(device))
        try:
            gain, seconds, beside = _against(plain, alone, subject, size, steps)
        except torch.OutOfMemoryError:
            return
        yield Crowd(size, seconds, gain, beside, seconds / (size * floor))


def _against(
    plain: PlainLoop, alone: Trainer | None, subject: Workload, size: int, steps: int
) -> tuple[float, float, float | None]:
    """Return the gain over a plain loop, the seconds of a step, and the gain over a replayed model alone."""
    crowd = subject.trainer(size)
    gain, seconds = ratio(plain.step, crowd.step, steps, subject.device)
    beside = size * ratio(alone.step, crowd.step, steps, subject.device)[0] if alone else None
    return size * gain, seconds, beside
