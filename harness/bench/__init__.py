"""Benchmarks of the harness itself: where a training step's time goes, and what the harness costs beside plain PyTorch.

Every figure is a ratio of two things measured in turn within one run, so that a noisy machine slows both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.step import Split, split_step
from harness.bench.timing import ratio
from harness.bench.workload import Workload, make_workload
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, options_of

__all__ = ["Bench", "Split", "Workload", "bench"]


@dataclass(frozen=True)
class Bench:
    """What was measured of one architecture: the split of a step, and throughput relative to two other loops.

    ``against_reference`` is that of the default form to the reference form, ``None`` where there is one form alone.
    """

    architecture: str
    split: Split
    tokens_per_second: float
    against_plain: float
    against_reference: float | None


def bench(architectures: Sequence[str], catalog: Catalog, *, steps: int, device: str = "cpu") -> Iterator[Bench]:
    """Measure each architecture in turn: ``steps`` training steps for the split, as many for each side of a ratio."""
    torch.set_num_threads(1)
    for spec in architectures:
        subject = make_workload(spec, catalog, device)
        split = split_step(subject, steps)
        harness, plain = subject.trainer(), PlainLoop(subject)
        speedup, seconds = ratio(plain.step, harness.step, steps, device)
        form = _in_reference_form(spec, catalog)
        slow = PlainLoop(make_workload(form, catalog, device)) if form else None
        beside = ratio(slow.step, plain.step, steps, device)[0] if slow else None
        yield Bench(spec, split, subject.tokens / seconds, speedup, beside)


def _in_reference_form(text: str, catalog: Catalog) -> str | None:
    """Return the spec with the kernel that reads like the paper's equation; ``None`` where there is no choice."""
    spec = Spec.parse("architecture", text, catalog)
    kernel = options_of(spec.entry).get("kernel")
    if kernel is None or "kernel" in dict(spec.options):
        return None
    named = kernel.type.split(" | ")[1]
    return str(spec.with_defaults({"kernel": getattr(spec.entry.cls, "reference", None) or named}))
