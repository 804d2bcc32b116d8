"""Selective RoPE: a transformer whose queries and keys turn by angles that the tokens choose.

Movahedi et al. 2025, "Selective Rotary Position Embedding" (arXiv 2511.17388); the angles are in
``parts/selective_angles.py``, with the equations. ``linear/selective_gla.py`` has the same angles in GLA.

Glossary (paper <-> code):
    q, k, v     queries, keys, values                      <-> as in parts/attention.py
    phi_t       angle so far, before its frequency         <-> state of ``angles``   [B, H, 1, E / 2]

The cache of a step has keys that are turned already, the last inputs of the convolution, and the angles so far.

Differs from the authors' code: linear maps have biases, as in ``transformer``, and the frequencies do not learn, which
is an option there.
"""

from typing import ClassVar

import torch
from torch import Tensor

from architectures.base import Block, Context, Positive, State
from architectures.parts.attention import Memory, MultiHead, append_memory, head_width
from architectures.parts.blockwise import Bias
from architectures.parts.positions.rope import turn
from architectures.parts.selective_angles import SelectiveAngles
from architectures.parts.self_attention import MEMORY, SelfAttention

TURN = "turns and state of selective angles"
"""The name in ``context.shared`` of the turns of the positions, and of the state after them."""


class SelectiveRoPE(SelfAttention):
    """Causal attention with selective angles. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of twice the heads.
        heads: attention heads ``H``.
        rank: channels between the two maps to the increments.
        conv: number of positions that the convolution of the increments mixes.
        theta: base of the frequencies; 1 gives all pairs the same, as in the authors' runs on state tracking.
        increment: initial constant part of the increments; 1 starts near RoPE, 0 near attention without positions.
        gated: whether each head scales its increments by a gate.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    position: ClassVar[str] = "none"

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        rank: Positive = 16,
        conv: Positive = 4,
        theta: float = 500000.0,
        increment: float = 1.0,
        gated: bool = False,
    ) -> None:
        channels = head_width(width, heads, multiple=2)
        super().__init__(MultiHead(width, heads))
        sizes = width, heads, channels, rank, conv
        self.angles = SelectiveAngles(*sizes, theta=theta, increment=increment, gated=gated)

    def start(self, rows: int, like: Tensor) -> State:
        """Return an empty cache: keys and values, their position ids, and the state of the angles."""
        return *super().start(rows, like), self.angles.start(rows, like)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Attend as :meth:`forward` does; the cache is the memory with the state of the angles."""
        out = self(x, context)
        return out, (*context.shared[MEMORY], context.shared[TURN][1])

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add one position to the cache and attend to all of it."""
        x = x[:, None]
        past, key_positions, angles = state
        context.shared[TURN] = _, angles = self.angles.step(x, angles)
        memory = append_memory(past, self._memorize(x, context))
        key_positions = torch.cat((key_positions, context.positions))
        context.shared[MEMORY] = memory, key_positions
        q, _, bias = self._attention_inputs(x, context)
        return self.attention(q, memory, bias=bias)[:, 0], (memory, key_positions, angles)

    def _store_memory(self, x: Tensor, context: Context) -> None:
        context.shared[TURN] = self.angles(x)
        super()._store_memory(x, context)

    def _memorize(self, x: Tensor, context: Context) -> Memory:
        keys, values = super()._memorize(x, context)
        return turn(keys, context.shared[TURN][0]), values

    def _attention_inputs(self, x: Tensor, context: Context) -> tuple[Tensor, Memory, Bias]:
        q, memory, bias = super()._attention_inputs(x, context)
        return turn(q, context.shared[TURN][0]), memory, bias
