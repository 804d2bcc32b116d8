"""Duplicate string: write a string twice, which needs a queue; a stack only suffices to write it backwards.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), duplicate string, a context-sensitive task.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letter_symbols
from tasks.validation import LetterCount


class DuplicateString(Task):
    """Write the string twice in a row.

    The length is that of the string; the answer is twice as long.

    Args:
        alphabet: number of letters, 1 to 26; letters are drawn uniformly (the paper has 2).

    Examples:
        a b b -> a b b a b b
        b -> b b
        alphabet=26: x y z -> x y z x y z
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: LetterCount = 2) -> None:
        self.symbols = letter_symbols(alphabet)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Repeat the row."""
        return source.repeat(1, 2)
