"""What a training step cannot do without: operations, and bytes to be moved; and what a device does of both a second.

A step cannot take less time than the larger of the two says. How much more it takes is what launches, small kernels and
detours through memory cost.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.bench.timing import block
from harness.bench.workload import Workload
from harness.models.cost import Count
from harness.models.precision import NO_CAPTURE

SIDE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices that are multiplied; copied are as many numbers."""
TIMES = 4
PASSES = 9
"""How often a step reads or writes as much as the parameters: values and both moments twice, gradients thrice."""


@dataclass(frozen=True)
class PeakRates:
    """What a device does a second at best, measured: operations of a float32 product, and bytes read or written."""

    operations: float
    bytes: float


@dataclass(frozen=True)
class Work:
    """What a step of one model must do: operations as torch counts them, and bytes read or written.

    The bytes are those of the optimizer, and of the most that tensors held at once, written and read back: what a
    forward leaves for its backward.
    """

    operations: float
    bytes: float

    def seconds(self, rates: PeakRates) -> float:
        """Return the least time a device needs for it."""
        return max(self.operations / rates.operations, self.bytes / rates.bytes)


def work_of(subject: Workload) -> Work:
    """Count a step of two models trained at once and halve it: on a CPU their form hides nothing in fused operators."""
    trainer = subject.trainer(2, numerics=NO_CAPTURE)
    trainer.step()
    with Count() as count, PeakMemory() as held:
        trainer.step()
    return Work(count.total / 2, held.most + PASSES / 2 * trainer.population.values.nbytes)


def peak_rates(device: str) -> PeakRates:
    """Measure a large product and a large copy in float32."""
    side = SIDE[torch.device(device).type]
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    product, copy = (_seconds(call, device) for call in (lambda: a @ b, lambda: a.copy_(b)))
    return PeakRates(2 * side**3 / product, 2 * a.nbytes / copy)


def _seconds(call: Callable[[], object], device: str) -> float:
    block(call, 1, device)
    return min(block(call, 1, device) for _ in range(TIMES))


class PeakMemory(TorchDispatchMode):
    """Follows the bytes of all tensors that are made while it is on; ``most`` were there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in self.known:
                self._follow(each.untyped_storage())
        self.most = max(self.most, self.now)
        return out

    def _follow(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()
        self.known.add(address)
        self.now += size
        weakref.finalize(storage, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self.known.discard(address)
        self.now -= size
