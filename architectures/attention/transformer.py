"""Transformer, decoder-only: every token attends to itself and all tokens before it.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2; decoder-only by Liu et al. 2018; pre-norm and GELU by
Radford et al. 2019 (GPT-2); rotary positions by Su et al. 2021. FlashAttention (Dao et al. 2022) is not another
architecture but a faster way to compute this one: ``kernel=flash``.

Glossary (paper <-> code):
    h        number of heads           <-> heads      (H)
    d_model  channels of the stream    <-> width      (D)
    d_k      channels of a head        <-> head_width (E = D / H)
    Q        queries                   <-> q          [B, H, L, E]
    K, V     keys and values           <-> memory     a pair of [B, G, L, E]
    W^Q; W^K, W^V; W^O                 <-> attention.query; attention.memory; attention.out
    G        groups (Ainslie et al. 2023)              <-> kv_heads
    CLA-n    sharing factor (Brandon et al. 2024)      <-> share
    W        window (Jiang et al. 2023)                <-> window

The cache of a step has ``2 G E`` numbers for each of the last ``window`` tokens, in every ``share``-th layer.

Differs from the papers: no dropout on the attention weights.
"""

from typing import ClassVar

from architectures.base import Block, Positive
from architectures.parts.attention import KernelName, MultiHead, head_width
from architectures.parts.scores import ScoreName
from architectures.parts.self_attention import Count, SelfAttention


class Transformer(SelfAttention):
    """Causal multi-head self-attention.

    Args:
        width: channels ``D``, a multiple of twice the heads (RoPE rotates the channels of a head in pairs).
        heads: attention heads ``H``.
        kv_heads: heads of keys and values, a divisor of ``heads``: 1 is multi-query attention, more but fewer than
            ``heads`` grouped-query attention; 0 means ``heads``.
        share: in each group of ``share`` consecutive layers only the first computes keys and values (cross-layer
            attention).
        score: the function that compares a query and a key (``parts/scores.py``).
        window: how many positions a query sees, its own included; 0 for all.
        kernel: ``math`` is the equation, ``flash`` FlashAttention of torch, ``flash_attn`` the package, ``flex``
            FlexAttention; ``auto`` takes flash if it supports the arguments (see ``parts/attention.py``).
    """

    native: ClassVar[Block] = Block(norm="layer", placement="pre", feed_forward="gelu")
    position: ClassVar[str] = "rope"

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        kv_heads: Count = 0,
        share: Positive = 1,
        score: ScoreName = "dot",
        window: Count = 0,
        kernel: KernelName = "auto",
    ) -> None:
        head_width(width, heads, multiple=2)
        super().__init__(MultiHead(width, heads, kernel, kv_heads=kv_heads, score=score), window=window, share=share)
