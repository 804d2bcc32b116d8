"""Odds first: deal a string into two halves, as a deck is unshuffled.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), odds first, a context-sensitive task. As in the
paper the symbols at odd places, counted from one, come first; the authors' code writes those at even places first.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letters


class OddsFirst(Task):
    """Write the first, third, fifth, ... symbol, then the second, fourth, sixth, ...

    Args:
        alphabet: number of letters, at most 26, drawn uniformly (the paper has 2).

    Examples:
        a b a a b -> a a b b a
        b -> b
        alphabet=26: u v w x y z -> u w y v x z
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: int = 2) -> None:
        self.symbols = letters(alphabet)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Take every other symbol, twice."""
        return torch.cat((source[:, ::2], source[:, 1::2]), dim=1)
