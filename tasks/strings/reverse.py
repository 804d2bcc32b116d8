"""Reverse: the string that a stack gives back.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), reverse string, a deterministic context-free task.
"""

from string import ascii_lowercase

from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within


class Reverse(Task):
    """Write the string backwards.

    Args:
        alphabet: number of letters, at most 26, drawn uniformly (the paper has 2).

    Examples:
        a b b c -> c b b a
        d -> d
        alphabet=26: x y z -> z y x
    """

    answer = "generate"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: int = 4) -> None:
        within("alphabet", alphabet, 1, len(ascii_lowercase))
        self.symbols = tuple(ascii_lowercase[:alphabet])

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Flip the row."""
        return source.flip(1)
