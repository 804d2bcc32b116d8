"""Sort: write numbers in ascending order; with few symbols, counting each symbol suffices.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy") have strings over five symbols, as bucket sort, a
context-sensitive task: ``alphabet=5`` with the answer as a readout. Zhou et al. 2023 ("What Algorithms can Transformers
Learn?") generate the answer. If no token repeats, the next token is the smallest one in the source that is larger than
the last.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import sort, sort_unique
from tasks.strings._letters import draw_strings, number_symbols
from tasks.validation import Positive


class Sort(Task):
    """Write the numbers in ascending order.

    Args:
        alphabet: number of tokens, ``0`` to ``alphabet - 1``.
        unique: whether no token occurs twice; this limits the length to ``alphabet``.

    Examples:
        31 4 15 92 65 -> 4 15 31 65 92
        7 -> 7
        alphabet=5: 4 0 3 0 1 -> 0 0 1 3 4
        alphabet=8,unique=true: 7 0 3 -> 0 3 7
    """

    answer = "generate"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), bucket sort; Zhou et al. 2023 (arXiv 2310.16028), sort"

    def __init__(self, *, alphabet: Positive = 100, unique: bool = False) -> None:
        self.symbols, self.unique = number_symbols(alphabet), unique
        self.program = sort_unique if unique else sort
        if unique:
            self.lengths = range(1, alphabet + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw tokens uniformly, either independently or without repeats."""
        return draw_strings(len(self.symbols), self.unique, length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Sort the row."""
        return source.sort(dim=1).values
