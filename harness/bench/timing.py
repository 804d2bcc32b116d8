"""Fair timing: two things in turn, block by block, and the median of the ratios."""

import time
from collections.abc import Callable
from statistics import median

import torch

from harness.training.cuda_graphs import WARM_UP

BLOCKS = 8


def synchronize(device: str) -> None:
    """Wait for the device, where calls return before they are done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def block(call: Callable[[], object], times: int, device: str) -> float:
    """Return the seconds of ``times`` calls."""
    synchronize(device)
    began = time.perf_counter()
    for _ in range(times):
        call()
    synchronize(device)
    return time.perf_counter() - began


def ratio(a: Callable[[], None], b: Callable[[], None], steps: int, device: str = "cpu") -> tuple[float, float]:
    """Return (how many times faster ``b`` is than ``a``, seconds of a call of ``b``), medians over blocks in turn."""
    each = max(1, steps // BLOCKS)
    block(a, WARM_UP, device), block(b, WARM_UP, device)
    pairs = [(block(a, each, device), block(b, each, device)) for _ in range(BLOCKS)]
    return median(x / y for x, y in pairs), median(y for _, y in pairs) / each
