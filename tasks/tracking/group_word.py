"""Word problems: multiply the elements of a finite group, the basic form of state tracking.

Merrill et al. 2024 ("The Illusion of State in State-Space Models"): Z60 is commutative, A4xZ5 is solvable but not
commutative, and A5 is not solvable. All three have 60 elements, but the word problem of the last is complete for NC1.
Transformers and linear state-space models of constant depth are within TC0, which is conjectured to be smaller.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.prefix_scan import prefix_products
from tasks.tracking._groups import group_named


class GroupWord(Task):
    """Write at each position the product of the elements so far.

    Permutations are written in one-line notation and applied from left to right: ``213 132`` first exchanges 1 and 2,
    then 2 and 3, which maps 1 to 3.

    Args:
        group: ``s3``, ``s5``, ``a5``, ``z60``, or a direct product such as ``a4xz5``; at most 720 elements.
        generators: the elements that words consist of, drawn uniformly: ``all``, or the ``transpositions`` of a
            symmetric group, which simplify the steps but not the states (Grazzi et al. 2024, swaps only).

    Examples:
        group=s3: 213 132 -> 213 312
        group=s3: 231 231 231 -> 231 312 123
        group=z60: 30 20 15 -> 30 50 5
        group=a4xz5: 2143,3 2143,4 -> 2143,3 1234,2
        group=s4,generators=transpositions: 2134 1243 2134 -> 2134 2143 1243
    """

    answer = "tag"
    paper = "Merrill et al. 2024 (arXiv 2404.08819), word problems"

    def __init__(self, *, group: str = "s5", generators: Literal["all", "transpositions"] = "all") -> None:
        elements = group_named(group)
        if generators == "transpositions" and not elements.swaps:
            raise ValueError(
                f"generators=transpositions: group must be s2 to s6, not {group}; use generators=all or another group"
            )
        self.symbols, self.table = elements.names, elements.table
        self.steps = torch.tensor(range(len(elements.names)) if generators == "all" else elements.swaps)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw generators uniformly."""
        return self.steps.to(stream.device)[stream.integers(len(self.steps), length)]

    def solve(self, source: Tensor) -> Tensor:
        """Look up the products in the multiplication table."""
        order, table = len(self.symbols), self.table.to(source.device).flatten()
        return prefix_products(lambda earlier, later: table[earlier * order + later], source)
