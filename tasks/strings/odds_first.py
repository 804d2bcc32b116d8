"""Odds first: write the symbols at odd positions, then those at even positions.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), odds first, a context-sensitive task. As in the
paper, the symbols at odd positions, counted from one, come first; the authors' code writes those at even ones first.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letter_symbols
from tasks.validation import LetterCount


class OddsFirst(Task):
    """Write the first, third, fifth, ... symbol, then the second, fourth, sixth, ...

    Args:
        alphabet: number of letters, 1 to 26; letters are drawn uniformly (the paper has 2).

    Examples:
        a b a a b -> a a b b a
        b -> b
        alphabet=26: u v w x y z -> u w y v x z
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: LetterCount = 2) -> None:
        self.symbols = letter_symbols(alphabet)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Concatenate every other symbol from the first and from the second position."""
        return torch.cat((source[:, ::2], source[:, 1::2]), dim=1)
