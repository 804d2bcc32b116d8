"""Self-attention as a mixer, with position encodings, a cache, a window and keys and values shared over layers.

*Window*: a position sees itself and the ``window - 1`` positions before it (Beltagy et al. 2020, "Longformer", section
3.1; causal as in Jiang et al. 2023, "Mistral 7B", section 2). ``n`` layers together see ``n (window - 1)`` positions
back.

*Sharing*: in every group of ``share`` consecutive layers only the first computes keys and values. The others attend to
the same keys and values with their own queries (Brandon et al. 2024, "Reducing Transformer Key-Value Cache Size with
Cross-Layer Attention"). They are passed in ``context.shared``; keys already include the position encoding.

The cache of a step holds exactly what later steps read. Fewer heads, a window or shared keys and values make it
smaller.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from architectures.base import Context, Mixer, State
from architectures.parts.attention import Memory, MultiHead, append_memory
from architectures.parts.blockwise import Bias, fits_one_block

Count = Annotated[int, Ge(0)]

MEMORY = "attention memory"
"""The name in ``context.shared`` of (keys and values, their position ids)."""


class SelfAttention(Mixer):
    """Multi-head self-attention; a subclass with ``causal = False`` attends in both directions and has no ``step``.

    Args:
        attention: the projections.
        window: how many positions a query sees, its own included; 0 for all. Only causal attention has a window.
        share: number of consecutive layers that share one memory.
    """

    attends = True
    reference: ClassVar[str] = "math"

    def __init__(self, attention: MultiHead, *, window: int = 0, share: int = 1) -> None:
        super().__init__()
        self.attention, self.heads = attention, attention.heads
        self.window, self.share, self.owns_memory = window, share, True

    def initialize(self, layer: int, depth: int) -> None:
        """Delete the projections to keys and values in a layer that reads those of an earlier layer."""
        self.owns_memory = layer % self.share == 0
        if not self.owns_memory:
            del self.attention.memory

    @property
    def can_step(self) -> bool:
        """Whether the layer can be fed one position at a time, which requires causal attention."""
        return self.causal

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Attend from every position of ``[B, L, D]`` to the positions that it sees."""
        self._store_memory(x, context)
        q, memory, bias = self._attention_inputs(x, context)
        return self.attention(q, memory, bias=bias, causal=self.causal, window=self.window)

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the attention weights ``[B, H, L, L]``."""
        self._store_memory(x, context)
        q, (keys, _), bias = self._attention_inputs(x, context)
        return self.attention.weights(q, keys, bias=bias, causal=self.causal, window=self.window)

    def start(self, rows: int, like: Tensor) -> State:
        """Return an empty cache: (keys and values, their position ids), or ``()`` if another layer has the memory."""
        if not self.owns_memory:
            return ()
        return self.attention.empty_memory(rows, like), torch.zeros(0, dtype=torch.long, device=like.device)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Attend as :meth:`forward` does; the cache is what later steps read of the memory."""
        out = self(x, context)
        return out, self._within_window(*context.shared[MEMORY]) if self.owns_memory else ()

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add one position to the cache, drop the positions outside the window, and attend to the rest."""
        x = x[:, None]
        if self.owns_memory:
            past, key_positions = state
            keys, values = append_memory(past, self._memorize(x, context))
            key_positions = torch.cat((key_positions, context.positions))
            state = context.shared[MEMORY] = self._within_window((keys, values), key_positions)
        q, memory, bias = self._attention_inputs(x, context)
        return self.attention(q, memory, bias=bias)[:, 0], state

    def _within_window(self, memory: Memory, key_positions: Tensor) -> tuple[Memory, Tensor]:
        """Drop the positions outside the window; without a window, the slice ``-0:`` keeps all positions."""
        keys, values = memory
        return (keys[:, :, -self.window :], values[:, :, -self.window :]), key_positions[-self.window :]

    def _store_memory(self, x: Tensor, context: Context) -> None:
        """Compute keys and values of the whole sequence, in a layer that has the projections for them."""
        if self.owns_memory:
            context.shared[MEMORY] = self._memorize(x, context), context.positions

    def _memorize(self, x: Tensor, context: Context) -> Memory:
        keys, values = self.attention.memorize(x)
        return context.encoding.key(keys, context), values

    def _attention_inputs(self, x: Tensor, context: Context) -> tuple[Tensor, Memory, Bias]:
        """Return queries, the memory they attend to, and the position bias."""
        memory, key_positions = context.shared[MEMORY]
        q = context.encoding.query(self.attention.queries(x), context)

        def bias(queries: slice, keys: slice) -> Tensor:
            block_context = replace(context, positions=context.positions[queries])
            return context.encoding.bias(q[:, :, queries], key_positions[keys], block_context)

        if not context.encoding.biases:
            return q, memory, None
        if context.encoding.bias_reads_queries or not fits_one_block(len(context.positions), len(key_positions)):
            return q, memory, bias
        return q, memory, _shared_bias(bias, q.shape[1], key_positions, context)


def _shared_bias(bias: Callable[[slice, slice], Tensor], heads: int, key_positions: Tensor, context: Context) -> Tensor:
    """Return the bias of all pairs; the first layer of a forward pass computes it for all layers."""
    name = f"attention bias of {heads} heads"
    queries, keys, whole = context.shared.get(name, (None, None, None))
    if whole is None or queries is not context.positions or keys is not key_positions:
        whole = bias(slice(None), slice(None))
        context.shared[name] = context.positions, key_positions, whole
    return whole
