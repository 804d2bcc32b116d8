"""Majority: one counter decides it, or one attention head that averages over all tokens.

Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers"), where transformers
trained up to 50 bits still answer right at 150.

Fair bits keep it hard: the margin between ones and zeros is then of the order ``sqrt(length)``, so that the answer
depends on nearly every bit. Had the number of ones been drawn uniformly, the margin would be of the order ``length``
and a glance would do.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import majority


class Majority(Task):
    """Are there strictly more ones than zeros? A tie is answered 0.

    The bits are fair, but half of the ties are tipped by turning one of their zeros, drawn at random, into a one:
    both answers are then equally likely at every length.

    Examples:
        1 0 1 -> 1
        0 0 1 -> 0
        1 0 0 1 -> 0        (a tie)
        1 -> 1
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Huang et al. 2025 (arXiv 2410.02140), binary majority"
    program = staticmethod(majority)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits, then tip half of the ties."""
        bits = stream.integers(2, length)
        tipped = (2 * bits.sum(1, keepdim=True) == length) & stream.integers(2, 1).bool()
        which = 1 + stream.integers(max(length // 2, 1), 1)
        chosen = (bits == 0) & ((1 - bits).cumsum(1) == which)
        return torch.where(tipped & chosen, 1, bits)

    def solve(self, source: Tensor) -> Tensor:
        """Compare twice the number of ones with the length."""
        return (2 * source.sum(1, keepdim=True) > source.shape[1]).long()
