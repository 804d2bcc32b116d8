"""T5's relative positions: a learned bias for each head and each bucket of distances.

Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", section 2.1.
Half of the buckets hold one distance each, the other half logarithmically wider ranges up to ``FARTHEST``. All larger
distances share the last bucket. All layers share the biases, as in the paper.

Differs from the paper: T5 does not scale its scores by ``1/sqrt(E)``; here all scores are scaled. Bidirectional models
have 32 buckets for each direction, in the paper 16. The biases start as in the authors' code, with standard deviation
``1/sqrt(D)``.
"""

import math

import torch
from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting

BUCKETS, FARTHEST = 32, 128


class T5(Encoding):
    """A table ``[2 * BUCKETS, H]``: keys before the query in its first half, keys after it in the second."""

    in_attention = True
    bias_reads_queries = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.table = nn.Embedding(2 * BUCKETS, setting.heads)
        nn.init.normal_(self.table.weight, std=setting.width**-0.5)

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor:
        """Return the biases of the distances, ``[H, Lq, Lk]``."""
        distance = context.positions[:, None] - keys[None, :]
        return self.table(bucket(distance.abs()) + BUCKETS * (distance < 0)).permute(2, 0, 1)


def bucket(distance: Tensor) -> Tensor:
    """Return the bucket of each distance, long, from 0 to ``BUCKETS - 1``."""
    exact = BUCKETS // 2
    farther = torch.log(distance.clamp(min=exact) / exact) / math.log(FARTHEST / exact)
    wide = exact + (farther * (BUCKETS - exact)).long()
    return torch.where(distance < exact, distance.long(), wide.clamp(max=BUCKETS - 1))
