"""The least time of a training step: its operations and bytes, divided by what a device can do in a second.

A step cannot be faster than the slower of the two. The rest of its time is spent on kernel launches, on small kernels,
and on intermediate results that pass through memory.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.bench.timing import time_calls
from harness.bench.workload import Workload
from harness.models.cost import Count
from harness.models.precision import NO_CAPTURE

SIDE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices that are multiplied and copied."""
TIMES = 20
PASSES = 9
"""How often a step reads or writes as much as the parameters: values and both moments twice, gradients thrice."""


@dataclass(frozen=True)
class PeakRates:
    """Measured peak rates of a device per second: operations of a float32 product, and bytes read or written."""

    operations: float
    bytes: float

    def __str__(self) -> str:
        return f"{self.operations / 1e9:.0f} billion operations and {self.bytes / 1e9:.0f} GB a second, measured"


@dataclass(frozen=True)
class Work:
    """The least work of one model's step: operations as torch counts them, and bytes read or written.

    The bytes are those of the optimizer, and those of the peak memory of tensors, written once and read once. At its
    peak, memory holds what the forward leaves for the backward.
    """

    operations: float
    bytes: float

    def seconds(self, rates: PeakRates) -> float:
        """Return the least time that a device needs."""
        return max(self.operations / rates.operations, self.bytes / rates.bytes)


def work_of(workload: Workload) -> Work:
    """Count a step of two models trained at once, and halve it.

    On a CPU a population of two uses no fused operators, which would hide operations from the count.
    """
    trainer = workload.trainer(2, numerics=NO_CAPTURE)
    trainer.step()
    with Count() as count, PeakMemory() as memory:
        trainer.step()
    return Work(count.total / 2, memory.peak + PASSES / 2 * trainer.population.values.nbytes)


def peak_rates(device: str) -> PeakRates:
    """Measure a large product and a large copy in float32."""
    side = SIDE[torch.device(device).type]
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    product, copy = (_least_seconds(call, device) for call in (lambda: a @ b, lambda: a.copy_(b)))
    return PeakRates(2 * side**3 / product, 2 * a.nbytes / copy)


def _least_seconds(call: Callable[[], object], device: str) -> float:
    time_calls(call, 1, device)  # warm up
    return min(time_calls(call, 1, device) for _ in range(TIMES))


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that are created while it is active: the ``current`` and the ``peak`` sum."""

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self.storages: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in self.storages:
                self._add(leaf.untyped_storage())
        self.peak = max(self.peak, self.current)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()
        self.storages.add(address)
        self.current += size
        weakref.finalize(storage, self._remove, address, size)

    def _remove(self, address: int, size: int) -> None:
        self.storages.discard(address)
        self.current -= size
