"""Random subsets of distinct numbers, drawn at a cost that does not depend on how many numbers there are."""

import torch
from torch import Tensor

from tasks.base import Stream


def draw_subset(stream: Stream, high: int, count: int) -> Tensor:
    """Draw a uniform subset of ``count`` numbers below ``high``: long ``[rows, count]``, ascending.

    Floyd's algorithm (Bentley and Floyd 1987): the i-th number is drawn below ``high - count + 1 + i``. If the subset
    contains it already, the largest number that could have been drawn is taken instead.
    """
    largest = torch.arange(high - count, high, device=stream.device)
    numbers = stream.integers(largest + 1, count)
    chosen = torch.full_like(numbers, -1)
    for index in range(count):
        number = numbers[:, index : index + 1]
        repeated = (chosen == number).any(1, keepdim=True)
        chosen[:, index : index + 1] = torch.where(repeated, largest[index], number)
    return chosen.sort(dim=1).values


def complement(chosen: Tensor, ranks: Tensor) -> Tensor:
    """Return the numbers of these ranks among those not in ``chosen`` (ascending): long, the shape of ``ranks``."""
    skipped = chosen - torch.arange(chosen.shape[1], device=chosen.device)
    return ranks + torch.searchsorted(skipped, ranks.contiguous(), right=True)


def shuffle(stream: Stream, numbers: Tensor) -> Tensor:
    """Return ``numbers`` ``[rows, n]`` with each row in its own uniform order."""
    return numbers.gather(1, stream.permutation(numbers.shape[1]))
