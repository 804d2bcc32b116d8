"""How many models are trained a second: many as one program, against as many one after another.

One by one means a hand-written loop (:mod:`harness.bench.plain`), whose kernels Python launches; and, on a GPU, a
population of one, whose step is replayed as a CUDA graph. Where torch has a fused operator (cuDNN's recurrences), both
use it, and populations cannot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.bench.plain import PlainLoop
from harness.bench.subject import make_subject
from harness.bench.timing import ratio
from harness.bench.work import Rates, work_of
from harness.catalog import Catalog
from harness.launch.desk import release

SIZES = {"cpu": (1, 2, 4, 8), "cuda": (1, 8, 32, 128)}


@dataclass(frozen=True)
class Crowd:
    """A population of ``size`` models: seconds of its step, and how many times faster than one by one it trains them.

    ``against_replayed`` is ``None`` where nothing is replayed; ``beyond_floor`` is the step's time in units of the
    least that its work needs (:class:`harness.bench.work.Work`).
    """

    size: int
    seconds: float
    against_plain: float
    against_replayed: float | None
    beyond_floor: float


def crowds(
    spec: str, catalog: Catalog, rates: Rates, *, steps: int, device: str, sizes: Sequence[int] = ()
) -> Iterator[Crowd]:
    """Measure populations of growing size until memory runs out."""
    torch.set_num_threads(1)
    subject = make_subject(spec, catalog, device)
    plain, floor = PlainLoop(subject), work_of(subject).seconds(rates)
    replayed = subject.trainer() if device.startswith("cuda") else None
    for size in sizes or SIZES[torch.device(device).type]:
        release(torch.device(device))
        try:
            trainer = subject.trainer(size)
            gain, seconds = ratio(plain.step, trainer.step, steps, device)
            beside = size * ratio(replayed.step, trainer.step, steps, device)[0] if replayed else None
        except torch.OutOfMemoryError:
            return
        yield Crowd(size, seconds, size * gain, beside, seconds / (size * floor))
