"""Starter: recall the first symbol after everything else has passed by.

Say here what is computed, what makes it hard, and where it comes from.
"""

from string import ascii_lowercase

from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import check_range


class Starter(Task):
    """Which symbol came first?

    Args:
        letters: size of the alphabet, at most 26, drawn uniformly.

    Examples:
        a c b b -> a
        b -> b
        letters=26: z y x -> z
    """

    answer = "readout"

    def __init__(self, *, letters: int = 3) -> None:
        check_range("letters", letters, 1, len(ascii_lowercase))
        self.symbols = tuple(ascii_lowercase[:letters])

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw questions ``[rows, length]``."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Answer them: ``[rows, 1]``."""
        return source[:, :1]
