"""ALiBi: a penalty on the attention scores that grows linearly with distance, at a different slope in each head.

Press et al. 2022, "Train Short, Test Long", section 3. Slopes are the geometric sequence ``2^(-8h/H)``. If the number
of heads is not a power of two, they are the slopes of the next lower power, then every other slope of the next higher.
"""

import math

import torch
from torch import Tensor

from architectures.base import Context
from architectures.parts.positions.base import Encoding


class ALiBi(Encoding):
    """Parameter-free; ``bias = -slope * |query - key|``."""

    in_attention = True
    bias_reads_queries = False

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor:
        """Return the penalties ``[H, Lq, Lk]``."""
        distance = (context.positions[:, None] - keys[None, :]).abs()
        return -slopes(q.shape[1], q.device)[:, None, None] * distance


def slopes(heads: int, device: torch.device | None = None) -> Tensor:
    """Return the slope of every head, float32 ``[H]``."""
    lower = 2 ** math.floor(math.log2(heads))
    first = torch.arange(1.0, lower + 1, device=device)
    between = torch.arange(heads - lower, device=device) + 0.5
    return torch.exp2(torch.cat((first, between)) * (-8 / lower))
