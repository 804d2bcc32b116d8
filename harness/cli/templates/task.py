"""Starter: recall the first symbol of a sequence at its end.

State here what is computed, what makes the task hard, and its source.
"""

from string import ascii_lowercase

from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import check_range


class Starter(Task):
    """Return the first symbol of the source.

    Args:
        letters: size of the alphabet, at most 26. Symbols are drawn uniformly.

    Examples:
        a c b b -> a
        b -> b
        letters=26: z y x -> z
    """

    answer = "readout"
    algorithm_readers = ("first token", "first and last token")  # simple readers that are the algorithm itself

    def __init__(self, *, letters: int = 3) -> None:
        check_range("letters", letters, 1, len(ascii_lowercase))
        self.symbols = tuple(ascii_lowercase[:letters])

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw sources ``[rows, length]``."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Return the answers ``[rows, 1]``."""
        return source[:, :1]
