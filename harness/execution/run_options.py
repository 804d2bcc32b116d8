"""Options of how and where a run is executed, as opposed to what is trained."""

import os
from dataclasses import dataclass, replace
from typing import Literal

import torch

from harness.errors import UserError
from harness.execution.gpu_slots import GPU_WORKERS
from harness.models.precision import FLOAT32, Numerics

Stale = Literal["keep", "rerun", "fail"]
"""The treatment of cells whose code has changed since they were trained."""
LauncherName = Literal["local", "ray"]
"""Where jobs run; each has a file in ``launchers``."""

GPU_POPULATION = 64
"""The most models that a GPU trains at once. A CPU worker trains one."""


@dataclass(frozen=True)
class RunOptions:
    """Options of an execution; none of them is part of a cell's identity.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where torch sees one.
        workers: processes; ``None`` for one per core, or two on a GPU.
        numerics: number format, determinism, CUDA graphs.
        stale: the treatment of cells whose code has changed since; ``None`` reruns plug-ins and keeps the others.
        retry_failed: train failed cells again.
        timeout: seconds after which a worker that reports nothing is ended and its cells fail; ``None`` waits for ever.
        budget: seconds after which the run stops; the most informative cells are trained first. ``None`` is no limit.
        launcher: where the jobs run.
        address: of the cluster, for the launcher ``ray``; ``None`` starts one on this machine.
    """

    device: str = "auto"
    workers: int | None = None
    numerics: Numerics = FLOAT32
    stale: Stale | None = None
    retry_failed: bool = False
    timeout: float | None = None
    budget: float | None = None
    launcher: LauncherName = "local"
    address: str | None = None

    def resolved(self) -> "RunOptions":
        """Return the same options with the device that ``auto`` stands for here."""
        return replace(self, device=resolve_device(self.device))

    @property
    def worker_count(self) -> int:
        """The number of worker processes."""
        return self.workers or default_workers(self.device)

    @property
    def population(self) -> int:
        """The most models that one worker trains at once."""
        return GPU_POPULATION if self.device.startswith("cuda") else 1


def default_workers(device: str) -> int:
    """Return one worker for each core that this process may use, or two for a GPU."""
    if device.startswith("cuda"):
        return GPU_WORKERS
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve_device(device: str) -> str:
    """Return ``cpu`` or ``cuda``; raise :class:`UserError` for another device, or where torch sees no CUDA device."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise UserError(f"device {device!r}: use auto, cpu or cuda{gpu_hint(device)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: torch sees no CUDA device here; use --device cpu or auto")
    return device


def gpu_hint(device: str) -> str:
    """Return how to choose one of several GPUs, for a device like ``cuda:1``; empty for another text."""
    name, _, index = device.partition(":")
    return f"; choose a GPU as in CUDA_VISIBLE_DEVICES={index} ... --device cuda" if name == "cuda" and index else ""
