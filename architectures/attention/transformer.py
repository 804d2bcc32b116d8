"""Transformer, decoder-only: every token looks at all tokens before it and takes a mean of what they hold.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2; the decoder alone by Liu et al. 2018; pre-norm and GELU
by Radford et al. 2019 (GPT-2); rotary positions by Su et al. 2021. FlashAttention (Dao et al. 2022) is no other
architecture but a faster way to compute this one: ``kernel=flash``.

Glossary (paper <-> code):
    h        number of heads           <-> heads      (H)
    d_model  channels of the stream    <-> width      (D)
    d_k      channels of a head        <-> head_width (E = D / H)
    Q        queries                   <-> q          [B, H, L, E]
    K, V     keys and values           <-> memory     a pair of [B, H, L, E]
    W^Q; W^K, W^V; W^O                 <-> attention.query; attention.memory; attention.out

Differs from the papers: no dropout on the attention weights.
"""

from typing import ClassVar

import torch
from torch import Tensor

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import KernelName, Memory, MultiHead, attention_weights, head_width, remember


class Transformer(Mixer):
    """Causal multi-head self-attention.

    Args:
        width: channels ``D``, a multiple of twice the heads (RoPE turns the channels of a head in pairs).
        heads: attention heads ``H``.
        kernel: ``math`` is the equation, ``flash`` FlashAttention as torch carries it, ``flash_attn`` the package;
            ``auto`` takes flash where it can serve (see ``parts/attention.py``).
    """

    native: ClassVar[Block] = Block(norm="layer", placement="pre", feed_forward="gelu")
    position: ClassVar[str] = "rope"
    attends: ClassVar[bool] = True
    reference: ClassVar[str] = "math"

    def __init__(self, width: int, *, heads: Positive = 4, kernel: KernelName = "auto") -> None:
        super().__init__()
        head_width(width, heads, multiple=2)
        self.heads = heads
        self.attention = MultiHead(width, heads, kernel)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Attend from every position of ``[B, L, D]`` to itself and all before."""
        q, memory, bias = self._look(x, context)
        return self.attention(q, memory, bias=bias, causal=True)

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the attention weights ``[B, H, L, L]``."""
        q, (keys, _), bias = self._look(x, context)
        return attention_weights(q, keys, bias=bias, causal=True)

    def start(self, rows: int, like: Tensor) -> State:
        """An empty cache: (keys and values, their positions)."""
        return self.attention.blank(rows, like), torch.zeros(0, dtype=torch.long, device=like.device)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add one position to the cache and attend from it to all of the cache."""
        past, places = state
        q, new = self._project(x[:, None], context)
        memory, places = remember(past, new), torch.cat((places, context.positions))
        bias = context.encoding.bias(q, places, context)
        return self.attention(q, memory, bias=bias, causal=True)[:, 0], (memory, places)

    def _look(self, x: Tensor, context: Context) -> tuple[Tensor, Memory, Tensor | None]:
        q, memory = self._project(x, context)
        return q, memory, context.encoding.bias(q, context.positions, context)

    def _project(self, x: Tensor, context: Context) -> tuple[Tensor, Memory]:
        """Return queries and memory with queries and keys turned to their places; the cache keeps turned keys."""
        q, (keys, values) = self.attention.queries(x), self.attention.memorize(x)
        return context.encoding.query(q, context), (context.encoding.key(keys, context), values)
