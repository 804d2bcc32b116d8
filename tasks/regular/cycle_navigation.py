"""Cycle navigation: find the end of a walk on a ring, which is the word problem of a cyclic group.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), cycle navigation, a regular task. Moves are written
as in the text of the paper; its code writes 0 for back, 1 for stay and 2 for forward.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import AtLeastTwo


class CycleNavigation(Task):
    """Write the position at which a walk from position 0 ends; ``0`` stays, ``1`` steps forward, ``2`` steps back.

    Args:
        size: number of positions on the ring, 2 or more (the paper has 5).

    Examples:
        0 1 0 2 -> 0
        1 1 1 0 -> 3
        2 2 -> 3
        size=3: 1 1 1 1 -> 1
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, size: AtLeastTwo = 5) -> None:
        self.size = size
        self.symbols = tuple(str(position) for position in range(max(size, 3)))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw moves uniformly."""
        return stream.integers(3, length)

    def solve(self, source: Tensor) -> Tensor:
        """Subtract the steps back from the steps forward, modulo the size."""
        steps = (source == 1).sum(1, keepdim=True) - (source == 2).sum(1, keepdim=True)
        return torch.remainder(steps, self.size)
