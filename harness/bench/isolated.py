"""Measurements in a fresh process, so that the peak of memory belongs to one measurement only."""

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

from harness.bench.timing import time_calls
from harness.execution.processes import clean_start

P = ParamSpec("P")
T = TypeVar("T")

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Usage:
    """Seconds of a call, and how far memory rose above that before it.

    Memory is that of the process, or of its tensors on a GPU.
    """

    seconds: float
    bytes: int


def call_in_fresh_process(measure: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
    """Call a function in a new process; return ``None`` if the process ran out of memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        try:
            with clean_start():
                future = pool.submit(measure, *arguments, **options)
            return future.result()
        except (BrokenProcessPool, MemoryError, torch.OutOfMemoryError):
            return None


def measure_usage(prepare: Callable[[], Callable[[], object]], device: str, times: int = 1) -> Usage:
    """Measure the call that ``prepare`` returns; memory includes that of ``prepare``, time does not."""
    before = memory_bytes(device, peak=False)
    call = prepare()
    seconds = time_calls(call, times, device) / times
    return Usage(seconds, max(0, memory_bytes(device, peak=True) - before))


def memory_bytes(device: str, *, peak: bool) -> int:
    """Return the current or the peak memory of this process, or of its tensors on a GPU, in bytes.

    On a system that does not report current memory (macOS), the peak is returned instead.
    """
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
    if STATUS.exists():
        name = "VmHWM:" if peak else "VmRSS:"
        lines = STATUS.read_text(encoding="utf-8", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
