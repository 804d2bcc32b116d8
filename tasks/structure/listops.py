"""ListOps: nested operations on lists of digits, which only a hierarchical reading can evaluate.

Nangia and Bowman 2018 ("ListOps: A Diagnostic Dataset for Latent Tree Learning"); the form with long inputs is that of
Tay et al. 2021 ("Long Range Arena"). Their generator draws trees and keeps those of lengths 500 to 2000; here a tree
is drawn from left to right to have exactly the length asked for, so that length is a variable like in all tasks.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within

OPERATIONS = ("[MIN", "[MAX", "[MED", "[SM")
CLOSE, DIGIT = len(OPERATIONS), len(OPERATIONS) + 1
NESTED = 0.25
"""Chance of an argument to be an operation (Tay et al. 2021)."""


class Listops(Task):
    """Evaluate the expression.

    MIN, MAX, MED (median, the mean of the middle two rounded down) and SM (sum modulo 10) of digits and expressions.
    The length is that of the sequence. An argument is an operation with chance 1/4, where depth and length leave room
    for one; its number of arguments is uniform. The outermost operation takes arguments until the length is reached.

    Args:
        depth: operations that may stand within one another.
        arguments: of an operation at most, but for the outermost; there are at least 2.

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

    def __init__(self, *, depth: int = 9, arguments: int = 10) -> None:
        within("depth", depth, 1, 64)
        within("arguments", arguments, 2)
        self.depth, self.arguments = depth, arguments

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the shape from left to right, then what stands in it."""
        shape = self._shape(length, stream)
        operations = stream.integers(len(OPERATIONS), length)
        digits = DIGIT + stream.integers(10, length)
        return torch.where(shape > 0, operations, torch.where(shape < 0, CLOSE, digits))

    def _shape(self, length: int, stream: Stream) -> Tensor:
        """Draw where operations open (1) and close (-1): long ``[B, length]``.

        ``due[b, d]`` counts the arguments still owed to the operation open at depth d; ``spare`` tokens are not owed
        to any. Nothing is opened that they do not pay for, so every row ends at its length.
        """
        size = 2 + stream.integers(self.arguments - 1, length)
        nests = stream.uniform(length) < NESTED
        due = torch.zeros(stream.rows, self.depth + 2, dtype=torch.long, device=stream.device)
        due[:, 1] = 2
        level = torch.ones_like(due[:, :1])
        spare = torch.full_like(level, length - 4)
        shape = [torch.ones_like(level)]
        for place in range(1, length):
            owed = due.gather(1, level)
            extra = (owed == 0).long()
            closes = extra.bool() & ((level > 1) | (spare == 0))
            price = size[:, place : place + 1] + 1
            opens = nests[:, place : place + 1] & ~closes & (level < self.depth) & (price + extra <= spare)
            due = due.scatter(1, level, owed - 1 + extra)
            step = opens.long() - closes.long()
            level = level + step
            due = torch.where(opens, due.scatter(1, level, price - 1), due)
            spare = spare - torch.where(closes, 0, extra) - torch.where(opens, price, 0)
            shape.append(step)
        return torch.cat(shape, dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Apply the operations in the order in which they close, each result becoming an argument of another.

        A frame stands for an operation and counts, for each digit, the arguments that are at least as large.
        """
        rows, length = source.shape
        many = (length - 1) // 3  # no expression has more operations
        row = torch.arange(rows, device=source.device)
        digits = torch.arange(10, device=source.device)
        opens, closes = source < CLOSE, source == CLOSE
        owner = self._owners(opens, closes, many)
        operation = source.new_zeros(rows, many + 2).scatter(1, owner.masked_fill(~opens, many + 1), source)
        number = (closes.long().cumsum(1) - 1).masked_fill(~closes, many + 1)
        target = source.new_full((rows, many + 2), many + 1).scatter(1, number, owner)
        counts = (digits + DIGIT <= source[..., None]).long()  # [B, N, 10]
        frames = source.new_zeros(rows, many + 2, 10)
        frames = frames.scatter_add(1, owner.masked_fill(closes, many + 1)[..., None].expand_as(counts), counts)
        for each in range(many):
            result = _apply(operation[:, each], frames[:, each])
            frames[row, target[:, each]] += (digits <= result[:, None]).long()
        return DIGIT + frames[:, many].sum(1, keepdim=True) - 1

    def _owners(self, opens: Tensor, closes: Tensor, none: int) -> Tensor:
        """Return to which operation each token belongs, counted by their closing, long ``[B, N]``.

        What closes belongs to the operation around it, or to ``none``.
        """
        level = opens.long().cumsum(1) - closes.long().cumsum(1)
        number = closes.long().cumsum(1) - 1
        owner = torch.full_like(level, none)
        for depth in range(1, self.depth + 1):
            ending = torch.where(closes & (level == depth - 1), number, none)
            owner = torch.where(level == depth, ending.flip(1).cummin(1).values.flip(1), owner)
        return owner


def _apply(operation: Tensor, frame: Tensor) -> Tensor:
    """Apply operations ``[B]`` to the arguments counted in ``[B, 10]``: the m-th largest has m at or above it."""
    many = frame[:, 0]
    one = torch.ones_like(many)
    first = torch.stack((many, one, many // 2 + 1)).gather(0, operation.clamp(max=2)[None])[0]
    second = torch.stack((many, one, (many + 1) // 2)).gather(0, operation.clamp(max=2)[None])[0]
    ranked = (frame >= first[:, None]).sum(1) + (frame >= second[:, None]).sum(1) - 2
    return torch.where(operation == CLOSE - 1, (frame.sum(1) - many) % 10, ranked // 2)
