"""Majority: decide whether ones outnumber zeros, with one counter or one attention head that averages all tokens.

Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers"), where transformers
trained up to 50 bits still answer correctly at 150.

Fair bits make the task hard: the margin between ones and zeros is of the order ``sqrt(length)``, so the answer depends
on nearly every bit. If the number of ones were uniform, the margin would be of the order ``length``, and a sample of
the bits would suffice.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import majority


class Majority(Task):
    """Decide whether there are strictly more ones than zeros; a tie is answered 0.

    The bits are fair, but half of the ties are broken by turning one of their zeros, drawn at random, into a one.
    Both answers are then equally likely at every length.

    Examples:
        1 0 1 -> 1
        0 0 1 -> 0
        1 0 0 1 -> 0        (a tie)
        1 -> 1
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Huang et al. 2025 (arXiv 2410.02140), binary majority"
    algorithm_readers = ("bag of symbols",)
    program = staticmethod(majority)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits, then break half of the ties."""
        bits = stream.integers(2, length)
        broken = (2 * bits.sum(1, keepdim=True) == length) & stream.integers(2, 1).bool()
        rank = 1 + stream.integers(max(length // 2, 1), 1)
        flipped = (bits == 0) & ((1 - bits).cumsum(1) == rank)
        return torch.where(broken & flipped, 1, bits)

    def solve(self, source: Tensor) -> Tensor:
        """Compare twice the number of ones with the length."""
        return (2 * source.sum(1, keepdim=True) > source.shape[1]).long()
