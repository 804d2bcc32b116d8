"""Copy: write the string again, which is induction where no symbol repeats and counting of places where they do.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): with unique tokens the next one is whatever followed the
last one in the question, a short RASP-L program; with repeats the last one stands in several places, and no such
program is known.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import copy_unique
from tasks.strings._letters import draw, numbers


class Copy(Task):
    """Write the string again.

    Args:
        alphabet: number of tokens, ``0`` to ``alphabet - 1``.
        unique: whether no token occurs twice, which limits the length to ``alphabet``.

    Examples:
        3 1 4 1 5 -> 3 1 4 1 5
        99 -> 99
        alphabet=2: 0 1 1 0 -> 0 1 1 0
        alphabet=8,unique=true: 7 0 3 -> 7 0 3
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), copy with unique tokens and copy with repeat tokens"

    def __init__(self, *, alphabet: int = 100, unique: bool = False) -> None:
        self.symbols, self.unique = numbers(alphabet), unique
        if unique:
            self.lengths = range(1, alphabet + 1)
            self.program = copy_unique

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw tokens uniformly, each independent or none twice."""
        return draw(len(self.symbols), self.unique, length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """The row itself."""
        return source.clone()
