"""Missing duplicate: find the symbol that is hidden in one of two equal halves.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), missing duplicate, a context-sensitive task.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letter_symbols
from tasks.validation import LetterCount


class MissingDuplicate(Task):
    """Write the symbol that ``_`` hides.

    The source is a string written twice, with one symbol, at a uniform position, replaced by ``_``. The length is that
    of the source and always even. (The authors' code also has odd lengths, with one symbol of padding at the end.)

    Args:
        alphabet: number of letters, 1 to 26; letters are drawn uniformly (the paper has 2).

    Examples:
        a b b a _ b -> b
        _ b a b -> a
        b _ -> b
        alphabet=26: x y z x y _ -> z
    """

    answer = "readout"
    lengths = range(2, 1 << 24, 2)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: LetterCount = 2) -> None:
        self.symbols = (*letter_symbols(alphabet), "_")
        self.hidden = alphabet

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly, repeat them, and hide one symbol at a uniform position."""
        twice = stream.integers(self.hidden, length // 2).repeat(1, 2)
        return twice.scatter(1, stream.integers(length, 1), self.hidden)

    def solve(self, source: Tensor) -> Tensor:
        """Return the symbol half a length away from the hidden one."""
        position = (source == self.hidden).long().argmax(dim=1, keepdim=True)
        return source.gather(1, torch.remainder(position + source.shape[1] // 2, source.shape[1]))
