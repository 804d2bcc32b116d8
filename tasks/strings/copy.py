"""Copy: write a string again, by induction if no symbol repeats, by counting positions otherwise.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"). With unique tokens, the next token is the one that follows
the last token in the source, which is a short RASP-L program. With repeats, the last token occurs at several positions,
and no short program is known.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import copy_unique
from tasks.strings._letters import draw_strings, number_symbols
from tasks.validation import Positive


class Copy(Task):
    """Write the string again.

    Args:
        alphabet: number of tokens, ``0`` to ``alphabet - 1``.
        unique: whether no token occurs twice; this limits the length to ``alphabet``.

    Examples:
        3 1 4 1 5 -> 3 1 4 1 5
        99 -> 99
        alphabet=2: 0 1 1 0 -> 0 1 1 0
        alphabet=8,unique=true: 7 0 3 -> 7 0 3
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), copy with unique tokens and copy with repeat tokens"

    def __init__(self, *, alphabet: Positive = 100, unique: bool = False) -> None:
        self.symbols, self.unique = number_symbols(alphabet), unique
        if unique:
            self.lengths = range(1, alphabet + 1)
            self.program = copy_unique

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw tokens uniformly, either independently or without repeats."""
        return draw_strings(len(self.symbols), self.unique, length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Return a copy of the row."""
        return source.clone()
