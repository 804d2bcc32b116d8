"""Measuring in a process of its own, so that a peak of memory is that of one thing alone."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from harness.bench.timing import block

P = ParamSpec("P")
T = TypeVar("T")

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Spent:
    """Seconds of a call, and how far the bytes of the process, or of its tensors on a GPU, rose above those before."""

    seconds: float
    bytes: int


def in_fresh_process(measure: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
    """Call a function in a new process; ``None`` where it ran out of memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            return pool.submit(measure, *arguments, **options).result()
        except (BrokenProcessPool, MemoryError, torch.OutOfMemoryError):
            return None


def spend(prepare: Callable[[], Callable[[], object]], device: str, times: int = 1) -> Spent:
    """Measure the call that ``prepare`` returns; memory includes what it prepares, time does not."""
    before = held(device, most=False)
    call = prepare()
    seconds = block(call, times, device) / times
    return Spent(seconds, max(0, held(device, most=True) - before))


def held(device: str, *, most: bool) -> int:
    """Return the bytes held now, or the most ever, by this process or by its tensors on a GPU.

    Where the system does not say what is held now (macOS), that is the most so far.
    """
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) if most else torch.cuda.memory_allocated(device)
    if STATUS.exists():
        name = "VmHWM:" if most else "VmRSS:"
        return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name)) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
