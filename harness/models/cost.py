"""Costs of a model: its parameters, the bytes of its state, and the operations of a training step."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from architectures.base import SequenceModel, state_bytes

STATE_LENGTHS = (16, 64, 256)
OPERATION_LENGTHS = (64, 256)
NEGLIGIBLE = 0.02
"""A relative growth from the shortest to the longest length below which a cost counts as constant."""


def parameters(model: SequenceModel) -> int:
    """Return the number of trained values; a complex parameter has two for each number.

    Frozen parameters do not count, except in a model that is fitted without gradients.
    """
    counted = (p for p in model.parameters() if p.requires_grad or model.is_gradient_free())
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in counted)


@torch.no_grad()
def measured_state(model: SequenceModel, lengths: tuple[int, ...] = STATE_LENGTHS) -> dict[str, int]:
    """Return the bytes of one sequence's state after a source of each length; empty if it cannot be stepped."""
    if not model.can_step:
        return {}
    device = next(model.parameters()).device
    within = [length for length in lengths if model.reach is None or length < model.reach]
    return {str(n): state_bytes(model.start(torch.zeros(1, n, dtype=torch.long, device=device))) for n in within}


class Growth(NamedTuple):
    """A cost as a function of length, ``constant + slope * length``."""

    constant: float
    slope: float

    @classmethod
    def of(cls, costs: Mapping[int, float]) -> "Growth":
        """Return the line through the costs at the shortest and at the longest length."""
        low, high = min(costs), max(costs)
        slope = (costs[high] - costs[low]) / max(high - low, 1)
        if abs(slope) * high < NEGLIGIBLE * costs[high]:
            return cls(float(costs[high]), 0.0)
        return cls(costs[low] - slope * low, slope)


def training_operations(model: SequenceModel, lengths: tuple[int, ...] = OPERATION_LENGTHS) -> dict[int, float]:
    """Return the operations per token, forward and backward, for each length that the model can take.

    Matrix products, convolutions and pointwise functions are counted as torch runs them; a multiply-add is two.
    Fourier transforms count as ``5 n log2 n``, copies and sums as nothing. The operations inside fused recurrences are
    not visible, so pass a model that runs without them.
    """
    operations = {}
    for length in (length for length in lengths if model.reach is None or length <= model.reach):
        with Count() as count:
            model(torch.zeros(1, length, dtype=torch.long), None).sum().backward()
        operations[length] = count.total / length
    return operations


class Count(TorchDispatchMode):
    """Counts the operations that torch runs while it is active."""

    total: float = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = FORMULAS.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        elif torch.Tag.pointwise in func.tags and isinstance(out, Tensor):
            self.total += out.numel()
        return out


def _transform(x: Tensor, dim: list[int], *rest: Any, out_val: Tensor) -> float:
    """Return the operations of Fourier transforms along one axis; a real transform takes half of a complex one."""
    half = 1 if x.is_complex() and out_val.is_complex() else 2
    longest = max(x.shape[dim[-1]], out_val.shape[dim[-1]])
    return 5 * x.numel() / x.shape[dim[-1]] * longest * math.log2(max(longest, 2)) / half


FORMULAS: dict[Any, Callable[..., float]] = {
    **flop_registry,
    **dict.fromkeys((torch.ops.aten._fft_r2c, torch.ops.aten._fft_c2r, torch.ops.aten._fft_c2c), _transform),
}
