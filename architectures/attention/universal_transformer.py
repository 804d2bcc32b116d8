"""Universal Transformer: one layer, applied again and again, refines all positions in parallel.

Dehghani et al. 2018, "Universal Transformers", section 2.1; halting is section 2.2, after Graves 2016, "Adaptive
Computation Time for Recurrent Neural Networks", section 2.

Glossary (paper <-> code):
    T            steps                                   <-> depth
    H^t          states after t steps                    <-> x        [B, L, D]
    P^t          signal of position and step             <-> signal
    Transition   feed-forward, the same at all places    <-> layer.feed_forward
    p^t          halting probability of a position       <-> halt
    1 - epsilon  where a position stops                  <-> THRESHOLD

    A^t = LayerNorm(H^{t-1} + P^t + attention(H^{t-1} + P^t))
    H^t = LayerNorm(A^t + Transition(A^t))
    P^t_{i,2j} = sin(i / 10000^{2j/D}) + sin(t / 10000^{2j/D}), with cosines at odd channels

With ``halting`` a position stops at the first step where its probabilities sum to more than ``1 - epsilon``, or at the
last. Its answer is the mean of its states weighted by their probabilities, where the last takes the remainder (Graves).
Once stopped, its state is copied from step to step, for others to look at.

Differs from the papers: the decoder alone, over the stream ``source + prefix``. All positions take all ``depth`` steps
and what comes after a halt is masked out, so halting saves no time: the cost is that of the most steps. The ponder cost
is not added to the loss, so nothing asks for early halts. The bias of ``halt`` starts at 1, as in the authors' code.
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from architectures.attention.transformer import Transformer
from architectures.base import Block, Context, Fraction, Positive, SequenceModel, State
from architectures.parts.attention import KernelName
from architectures.parts.positions import Encoding, Setting
from architectures.parts.positions.sinusoidal import sinusoids
from architectures.shell import Layer

THRESHOLD = 0.99
Update = Callable[[int, Tensor], Tensor]
"""Applies the layer at a step, from 0: states with their signal to states."""


class UniversalTransformer(SequenceModel):
    """``depth`` applications of one causal transformer layer.

    Args:
        symbols: the alphabet; token ids are positions in it.
        width: channels ``D``, a multiple of twice the heads.
        depth: steps ``T``; more steps are no more parameters.
        heads: attention heads.
        dropout: probability, after the embedding and each sub-layer.
        halting: whether each position decides when to stop.
        kernel: as in ``parts/attention.py``; the reference is ``math``.
    """

    steps = True
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
        """Refine the stream ``source + prefix``; return the logits of the prefix, or of the source."""
        x, context = self._begin(source, prefix)
        x = self._refine(x, context.positions, lambda time, x: self.layer(x, context))
        return self.head(x if prefix is None else x[:, context.boundary :])

    def start(self, source: Tensor) -> State:
        """Step through the source; the state is (tokens read, source length, a cache for every step of refinement)."""
        caches = [self.layer.mixer.start(source.shape[0], self.embedding.weight) for _ in range(self.depth)]
        state = (0, source.shape[1], caches)
        for token in source.unbind(1):
            _, state = self.step(token, state)
        return state

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one token ``[B]``: all refinements of its position look at those that earlier ones went through."""
        read, boundary, caches = state
        context = self._context(token[:, None], torch.full((1,), read, device=token.device), boundary)
        after = []

        def update(time: int, x: Tensor) -> Tensor:
            x, cache = self.layer.step(x, caches[time], context)
            after.append(cache)
            return x

        x = self._refine(self.embedding(token), context.positions, update)
        return self.head(x), (read + 1, boundary, after)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the attention weights ``[B, H, L, L]`` of every step over the whole stream."""
        x, context = self._begin(source, prefix)
        seen = {}

        def update(time: int, x: Tensor) -> Tensor:
            weights = self.layer.mixer.weights(x, context)
            if weights is not None:
                seen[f"step {time + 1}"] = weights
            return self.layer(x, context)

        self._refine(x, context.positions, update)
        return seen

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
        """The same, until each position's probabilities are spent; return their mean state."""
        mean, spent = torch.zeros_like(x), torch.zeros_like(x[..., :1])
        running = torch.ones_like(spent, dtype=torch.bool)
        for time in range(self.depth):
            seen = x + self._signal(positions, time, x)
            probability, refined = torch.sigmoid(halt(seen)), update(time, seen)
            stops = (spent + probability > THRESHOLD) | (time == self.depth - 1)
            weight = torch.where(stops, 1 - spent, probability) * running
            mean, spent = mean + weight * refined, spent + weight
            x, running = torch.where(running, refined, x), running & ~stops
        return mean

    def _signal(self, positions: Tensor, time: int, like: Tensor) -> Tensor:
        """``P^t`` at step ``t = time + 1``, ``[L, D]``."""
        now = torch.full((1,), time + 1, device=positions.device)
        return (sinusoids(positions, self.width) + sinusoids(now, self.width)).to(like.dtype)
