"""Benchmarks of the harness: a training step compared with plain PyTorch and with the least time that its work needs.

Each speedup compares two calls that are timed in turn within one run, so that a noisy machine slows both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.roofline import PeakRates, work_of
from harness.bench.step import Split, split_step
from harness.bench.timing import measure_speedup
from harness.bench.workload import LENGTH, Workload, make_workload
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, options_of

__all__ = ["Split", "StepBenchmark", "Workload", "benchmark_steps"]


@dataclass(frozen=True)
class StepBenchmark:
    """Measurements of one architecture at one length: the split of a step, tokens per second, and three ratios.

    ``floor_ratio`` is the time of a step divided by the least time that its work needs
    (:class:`harness.bench.roofline.Work`). ``speedup_over_plain`` is that of the harness over a hand-written loop.
    ``speedup_over_reference`` is that of the default kernel over the reference kernel, ``None`` if the architecture has
    only one kernel.
    """

    architecture: str
    length: int
    split: Split
    tokens_per_second: float
    floor_ratio: float
    speedup_over_plain: float
    speedup_over_reference: float | None


def benchmark_steps(
    architectures: Sequence[str],
    catalog: Catalog,
    rates: PeakRates,
    *,
    steps: int,
    device: str = "cpu",
    lengths: Sequence[int] = (LENGTH,),
) -> Iterator[StepBenchmark]:
    """Measure each architecture at each length: ``steps`` steps for the split, and for each side of a speedup."""
    torch.set_num_threads(1)
    for spec, length in product(architectures, lengths):
        workload = make_workload(spec, catalog, device, length=length)
        split = split_step(workload, steps)
        trainer, plain = workload.trainer(), PlainLoop(workload)
        over_plain, seconds = measure_speedup(plain.step, trainer.step, steps, device)
        over_reference = None
        if reference_spec := _with_reference_kernel(spec, catalog):
            reference = PlainLoop(make_workload(reference_spec, catalog, device, length=length))
            over_reference, _ = measure_speedup(reference.step, plain.step, steps, device)
        floor = work_of(make_workload(spec, catalog, "cpu", length=length)).seconds(rates)
        tokens_per_second = workload.tokens / seconds
        yield StepBenchmark(spec, length, split, tokens_per_second, seconds / floor, over_plain, over_reference)


def _with_reference_kernel(text: str, catalog: Catalog) -> str | None:
    """Return the spec with its reference kernel, or ``None`` if there is no choice of kernel."""
    spec = Spec.parse("architecture", text, catalog)
    kernel = options_of(spec.entry).get("kernel")
    if kernel is None or "kernel" in dict(spec.written):
        return None
    first = kernel.type.split(" | ")[1]  # the kernel after "auto"
    return str(spec.with_defaults({"kernel": getattr(spec.entry.cls, "reference", None) or first}))
