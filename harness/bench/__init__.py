"""Benchmarks of the harness: the phases of a training step, and the harness compared with plain PyTorch.

Each ratio compares two calls that are timed in turn within one run, so that a noisy machine slows both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.step import Split, split_step
from harness.bench.timing import measure_speedup
from harness.bench.workload import Workload, make_workload
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, options_of

__all__ = ["Split", "StepBenchmark", "Workload", "benchmark_steps"]


@dataclass(frozen=True)
class StepBenchmark:
    """Measurements of one architecture: the split of a step, tokens per second, and two speedups.

    ``speedup_over_plain`` is that of the harness over a hand-written loop. ``speedup_over_reference`` is that of the
    default kernel over the reference kernel, ``None`` if the architecture has only one kernel.
    """

    architecture: str
    split: Split
    tokens_per_second: float
    speedup_over_plain: float
    speedup_over_reference: float | None


def benchmark_steps(
    architectures: Sequence[str], catalog: Catalog, *, steps: int, device: str = "cpu"
) -> Iterator[StepBenchmark]:
    """Measure each architecture in turn: ``steps`` training steps for the split, and for each side of a speedup."""
    torch.set_num_threads(1)
    for spec in architectures:
        workload = make_workload(spec, catalog, device)
        split = split_step(workload, steps)
        trainer, plain = workload.trainer(), PlainLoop(workload)
        over_plain, seconds = measure_speedup(plain.step, trainer.step, steps, device)
        over_reference = None
        if reference_spec := _with_reference_kernel(spec, catalog):
            reference = PlainLoop(make_workload(reference_spec, catalog, device))
            over_reference, _ = measure_speedup(reference.step, plain.step, steps, device)
        yield StepBenchmark(spec, split, workload.tokens / seconds, over_plain, over_reference)


def _with_reference_kernel(text: str, catalog: Catalog) -> str | None:
    """Return the spec with its reference kernel, or ``None`` if there is no choice of kernel."""
    spec = Spec.parse("architecture", text, catalog)
    kernel = options_of(spec.entry).get("kernel")
    if kernel is None or "kernel" in dict(spec.written):
        return None
    first = kernel.type.split(" | ")[1]  # the kernel after "auto"
    return str(spec.with_defaults({"kernel": getattr(spec.entry.cls, "reference", None) or first}))
