"""Differential transformer: each head subtracts one attention map from another, which cancels what both have in common.

Ye et al. 2024, "Differential Transformer", sections 2.1 and 2.2.

Glossary (paper <-> code):
    h            heads                                      <-> pairs      (H)
    d            channels of a query or key                 <-> E = D / (2 H)
    Q_1, Q_2     two queries of a head; also K_1, K_2       <-> heads 2 i and 2 i + 1 of q, k   [B, 2 H, L, E]
    V            values                                     <-> v          [B, H, L, 2 E]
    lambda       weight of the second map                   <-> second_weight()
    lambda_init  its constant part, by the layer l          <-> first
    lambda_q1..  the vectors of its learned part            <-> lambda_q, lambda_k   [2, E]

    o = RMSNorm((softmax(Q_1 K_1^T / sqrt(d)) - lambda softmax(Q_2 K_2^T / sqrt(d))) V) (1 - lambda_init)
    lambda = exp(lambda_q1 . lambda_k1) - exp(lambda_q2 . lambda_k2) + lambda_init
    lambda_init = 0.8 - 0.6 exp(-0.3 (l - 1)),  l = 1, 2, ...

All heads of a layer share ``lambda``. The norm is applied to each head; the factor ``1 - lambda_init`` keeps the
gradients of the size that a plain transformer has.

Differs from the paper: the linear maps have biases, as in ``transformer``.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from architectures.base import Block, Positive
from architectures.parts.attention import Memory, MultiHead, attend, head_width, merge_heads, split_heads
from architectures.parts.blockwise import Bias
from architectures.parts.self_attention import SelfAttention


class Differential(SelfAttention):
    """Causal differential attention. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of four times the heads (RoPE rotates pairs of the ``E`` channels).
        heads: differential heads ``H``, each of two attention maps.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    position: ClassVar[str] = "rope"
    attention: "PairedHeads"

    def __init__(self, width: int, *, heads: Positive = 2) -> None:
        head_width(width, heads, multiple=4)
        super().__init__(PairedHeads(width, heads))

    def initialize(self, layer: int, depth: int) -> None:
        """Set ``lambda_init`` of this layer."""
        super().initialize(layer, depth)
        self.attention.first = 0.8 - 0.6 * math.exp(-0.3 * layer)


class PairedHeads(MultiHead):
    """Multi-head attention with two maps for each of the ``pairs`` heads of values.

    ``first`` is ``lambda_init``, 0.2 in the first layer.
    """

    def __init__(self, width: int, pairs: int) -> None:
        super().__init__(width, 2 * pairs, "math")
        self.pairs, self.first = pairs, 0.2
        self.lambda_q, self.lambda_k = (nn.Parameter(0.1 * torch.randn(2, self.head_width)) for _ in range(2))
        self.norm = nn.RMSNorm(2 * self.head_width, eps=1e-5)

    def memorize(self, x: Tensor) -> Memory:
        """Project ``[B, L, D]`` to keys ``[B, 2 H, L, E]`` and values ``[B, H, L, 2 E]``."""
        keys, values = self.memory(x).chunk(2, dim=-1)
        return split_heads(keys, self.heads), split_heads(values, self.pairs)

    def empty_memory(self, rows: int, like: Tensor) -> Memory:
        """Return a memory of length 0, for the start of stepping."""
        keys, _ = super().empty_memory(rows, like)
        return keys, like.new_zeros(rows, self.pairs, 0, 2 * self.head_width)

    def forward(self, q: Tensor, memory: Memory, *, bias: Bias = None, causal: bool = False, window: int = 0) -> Tensor:
        """Attend from the queries ``[B, 2 H, Lq, E]`` to a memory and join the heads: ``[B, Lq, D]``."""
        means = attend(q, *memory, bias=bias, causal=causal, window=window, kernel="math")  # [B, 2 H, Lq, 2 E]
        first, second = means.unflatten(1, (self.pairs, 2)).unbind(2)
        difference = self.norm(first - self.second_weight() * second)
        return self.out(merge_heads((1 - self.first) * difference))

    def second_weight(self) -> Tensor:
        """Return ``lambda``, a scalar."""
        learned = (self.lambda_q * self.lambda_k).sum(-1).exp()
        return learned[0] - learned[1] + self.first
