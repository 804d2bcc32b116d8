"""Learned positions: a trained vector for each of the first ``reach`` positions, added to the embeddings.

Gehring et al. 2017, "Convolutional Sequence to Sequence Learning", section 3.1; used by BERT and GPT-2.
A position beyond the longest training stream keeps its initial value, so this encoding cannot extrapolate.
"""

from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting


class Learned(Encoding):
    """A table ``[reach, D]``, initialised as in GPT-2 (normal, 0.02)."""

    bounded = True
    interpolates = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.table = nn.Embedding(setting.reach, setting.width)
        nn.init.normal_(self.table.weight, std=0.02)

    def embed(self, x: Tensor, context: Context) -> Tensor:
        """Add the table's rows at the positions."""
        return x + self.table(context.positions)
