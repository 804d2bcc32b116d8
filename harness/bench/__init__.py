"""Benchmarks of the harness itself: where a training step's time goes, and what the harness costs beside plain PyTorch.

Every figure is a ratio of two things measured in turn within one run, so that a noisy machine slows both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.bench.plain import PlainLoop
from harness.bench.step import Split, split_step
from harness.bench.subject import Subject, make_subject
from harness.bench.timing import ratio
from harness.catalog import Catalog

__all__ = ["Bench", "Split", "Subject", "bench"]


@dataclass(frozen=True)
class Bench:
    """What was measured of one architecture: the split of a step, and throughput relative to a plain loop."""

    architecture: str
    split: Split
    tokens_per_second: float
    against_plain: float


def bench(architectures: Sequence[str], catalog: Catalog, *, steps: int, device: str = "cpu") -> Iterator[Bench]:
    """Measure each architecture in turn: ``steps`` training steps for the split, as many for each side of the ratio."""
    torch.set_num_threads(1)
    for spec in architectures:
        subject = make_subject(spec, catalog, device)
        split = split_step(subject, steps)
        harness, plain = subject.trainer(), PlainLoop(subject)
        speedup, seconds = ratio(plain.step, harness.step, steps, device)
        yield Bench(spec, split, subject.tokens / seconds, speedup)
