"""Reverse: write a string backwards, in the order in which a stack returns it.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), reverse string, a deterministic context-free task.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letter_symbols
from tasks.validation import LetterCount


class Reverse(Task):
    """Write the string backwards.

    Args:
        alphabet: number of letters, 1 to 26; letters are drawn uniformly (the paper has 2).

    Examples:
        a b b c -> c b b a
        d -> d
        alphabet=26: x y z -> z y x
    """

    answer = "generate"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: LetterCount = 4) -> None:
        self.symbols = letter_symbols(alphabet)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Flip the row."""
        return source.flip(1)
