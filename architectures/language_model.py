"""The language model: turns any mixer into a complete model.

Every mixer gets the same embedding and head over one stream ``source + prefix``. The norms, residuals and feed-forward
around a mixer are its *block*: the one of its paper (``block="native"``), or the same block for all mixers
(``block="shared"``). With the shared block, a difference between two rows of a table is a difference between two
mixers.

Positions have two parts. *Position ids* number the tokens (``parts/position_ids.py``, option ``places``). A position
*encoding* turns these numbers into vectors or attention biases (``parts/positions``, option ``position``).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from architectures.base import SHARED_BLOCK, Block, Context, Fraction, Lookup, Mixer, Positive, SequenceModel, State
from architectures.parts.feedforward import FeedForward
from architectures.parts.position_ids import POSITION_IDS, REACH, PositionIdsName, interpolates, needs_reach, scale
from architectures.parts.positions import PositionName, Setting, make_encoding
from architectures.parts.positions.base import Encoding

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "none": lambda width: nn.Identity(),
}


class SubLayer(nn.Module):
    """Norm, an inner function, dropout and residual, in the order of the block."""

    def __init__(self, width: int, block: Block, dropout: float) -> None:
        super().__init__()
        self.norm = NORMS[block.norm](width)
        self.dropout = nn.Dropout(dropout)
        self.pre, self.residual = block.placement == "pre", block.residual

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input of the inner function."""
        return self.norm(x) if self.pre else x

    def add_residual(self, x: Tensor, inner: Tensor) -> Tensor:
        """Add the inner function's output to the residual stream."""
        out = x + self.dropout(inner) if self.residual else self.dropout(inner)
        return out if self.pre else self.norm(out)


class Layer(nn.Module):
    """A mixer in its block: a sub-layer for the mixer and, if the block has one, a second for the feed-forward."""

    def __init__(self, mixer: Mixer, width: int, block: Block, dropout: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.mixing = SubLayer(width, block, dropout)
        self.feeding: SubLayer | None = None
        if block.feed_forward is not None:
            self.feeding = SubLayer(width, block, dropout)
            self.feed_forward = FeedForward(width, block.feed_forward, block.expand)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        x = self.mixing.add_residual(x, self.mixer(self.mixing.prepare(x), context))
        return self.feed(x)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Map a prompt ``[B, L, D]`` to ``[B, L, D]``, and return the mixer's state after it."""
        inner, state = self.mixer.prefill(self.mixing.prepare(x), context)
        return self.feed(self.mixing.add_residual(x, inner)), state

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Map one position ``[B, D]`` to ``[B, D]``."""
        inner, state = self.mixer.step(self.mixing.prepare(x), state, context)
        return self.feed(self.mixing.add_residual(x, inner)), state

    def feed(self, x: Tensor) -> Tensor:
        """Apply the feed-forward sub-layer, if there is one."""
        if self.feeding is None:
            return x
        return self.feeding.add_residual(x, self.feed_forward(self.feeding.prepare(x)))


class LanguageModel(SequenceModel):
    """``depth`` layers of one mixer between an embedding and a linear head.

    Args:
        symbols: the alphabet; token ids are indices into it.
        mixer: the mixer's class; ``options`` are its keyword arguments.
        width: channels ``D`` of the stream.
        depth: number of layers.
        dropout: probability, after the embedding and each sub-layer.
        block: ``native`` is the block of the mixer's paper, ``shared`` the same pre-norm block for every mixer.
        position: the position encoding; ``native`` is the one of the mixer's paper.
        places: how position ids are assigned (``parts/position_ids.py``). ``identity``: the token's index. ``offset``:
            the index plus a random offset in training. ``randomized``: a sorted random subset of ``range(reach)``.
            ``linear``, ``ntk``: positions of sources longer than ``reach`` are interpolated.
        reach: the number of position ids for ``learned``, ``abacus``, ``offset`` and ``randomized``, 2048 by default;
            for ``linear`` and ``ntk``, which require it, the longest source in training.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        mixer: type[Mixer],
        options: dict[str, Any] | None = None,
        *,
        width: Positive = 64,
        depth: Positive = 2,
        dropout: Fraction = 0.0,
        block: Literal["native", "shared"] = "native",
        position: PositionName = "native",
        places: PositionIdsName = "identity",
        reach: Positive | None = None,
    ) -> None:
        super().__init__(symbols)
        if interpolates(places) and reach is None:
            raise ValueError(f"places={places} needs reach, the longest source in training, for example reach=20")
        reach = reach or REACH
        chosen_block = mixer.native if block == "native" else SHARED_BLOCK
        defaults = mixer.beside_feed_forward if chosen_block.feed_forward else {}
        name = mixer.position if position == "native" else position
        self.position_ids, self.position_scheme, self.position_range = POSITION_IDS[places], places, reach
        self.embedding = nn.Embedding(len(symbols), width)
        self.dropout = nn.Dropout(dropout)
        mixers = [mixer(width, **{**defaults, **(options or {})}) for _ in range(depth)]
        self.layers = nn.ModuleList(Layer(m, width, chosen_block, dropout) for m in mixers)
        for index, layer_mixer in enumerate(mixers):
            layer_mixer.initialize(index, depth)
        setting = Setting(width, mixers[0].heads, reach, symbols)
        attends = any(m.attends for m in mixers)
        places_read = any(m.reads_positions for m in mixers)
        self.encoding = make_encoding(name, places, setting, attends=attends, places_read=places_read)
        self.causal = all(m.causal for m in mixers)
        # Not online if the position ids depend on the length of the source, and so on tokens that come later.
        self.online = self.causal and not (interpolates(places) or needs_reach(places))
        self.can_step = all(m.can_step for m in mixers) and self.encoding.can_step and places != "randomized"
        self.reach = reach if self.encoding.bounded or needs_reach(places) else None
        self.norm = NORMS[chosen_block.final_norm or chosen_block.norm](width)
        self.head = nn.Linear(width, len(symbols))

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Run the stream ``source + prefix``; return logits for the prefix, or for the source if there is none."""
        x, context = self.begin(source, prefix)
        for index, layer in enumerate(self.layers):
            x = layer(x, context if index else self._with_lookup(context))
        return self.head(self.norm(x if prefix is None else x[:, context.boundary :]))

    def _with_lookup(self, context: Context) -> Context:
        """Add the first mixer's input as a lookup, where it depends only on the token and the mixer reads lookups."""
        mixer, dropout = self.layers[0].mixer, self.dropout
        changed = type(self.encoding).embed is not Encoding.embed or (dropout.p and dropout.training)
        if changed or not mixer.reads_lookup:  # type: ignore[union-attr]
            return context
        table = self.layers[0].mixing.prepare(self.embedding.weight)  # type: ignore[union-attr, operator]
        return replace(context, lookup=Lookup(context.tokens, table))

    def begin(self, source: Tensor, prefix: Tensor | None) -> tuple[Tensor, Context]:
        """Embed the stream ``[B, L]`` and build the context that all layers share."""
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        x, context = self._embed(tokens, source.shape[1], self.training)
        return self.dropout(x), context

    def _embed(self, tokens: Tensor, boundary: int, draw: bool) -> tuple[Tensor, Context]:
        """Embed tokens ``[B, L]``, without dropout; position ids are random only if ``draw``."""
        position_ids = self.position_ids(tokens.shape[1], boundary, self.position_range, draw, tokens.device)
        context = self._context(tokens, position_ids, boundary)
        return self.encoding.embed(self.embedding(tokens), context), context

    def _context(self, tokens: Tensor, position_ids: Tensor, boundary: int) -> Context:
        rope_scale = scale(boundary, self.position_range) if self.position_scheme == "ntk" else 1.0
        return Context(tokens, position_ids, boundary, self.encoding, rope_scale, self.training)

    def start(self, source: Tensor) -> State:
        """Read the source layer by layer; the state is (tokens read, source length, a state for each layer)."""
        rows, length = source.shape
        if not length:
            like = self.embedding.weight
            return 0, 0, [layer.mixer.start(rows, like) for layer in self.layers]  # type: ignore[union-attr, operator]
        x, context = self._embed(source, length, draw=False)
        states = []
        for layer in self.layers:
            x, state = layer.prefill(x, context)  # type: ignore[operator]
            states.append(state)
        return length, length, states

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one token ``[B]``."""
        time, boundary, layers = state
        position_ids = self.position_ids(time + 1, boundary, self.position_range, False, token.device)[-1:]
        context = self._context(token[:, None], position_ids, boundary)
        x = self.encoding.embed(self.embedding(token)[:, None], context)[:, 0]
        new_layers = []
        for layer, layer_state in zip(self.layers, layers, strict=True):
            x, layer_state = layer.step(x, layer_state, context)  # type: ignore[operator]
            new_layers.append(layer_state)
        return self.head(self.norm(x)), (time + 1, boundary, new_layers)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return each layer's attention weights ``[B, H, L, L]`` over the whole stream."""
        x, context = self.begin(source, prefix)
        by_layer = {}
        for index, layer in enumerate(self.layers):
            weights = layer.mixer.weights(layer.mixing.prepare(x), context)  # type: ignore[union-attr, operator]
            if weights is not None:
                by_layer[f"layer {index + 1}"] = weights
            x = layer(x, context)
        return by_layer
