"""Learned positions: a trained vector for each of the first ``reach`` positions, added to the embeddings.

Gehring et al. 2017, "Convolutional Sequence to Sequence Learning", section 3.1; used by BERT and GPT-2.
A position that no training stream reached keeps its initial value, so this encoding cannot extrapolate.
"""

from torch import Tensor, nn

from architectures.parts.positions.base import Encoding


class Learned(Encoding):
    """A table ``[reach, D]``, initialised as GPT-2 does (normal, 0.02)."""

    bounded = True

    def __init__(self, width: int, reach: int) -> None:
        super().__init__(width, reach)
        self.table = nn.Embedding(reach, width)
        nn.init.normal_(self.table.weight, std=0.02)

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """Add the table's rows at ``positions``."""
        return x + self.table(positions)
