"""Even pairs: count adjacent symbols that differ, modulo two; only the first and the last symbol matter.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), even pairs, a regular task. The number of ``01`` and
``10`` is even exactly if the string ends with its first symbol, so a model may track a parity or compare both ends.
"""

from torch import Tensor

from tasks.base import Stream, Task


class EvenPairs(Task):
    """Decide whether the number of unequal adjacent pairs is odd.

    Examples:
        0 1 1 0 -> 0        (01 and 10)
        0 1 0 1 -> 1        (01, 10 and 01)
        1 -> 0
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"
    algorithm_readers = ("first and last token",)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits."""
        return stream.integers(2, length)

    def solve(self, source: Tensor) -> Tensor:
        """Count the unequal adjacent pairs modulo two."""
        return (source[:, 1:] != source[:, :-1]).sum(1, keepdim=True) % 2
