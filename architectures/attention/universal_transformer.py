"""Universal Transformer: one layer is applied repeatedly and refines all positions in parallel.

Dehghani et al. 2018, "Universal Transformers", section 2.1; halting is section 2.2, after Graves 2016, "Adaptive
Computation Time for Recurrent Neural Networks", section 2.

Glossary (paper <-> code):
    T            steps                                   <-> depth
    H^t          states after t steps                    <-> x        [B, L, D]
    P^t          signal of position and step             <-> signal
    Transition   feed-forward at every position          <-> layer.feed_forward
    p^t          halting probability of a position       <-> halt
    1 - epsilon  sum at which a position stops           <-> THRESHOLD

    A^t = LayerNorm(H^{t-1} + P^t + attention(H^{t-1} + P^t))
    H^t = LayerNorm(A^t + Transition(A^t))
    P^t_{i,2j} = sin(i / 10000^{2j/D}) + sin(t / 10000^{2j/D}), with cosines at odd channels

With ``halting`` a position stops at the first step at which its probabilities sum to more than ``1 - epsilon``, or at
the last step. Its output is the mean of its states weighted by their probabilities; the last state takes the remainder
(Graves). After the stop its state is copied from step to step, so that other positions can attend to it.

Differs from the papers: decoder-only, over the stream ``source + prefix``. All positions take all ``depth`` steps, and
steps after a halt are masked out, so halting saves no time. The ponder cost is not added to the loss, so training does
not encourage early halts. The bias of ``halt`` starts at 1, as in the authors' code.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from architectures.attention.transformer import Transformer
from architectures.base import Block, Context, Fraction, Positive, SequenceModel, State
from architectures.language_model import Layer
from architectures.parts.attention import KernelName
from architectures.parts.positions import Encoding, Setting
from architectures.parts.positions.sinusoidal import sinusoids

THRESHOLD = 0.99
Update = Callable[[int, Tensor], Tensor]
"""Applies the layer at a step, counted from 0: maps states plus their signal to new states."""


class UniversalTransformer(SequenceModel):
    """``depth`` applications of one causal transformer layer.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D``, a multiple of twice the heads.
        depth: steps ``T``; the number of parameters does not depend on it.
        heads: attention heads.
        dropout: probability, after the embedding and each sub-layer.
        halting: whether each position decides when to stop.
        kernel: as in ``parts/attention.py``; the reference is ``math``.
    """

    can_step = True
    reference: ClassVar[str] = "math"

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        depth: Positive = 4,
        heads: Positive = 4,
        dropout: Fraction = 0.0,
        halting: bool = False,
        kernel: KernelName = "auto",
    ) -> None:
        super().__init__(symbols)
        self.width, self.depth = width, depth
        self.embedding = nn.Embedding(len(symbols), width)
        self.dropout = nn.Dropout(dropout)
        block = Block(placement="post", feed_forward="relu")
        self.layer = Layer(Transformer(width, heads=heads, kernel=kernel), width, block, dropout)
        self.unturned = Encoding(Setting(width, heads))
        self.halt = nn.Linear(width, 1) if halting else None
        if self.halt is not None:
            nn.init.ones_(self.halt.bias)
        self.head = nn.Linear(width, len(symbols))

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Refine the stream ``source + prefix``; return logits for the prefix, or for the source if there is none."""
        x, context = self._begin(source, prefix)
        x = self._refine(x, context.positions, lambda time, x: self.layer(x, context))
        return self.head(x if prefix is None else x[:, context.boundary :])

    def start(self, source: Tensor) -> State:
        """Read the source; the state is (tokens read, source length, a cache for each refinement step)."""
        length = source.shape[1]
        context, caches = self._context(source, torch.arange(length, device=source.device), length), []

        def update(time: int, x: Tensor) -> Tensor:
            x, cache = self.layer.prefill(x, context)
            caches.append(cache)
            return x

        self._refine(self.embedding(source), context.positions, update)
        return length, length, caches

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one token ``[B]``; each refinement step attends to the cache of the same step at earlier positions."""
        read, boundary, caches = state
        context = self._context(token[:, None], torch.full((1,), read, device=token.device), boundary)
        new_caches = []

        def update(time: int, x: Tensor) -> Tensor:
            x, cache = self.layer.step(x, caches[time], context)
            new_caches.append(cache)
            return x

        x = self._refine(self.embedding(token), context.positions, update)
        return self.head(x), (read + 1, boundary, new_caches)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the attention weights ``[B, H, L, L]`` of every step over the whole stream."""
        x, context = self._begin(source, prefix)
        by_step = {}

        def update(time: int, x: Tensor) -> Tensor:
            weights = self.layer.mixer.weights(x, context)
            if weights is not None:
                by_step[f"step {time + 1}"] = weights
            return self.layer(x, context)

        self._refine(x, context.positions, update)
        return by_step

    def _begin(self, source: Tensor, prefix: Tensor | None) -> tuple[Tensor, Context]:
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        context = self._context(tokens, torch.arange(tokens.shape[1], device=tokens.device), source.shape[1])
        return self.dropout(self.embedding(tokens)), context

    def _context(self, tokens: Tensor, positions: Tensor, boundary: int) -> Context:
        return Context(tokens, positions, boundary, self.unturned, training=self.training)

    def _refine(self, x: Tensor, positions: Tensor, update: Update) -> Tensor:
        """Apply the layer to ``[B, (L,) D]`` ``depth`` times."""
        if self.halt is not None:
            return self._ponder(x, positions, update, self.halt)
        for time in range(self.depth):
            x = update(time, x + self._signal(positions, time, x))
        return x

    def _ponder(self, x: Tensor, positions: Tensor, update: Update, halt: nn.Module) -> Tensor:
        """Apply the layer until each position halts; return the mean of its states, weighted by halting probability."""
        mean, total = torch.zeros_like(x), torch.zeros_like(x[..., :1])
        running = torch.ones_like(total, dtype=torch.bool)
        for time in range(self.depth):
            inputs = x + self._signal(positions, time, x)
            probability, refined = torch.sigmoid(halt(inputs)), update(time, inputs)
            stops = (total + probability > THRESHOLD) | (time == self.depth - 1)
            weight = torch.where(stops, 1 - total, probability) * running
            mean, total = mean + weight * refined, total + weight
            x, running = torch.where(running, refined, x), running & ~stops
        return mean

    def _signal(self, positions: Tensor, time: int, like: Tensor) -> Tensor:
        """Return ``P^t`` ``[L, D]`` for step ``t = time + 1``."""
        step = torch.full((1,), time + 1, device=positions.device)
        return (sinusoids(positions, self.width) + sinusoids(step, self.width)).to(like.dtype)
