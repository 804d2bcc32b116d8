"""Self-attention as a mixer: a sequence looks at itself, with positions, a cache, a window and sharing over layers.

*Window*: a position sees only the last so many (Beltagy et al. 2020, "Longformer", section 3.1; causal as in Jiang et
al. 2023, "Mistral 7B", section 2). Higher layers reach further: after ``n`` of them ``n (window - 1)`` positions back.

*Sharing*: of every ``share`` neighbouring layers only the first computes keys and values, and the others look at the
same ones with queries of their own (Brandon et al. 2024, "Reducing Transformer Key-Value Cache Size with Cross-Layer
Attention"). They pass through ``context.shared``; keys are passed on as turned to their places.

The cache of a step holds exactly what later steps look at: fewer heads, a window or a shared memory make it smaller.
"""

from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from architectures.base import Context, Mixer, State
from architectures.parts.attention import Memory, MultiHead, remember
from architectures.parts.query_blocks import Bias

Count = Annotated[int, Ge(0)]

MEMORY = "attention memory"
"""The name in ``context.shared`` of (keys and values, their places)."""


class SelfAttention(Mixer):
    """Multi-head self-attention; with ``causal = False``, which a subclass may say, in both directions and stepless.

    Args:
        attention: the projections.
        window: how many positions a query sees, its own included; 0 for all. Causal attention alone has one.
        share: neighbouring layers with one memory.
    """

    attends = True
    reference: ClassVar[str] = "math"

    def __init__(self, attention: MultiHead, *, window: int = 0, share: int = 1) -> None:
        super().__init__()
        self.attention, self.heads = attention, attention.heads
        self.window, self.share, self.owns_memory = window, share, True

    def initialize(self, layer: int, depth: int) -> None:
        """Drop the projections to keys and values in a layer that looks at those of an earlier one."""
        self.owns_memory = layer % self.share == 0
        if not self.owns_memory:
            del self.attention.memory

    @property
    def steps(self) -> bool:
        """Only what looks back can be fed one position after another."""
        return self.causal

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Attend from every position of ``[B, L, D]`` to itself and all others it may see."""
        self._share(x, context)
        q, memory, bias = self._look(x, context)
        return self.attention(q, memory, bias=bias, causal=self.causal, window=self.window)

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the attention weights ``[B, H, L, L]``."""
        self._share(x, context)
        q, (keys, _), bias = self._look(x, context)
        return self.attention.weights(q, keys, bias=bias, causal=self.causal, window=self.window)

    def start(self, rows: int, like: Tensor) -> State:
        """An empty cache: (keys and values, their places); nothing where the memory is another layer's."""
        if not self.owns_memory:
            return ()
        return self.attention.blank(rows, like), torch.zeros(0, dtype=torch.long, device=like.device)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add one position to the cache, drop what has left the window, and attend to the rest."""
        x = x[:, None]
        if self.owns_memory:
            past, places = state  # with no window, ``-0`` keeps all of them
            (keys, values), places = remember(past, self._memorize(x, context)), torch.cat((places, context.positions))
            state = (keys[:, :, -self.window :], values[:, :, -self.window :]), places[-self.window :]
            context.shared[MEMORY] = state
        q, memory, bias = self._look(x, context)
        return self.attention(q, memory, bias=bias)[:, 0], state

    def _share(self, x: Tensor, context: Context) -> None:
        """Compute the memory of a whole sequence, in a layer that has one."""
        if self.owns_memory:
            context.shared[MEMORY] = self._memorize(x, context), context.positions

    def _memorize(self, x: Tensor, context: Context) -> Memory:
        keys, values = self.attention.memorize(x)
        return context.encoding.key(keys, context), values

    def _look(self, x: Tensor, context: Context) -> tuple[Tensor, Memory, Bias]:
        """Return queries, the memory they look at, and the bias of its places."""
        memory, places = context.shared[MEMORY]
        q = context.encoding.query(self.attention.queries(x), context)

        def bias(queries: slice, keys: slice) -> Tensor:
            of_these = replace(context, positions=context.positions[queries])
            return context.encoding.bias(q[:, :, queries], places[keys], of_these)

        return q, memory, bias if context.encoding.biases else None
