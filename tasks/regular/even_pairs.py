"""Even pairs: count the places where neighbours differ, which only the first and the last symbol decide.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), even pairs, a regular task. The number of ``01`` and
``10`` is even exactly when the string ends as it began, so a model may track a parity or look at both ends.
"""

from torch import Tensor

from tasks.base import Stream, Task


class EvenPairs(Task):
    """Is the number of unequal neighbours odd?

    Examples:
        0 1 1 0 -> 0        (01 and 10)
        0 1 0 1 -> 1        (01, 10 and 01)
        1 -> 0
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits."""
        return stream.integers(2, length)

    def solve(self, source: Tensor) -> Tensor:
        """Count the unequal neighbours modulo two."""
        return (source[:, 1:] != source[:, :-1]).sum(1, keepdim=True) % 2
