"""Missing duplicate: a string stands there twice but for one symbol, which only the other half tells.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), missing duplicate, a context-sensitive task.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letters


class MissingDuplicate(Task):
    """Which symbol belongs where ``_`` stands?

    The length is that of both halves with the hole, which is equally likely everywhere, and always even. (The authors'
    code also has odd lengths, one symbol of padding at the end.)

    Args:
        alphabet: number of letters, at most 26, drawn uniformly (the paper has 2).

    Examples:
        a b b a _ b -> b
        _ b a b -> a
        b _ -> b
        alphabet=26: x y z x y _ -> z
    """

    answer = "readout"
    lengths = range(2, 1 << 24, 2)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: int = 2) -> None:
        self.symbols = (*letters(alphabet), "_")
        self.hole = alphabet

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly, repeat them, and make a hole anywhere."""
        twice = stream.integers(self.hole, length // 2).repeat(1, 2)
        return twice.scatter(1, stream.integers(length, 1), self.hole)

    def solve(self, source: Tensor) -> Tensor:
        """Read the symbol half a length away from the hole."""
        hole = (source == self.hole).long().argmax(dim=1, keepdim=True)
        return source.gather(1, torch.remainder(hole + source.shape[1] // 2, source.shape[1]))
