"""Slots of GPU workers: which device each worker process uses, and how much of its memory.

Workers go to the devices round robin. A device has as many as its free memory holds, which is measured at the start,
at most :data:`GPU_WORKERS`: one builds models or writes records while the other one trains.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice

from harness.errors import UserError

GPU_WORKERS = 2
"""The most worker processes that share a GPU by default."""
WORKER_BYTES = 2 << 30
"""Free memory that a worker needs at least: the CUDA context, kernels, and a small population."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
MEASURE = "import torch; print([torch.cuda.mem_get_info(d) for d in range(torch.cuda.device_count())])"


@dataclass(frozen=True)
class Slot:
    """The part of a GPU that a worker uses: the number of the device, and the share of its memory."""

    device: int
    memory_share: float


def gpu_slots(workers: int | None = None) -> list[Slot]:
    """Return the slots on the GPUs of this machine, as :func:`slots_of` does."""
    return slots_of(_memory_of_devices(), workers)


def slots_of(devices: Sequence[tuple[int, int]], workers: int | None = None) -> list[Slot]:
    """Return a slot for each worker; those of a device share its free memory equally.

    Args:
        devices: free and total bytes of each device.
        workers: their number; ``None`` for as many as the free memory holds, at least one.
    """
    most = [min(GPU_WORKERS, free // WORKER_BYTES) for free, _ in devices]
    round_robin = [device for nth in range(GPU_WORKERS) for device in range(len(devices)) if most[device] > nth]
    freest = max(range(len(devices)), key=lambda device: devices[device][0])
    order = list(islice(cycle(round_robin or [freest]), workers or max(1, len(round_robin))))
    return [Slot(d, devices[d][0] / devices[d][1] / order.count(d)) for d in order]


def _memory_of_devices() -> list[tuple[int, int]]:
    """Return free and total bytes of each visible GPU, measured in a process that leaves no memory in use."""
    process = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False)
    if process.returncode:
        reason = (process.stderr.strip().splitlines() or ["no output"])[-1]
        raise UserError(f"device cuda: the memory of the GPUs cannot be measured: {reason}; use --device cpu")
    pairs = process.stdout.strip().strip("[]()").split("), (")
    return [(int(free), int(total)) for free, total in (pair.split(", ") for pair in pairs)]


@contextmanager
def visible(slot: Slot | None) -> Iterator[None]:
    """Let processes that start in this context see only the device of a slot; without a slot all devices."""
    before = os.environ.get(VISIBLE)
    if slot is None:
        yield
        return
    os.environ[VISIBLE] = before.split(",")[slot.device] if before else str(slot.device)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before
