"""ListOps: evaluate nested operations on lists of digits, which requires parsing the hierarchy.

Nangia and Bowman 2018 ("ListOps: A Diagnostic Dataset for Latent Tree Learning"). The form with long inputs is that of
Tay et al. 2021 ("Long Range Arena"), whose generator draws trees and keeps those of lengths 500 to 2000. Here a tree is
drawn from left to right so that it has exactly the requested length.
"""

from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import AtLeastTwo

OPERATIONS = ("[MIN", "[MAX", "[MED", "[SM")
CLOSE, DIGIT = len(OPERATIONS), len(OPERATIONS) + 1
NESTED = 0.25
"""Probability that an argument is an operation (Tay et al. 2021)."""


class Listops(Task):
    """Evaluate the expression.

    MIN, MAX, MED (median, the mean of the middle two rounded down) and SM (sum modulo 10) of digits and expressions.
    The length is that of the sequence. An argument is an operation with probability 1/4 if depth and length allow one;
    its number of arguments is uniform. The outermost operation takes arguments until the length is reached.

    Args:
        depth: largest number of nested operations.
        arguments: largest number of arguments of an operation other than the outermost; the smallest is 2.

    Examples:
        [MAX 4 3 [MIN 2 3 ] 1 0 ] -> 4
        [MED 1 2 9 8 ] -> 5
        [SM 7 8 [MED 1 5 9 ] ] -> 0
        depth=1: [MIN 6 3 ] -> 3
    """

    answer = "readout"
    paper = "Tay et al. 2021 (arXiv 2011.04006), long ListOps"
    lengths = range(4, 1 << 24)
    symbols = (*OPERATIONS, "]", *"0123456789")

    def __init__(self, *, depth: Annotated[int, Interval(ge=1, le=64)] = 9, arguments: AtLeastTwo = 10) -> None:
        self.depth, self.arguments = depth, arguments

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the shape from left to right, then the operations and digits."""
        shape = self._shape(length, stream)
        operations = stream.integers(len(OPERATIONS), length)
        digits = DIGIT + stream.integers(10, length)
        return torch.where(shape > 0, operations, torch.where(shape < 0, CLOSE, digits))

    def _shape(self, length: int, stream: Stream) -> Tensor:
        """Draw where operations open (1) and close (-1): long ``[B, length]``.

        ``due[b, d]`` counts the arguments that the open operation at depth d still needs. ``spare`` counts the tokens
        that no open operation needs. An operation opens only if it costs no more than ``spare``, so that every row ends
        exactly at its length.
        """
        size = 2 + stream.integers(self.arguments - 1, length)
        nests = stream.uniform(length) < NESTED
        due = torch.zeros(stream.rows, self.depth + 2, dtype=torch.long, device=stream.device)
        due[:, 1] = 2
        level = torch.ones_like(due[:, :1])
        spare = torch.full_like(level, length - 4)
        shape = [torch.ones_like(level)]
        for position in range(1, length):
            needed = due.gather(1, level)
            extra = (needed == 0).long()
            # A complete operation closes; only the outermost takes further arguments while tokens are spare.
            closes = extra.bool() & ((level > 1) | (spare == 0))
            cost = size[:, position : position + 1] + 1
            opens = nests[:, position : position + 1] & ~closes & (level < self.depth) & (cost + extra <= spare)
            due = due.scatter(1, level, needed - 1 + extra)
            step = opens.long() - closes.long()
            level = level + step
            due = torch.where(opens, due.scatter(1, level, cost - 1), due)
            spare = spare - torch.where(closes, 0, extra) - torch.where(opens, cost, 0)
            shape.append(step)
        return torch.cat(shape, dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Apply the operations in the order in which they close; each result is an argument of the enclosing one.

        Each operation has a frame, which counts for each digit the arguments that are at least as large. Frame ``most``
        collects the result of the outermost operation, and frame ``most + 1`` all values that are not needed.
        """
        rows, length = source.shape
        most = (length - 1) // 3  # no expression has more operations
        row = torch.arange(rows, device=source.device)
        digits = torch.arange(10, device=source.device)
        opens, closes = source < CLOSE, source == CLOSE
        owner = self._owners(opens, closes, most)
        operation = source.new_zeros(rows, most + 2).scatter(1, owner.masked_fill(~opens, most + 1), source)
        number = (closes.long().cumsum(1) - 1).masked_fill(~closes, most + 1)
        target = source.new_full((rows, most + 2), most + 1).scatter(1, number, owner)
        counts = (digits + DIGIT <= source[..., None]).long()  # [B, N, 10]
        frames = source.new_zeros(rows, most + 2, 10)
        frames = frames.scatter_add(1, owner.masked_fill(closes, most + 1)[..., None].expand_as(counts), counts)
        for index in range(most):
            result = _apply(operation[:, index], frames[:, index])
            frames[row, target[:, index]] += (digits <= result[:, None]).long()
        return DIGIT + frames[:, most].sum(1, keepdim=True) - 1

    def _owners(self, opens: Tensor, closes: Tensor, none: int) -> Tensor:
        """Return the operation that each token belongs to, numbered in the order of closing, long ``[B, N]``.

        A closing bracket belongs to the enclosing operation, or to ``none`` if there is none.
        """
        level = opens.long().cumsum(1) - closes.long().cumsum(1)
        number = closes.long().cumsum(1) - 1
        owner = torch.full_like(level, none)
        for depth in range(1, self.depth + 1):
            ending = torch.where(closes & (level == depth - 1), number, none)
            owner = torch.where(level == depth, ending.flip(1).cummin(1).values.flip(1), owner)
        return owner


def _apply(operation: Tensor, frame: Tensor) -> Tensor:
    """Apply operations ``[B]`` to the arguments counted in ``[B, 10]``.

    The m-th largest argument is the largest digit with a count of at least m. MIN, MAX and MED are the mean of two
    arguments of certain ranks, which are equal unless MED has an even number of arguments.
    """
    size = frame[:, 0]
    one = torch.ones_like(size)
    first = torch.stack((size, one, size // 2 + 1)).gather(0, operation.clamp(max=2)[None])[0]
    second = torch.stack((size, one, (size + 1) // 2)).gather(0, operation.clamp(max=2)[None])[0]
    ranked = (frame >= first[:, None]).sum(1) + (frame >= second[:, None]).sum(1) - 2
    return torch.where(operation == CLOSE - 1, (frame.sum(1) - size) % 10, ranked // 2)
