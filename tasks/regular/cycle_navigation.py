"""Cycle navigation: walk on a ring and say where you are, the word problem of a cyclic group.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), cycle navigation, a regular task. Moves are written
as in the paper's text; its code writes them 0 for back, 1 for stay, 2 for forward.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within


class CycleNavigation(Task):
    """Where does the walk from place 0 end? ``0`` stays, ``1`` steps forward, ``2`` steps back.

    Args:
        size: number of places on the ring, 2 or more (the paper has 5).

    Examples:
        0 1 0 2 -> 0
        1 1 1 0 -> 3
        2 2 -> 3
        size=3: 1 1 1 1 -> 1
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, size: int = 5) -> None:
        within("size", size, 2)
        self.size = size
        self.symbols = tuple(str(place) for place in range(max(size, 3)))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw moves uniformly."""
        return stream.integers(3, length)

    def solve(self, source: Tensor) -> Tensor:
        """Steps forward less steps back, around the ring."""
        steps = (source == 1).sum(1, keepdim=True) - (source == 2).sum(1, keepdim=True)
        return torch.remainder(steps, self.size)
