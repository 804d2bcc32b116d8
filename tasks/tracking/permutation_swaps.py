"""Permutation swaps: swap objects two at a time and report the final arrangement.

Merrill et al. 2024 ("The Illusion of State in State-Space Models") relate chess, code and the entities of a narrative
to the composition of permutations. Swaps generate all permutations: with five objects the state is any element of S5,
although a step moves only two objects.
"""

from itertools import combinations
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream, Task
from tasks.prefix_scan import compose_maps, prefix_products


class PermutationSwaps(Task):
    """Write the object at each position after all swaps.

    Object ``1`` starts at position 1, ``2`` at position 2, and so on; ``1-3`` exchanges the objects at positions 1 and
    3. Swaps are uniform, and the length is their number. The answer has one token per position.

    Args:
        things: number of objects, 2 to 9.

    Examples:
        1-2 2-3 -> 2 3 1 4 5
        1-5 1-5 -> 1 2 3 4 5
        things=3: 1-3 1-2 1-3 -> 1 3 2
    """

    answer = "readout"
    paper = "Merrill et al. 2024 (arXiv 2404.08819), composition of permutations"

    def __init__(self, *, things: Annotated[int, Interval(ge=2, le=9)] = 5) -> None:
        self.things = things
        swaps = list(combinations(range(things), 2))
        self.symbols = (*(str(1 + thing) for thing in range(things)), *(f"{1 + a}-{1 + b}" for a, b in swaps))
        self.maps = torch.arange(things).repeat(len(swaps), 1)
        for swap, (a, b) in zip(self.maps, swaps, strict=True):
            swap[[a, b]] = swap[[b, a]]

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw swaps uniformly."""
        return self.things + stream.integers(len(self.maps), length)

    def solve(self, source: Tensor) -> Tensor:
        """Compose the swaps backwards, which maps each position to the initial position of its object."""
        maps = self.maps.to(source.device)[source - self.things]  # [B, N, things]
        return prefix_products(compose_maps, maps.flip(1))[:, -1]
