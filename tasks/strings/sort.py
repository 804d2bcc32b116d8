"""Sort: the smallest first, which for few symbols is to count each of them.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy") ask strings over five symbols as bucket sort, a
context-sensitive task: ``alphabet=5``, read out. Zhou et al. 2023 ("What Algorithms can Transformers Learn?") generate
the answer: where no token repeats, the next one is the smallest of the question above the last.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import sort, sort_unique
from tasks.strings._letters import draw, numbers


class Sort(Task):
    """Write the numbers in ascending order.

    Args:
        alphabet: number of tokens, ``0`` to ``alphabet - 1``.
        unique: whether no token occurs twice, which limits the length to ``alphabet``.

    Examples:
        31 4 15 92 65 -> 4 15 31 65 92
        7 -> 7
        alphabet=5: 4 0 3 0 1 -> 0 0 1 3 4
        alphabet=8,unique=true: 7 0 3 -> 0 3 7
    """

    answer = "generate"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), bucket sort; Zhou et al. 2023 (arXiv 2310.16028), sort"

    def __init__(self, *, alphabet: int = 100, unique: bool = False) -> None:
        self.symbols, self.unique = numbers(alphabet), unique
        self.program = sort_unique if unique else sort
        if unique:
            self.lengths = range(1, alphabet + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw tokens uniformly, each independent or none twice."""
        return draw(len(self.symbols), self.unique, length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Sort the row."""
        return source.sort(dim=1).values
