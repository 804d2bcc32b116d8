"""Distinct numbers: a few out of very many, at a cost that does not grow with the many."""

import torch
from torch import Tensor

from tasks.base import Stream


def subset(stream: Stream, high: int, count: int) -> Tensor:
    """Draw a uniform subset of ``count`` numbers below ``high``: long ``[rows, count]``, ascending.

    Floyd's algorithm (Bentley and Floyd 1987): the i-th number is drawn below ``high - count + 1 + i``; one that is
    there already is replaced by the largest it could have been.
    """
    largest = torch.arange(high - count, high, device=stream.device)
    drawn = stream.integers(largest + 1, count)
    chosen = torch.full_like(drawn, -1)
    for place in range(count):
        number = drawn[:, place : place + 1]
        taken = (chosen == number).any(1, keepdim=True)
        chosen[:, place : place + 1] = torch.where(taken, largest[place], number)
    return chosen.sort(dim=1).values


def others(chosen: Tensor, ranks: Tensor) -> Tensor:
    """Return the numbers of these ranks among those not in ``chosen`` (ascending): long, the shape of ``ranks``."""
    passed = chosen - torch.arange(chosen.shape[1], device=chosen.device)
    return ranks + torch.searchsorted(passed, ranks.contiguous(), right=True)


def shuffled(stream: Stream, numbers: Tensor) -> Tensor:
    """Return ``numbers`` ``[rows, n]`` in a uniform order of each row's own."""
    return numbers.gather(1, stream.permutation(numbers.shape[1]))
