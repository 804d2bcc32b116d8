"""Looped transformer: the same layers are applied again and again, and read the input again each time.

Fan et al. 2024, "Looped Transformers for Length Generalization", sections 3 and 4: the number of loops is a function of
the length of the source, so that a longer question gets more computation. Saunshi et al. 2025, "Reasoning with Latent
Thoughts: On the Power of Looped Transformers", section 2: a fixed number of loops and no second reading of the input.

Glossary (papers <-> code):
    M          the looped layers (Fan et al.: one block)       <-> layers, ``depth`` of them
    T(n)       loops for a source of n tokens                  <-> loop_count(n) = loops + ceil(loops_per_token * n)
    x          embedded input, with input injection            <-> inputs     [B, L, D]
    h_r        states after r loops                            <-> states     [B, L, D]

    h_0 = 0        h_{r+1} = M(h_r + x)        logits from h_T

With ``injection=false`` the input enters before the first loop only. Without loops per token this is then a transformer
of ``depth * loops`` layers whose weights repeat.

Fan et al. train with the number of steps that an algorithm needs: n for parity and copying, n + 1 for the sum of
numbers of n digits. Here the number of source tokens takes the place of n, which is known at test time too. They do not
say whether the input is added before or after the layers; here it is added before. As theirs, the model has no position
encoding. With loops per token, the label of a source position depends on the length of the whole source, so the model
is not online.

The time of a forward pass grows with ``T(n)``, and so does the cache of a step: each loop has its own keys and values.
"""

import math
from collections.abc import Callable, Iterator
from typing import Annotated, cast

import torch
from annotated_types import Ge
from torch import Tensor

from architectures.attention.transformer import Transformer
from architectures.base import Context, Fraction, Positive, State
from architectures.language_model import LanguageModel, Layer
from architectures.parts.self_attention import Count

Rate = Annotated[float, Ge(0.0)]


class Looped(LanguageModel):
    """A causal transformer that repeats its layers, as often as the length of the source demands.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D``, a multiple of twice the heads.
        depth: layers that are repeated; the number of parameters depends on it, and not on the loops.
        loops: loops for an empty source.
        loops_per_token: further loops for each source token, rounded up. There is always one loop.
        injection: whether the embedded input is added before each loop, or only before the first.
        heads: attention heads.
        dropout: probability, after the embedding and each sub-layer.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        depth: Positive = 1,
        loops: Count = 0,
        loops_per_token: Rate = 1.0,
        injection: bool = True,
        heads: Positive = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        options = {"heads": heads}
        super().__init__(symbols, Transformer, options, width=width, depth=depth, dropout=dropout, position="none")
        self.loops, self.loops_per_token, self.injection = loops, loops_per_token, injection
        self.online = not loops_per_token

    def loop_count(self, length: int) -> int:
        """Return the number of loops for a source of ``length`` tokens."""
        return max(1, self.loops + math.ceil(self.loops_per_token * length))

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Run the stream ``source + prefix``; return logits for the prefix, or for the source if there is none."""
        x, context = self.begin(source, prefix)
        x = self._repeat(x, context, lambda layer, x: layer(x, context))
        return self.head(self.norm(x if prefix is None else x[:, context.boundary :]))

    def start(self, source: Tensor) -> State:
        """Read the source; the state is (tokens read, source length, a cache for each layer of each loop)."""
        (rows, length), caches = source.shape, []
        x, context = self._embed(source, length, draw=False)

        def apply(layer: Layer, x: Tensor) -> Tensor:
            inner, cache = layer.prefill(x, context) if length else (x, layer.mixer.start(rows, x))
            caches.append(cache)
            return inner

        self._repeat(x, context, apply)
        return length, length, caches

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one token ``[B]``; each loop attends to what the same loop has cached at earlier positions."""
        time, boundary, caches = state
        context = self._context(token[:, None], torch.full((1,), time, device=token.device), boundary)
        past: Iterator[State] = iter(caches)
        new_caches = []

        def apply(layer: Layer, x: Tensor) -> Tensor:
            x, cache = layer.step(x, next(past), context)
            new_caches.append(cache)
            return x

        x = self._repeat(self.embedding(token), context, apply)
        return self.head(self.norm(x)), (time + 1, boundary, new_caches)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the attention weights ``[B, H, L, L]`` of each layer in each loop over the whole stream."""
        x, context = self.begin(source, prefix)
        shown: list[Tensor | None] = []

        def apply(layer: Layer, x: Tensor) -> Tensor:
            shown.append(layer.mixer.weights(layer.mixing.prepare(x), context))
            return layer(x, context)

        self._repeat(x, context, apply)
        depth = len(self.layers)
        return {f"loop {i // depth + 1}, layer {i % depth + 1}": w for i, w in enumerate(shown) if w is not None}

    def _repeat(self, inputs: Tensor, context: Context, apply: Callable[[Layer, Tensor], Tensor]) -> Tensor:
        """Apply all layers ``T(n)`` times to inputs ``[B, (L,) D]``."""
        states = inputs
        for loop in range(self.loop_count(context.boundary)):
            states = states + inputs if loop and self.injection else states
            for layer in self.layers:
                states = apply(cast(Layer, layer), states)
        return states
