"""Parity: decide whether the number of ones is odd, which takes two states but is hard for attention.

Hahn 2020 ("Theoretical Limitations of Self-Attention in Neural Sequence Models"); Deletang et al. 2023, table 2.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task


class Parity(Task):
    """Decide whether the number of ones is odd.

    Examples:
        1 0 1 1 -> 1
        1 0 1 0 -> 0
        0 -> 0
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"
    algorithm_readers = ("counts modulo 2 and 3",)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits."""
        return stream.integers(2, length)

    def solve(self, source: Tensor) -> Tensor:
        """Sum the bits modulo two."""
        return torch.remainder(source.sum(1, keepdim=True), 2)
