"""Timing of calls, and of two calls in turn, so that a noisy machine slows both."""

import time
from collections.abc import Callable
from statistics import median

import torch

from harness.training.cuda_graphs import WARM_UP

BLOCKS = 8


def synchronize(device: str) -> None:
    """Wait for a GPU, whose calls return before they are finished."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def time_calls(call: Callable[[], object], times: int, device: str) -> float:
    """Return the seconds of ``times`` calls."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(times):
        call()
    synchronize(device)
    return time.perf_counter() - start


def measure_speedup(
    baseline: Callable[[], None], candidate: Callable[[], None], steps: int, device: str = "cpu"
) -> tuple[float, float]:
    """Return how many times faster the candidate is than the baseline, and the seconds of a call of the candidate.

    Blocks of calls of the two alternate; both values are medians over blocks.
    """
    calls = max(1, steps // BLOCKS)
    for call in (baseline, candidate):
        time_calls(call, WARM_UP, device)
    pairs = [(time_calls(baseline, calls, device), time_calls(candidate, calls, device)) for _ in range(BLOCKS)]
    return median(slow / fast for slow, fast in pairs), median(seconds for _, seconds in pairs) / calls
