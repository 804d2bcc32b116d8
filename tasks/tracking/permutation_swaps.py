"""Permutation swaps: things change places two at a time; say in the end what lies where.

The shell game. Merrill et al. 2024 ("The Illusion of State in State-Space Models") see the composition of permutations
behind chess, code and the entities of a story. Swaps generate all permutations: with five things the state is any
element of S5, though a step moves only two of them.
"""

from itertools import combinations

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within
from tasks.scan import after, prefixes


class PermutationSwaps(Task):
    """Which thing lies at each place after all swaps?

    Thing ``1`` begins at place 1, ``2`` at place 2, and so on; ``1-3`` exchanges what lies at places 1 and 3. Swaps are
    uniform; the length is their number. The answer has one token a place.

    Args:
        things: 2 to 9.

    Examples:
        1-2 2-3 -> 2 3 1 4 5
        1-5 1-5 -> 1 2 3 4 5
        things=3: 1-3 1-2 1-3 -> 1 3 2
    """

    answer = "readout"
    paper = "Merrill et al. 2024 (arXiv 2404.08819), composition of permutations"

    def __init__(self, *, things: int = 5) -> None:
        within("things", things, 2, 9)
        self.things = things
        swaps = list(combinations(range(things), 2))
        self.symbols = (*(str(1 + each) for each in range(things)), *(f"{1 + a}-{1 + b}" for a, b in swaps))
        self.maps = torch.arange(things).repeat(len(swaps), 1)
        for swap, (a, b) in zip(self.maps, swaps, strict=True):
            swap[[a, b]] = swap[[b, a]]

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw swaps uniformly."""
        return self.things + stream.integers(len(self.maps), length)

    def solve(self, source: Tensor) -> Tensor:
        """Compose the swaps backwards: from a place to where its thing came from."""
        maps = self.maps.to(source.device)[source - self.things]  # [B, N, things]
        return prefixes(after, maps.flip(1))[:, -1]
