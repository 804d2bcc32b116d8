"""Duplicate string: write the string twice, which takes a queue where a stack would do for once backwards.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), duplicate string, a context-sensitive task.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letters


class DuplicateString(Task):
    """Write the string, then write it again.

    The length is that of the string; the answer is twice as long.

    Args:
        alphabet: number of letters, at most 26, drawn uniformly (the paper has 2).

    Examples:
        a b b -> a b b a b b
        b -> b b
        alphabet=26: x y z -> x y z x y z
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: int = 2) -> None:
        self.symbols = letters(alphabet)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Repeat the row."""
        return source.repeat(1, 2)
