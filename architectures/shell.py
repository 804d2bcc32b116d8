"""The shell: turns any mixer into a model.

Every mixer gets the same embedding, residuals, norms and head over the one stream ``source + prefix``, so that
a difference between two rows of a table is a difference between two mixers. What stands around a mixer inside a
layer is its *block*: the one of its paper (``block="native"``) or the same for all (``block="shared"``).

Positions are an *encoding* (what a position looks like: ``parts/positions``) of *places* (which position each
token gets: ``parts/places.py``).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from architectures.base import SHARED_BLOCK, Block, Context, Fraction, Mixer, Positive, SequenceModel, State
from architectures.parts.feedforward import FeedForward
from architectures.parts.places import PLACES, REACH, PlacesName, needs_reach, squeezes, stretch
from architectures.parts.positions import PositionName, Setting, make_encoding

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "none": lambda width: nn.Identity(),
}


class SubLayer(nn.Module):
    """Norm, a function of ``x``, dropout and residual, in the order the block asks for."""

    def __init__(self, width: int, block: Block, dropout: float) -> None:
        super().__init__()
        self.norm = NORMS[block.norm](width)
        self.dropout = nn.Dropout(dropout)
        self.pre, self.residual = block.placement == "pre", block.residual

    def enter(self, x: Tensor) -> Tensor:
        """Return what the inner function sees."""
        return self.norm(x) if self.pre else x

    def leave(self, x: Tensor, inner: Tensor) -> Tensor:
        """Join the inner function's output with the stream."""
        out = x + self.dropout(inner) if self.residual else self.dropout(inner)
        return out if self.pre else self.norm(out)


class Layer(nn.Module):
    """A mixer in its block: one sub-layer for the mixer and, if the block has one, a second for the feed-forward."""

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
        x = self.mixing.leave(x, self.mixer(self.mixing.enter(x), context))
        return self.feed(x)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Map one position ``[B, D]`` to ``[B, D]``."""
        inner, state = self.mixer.step(self.mixing.enter(x), state, context)
        return self.feed(self.mixing.leave(x, inner)), state

    def feed(self, x: Tensor) -> Tensor:
        """Apply the feed-forward sub-layer, if there is one."""
        if self.feeding is None:
            return x
        return self.feeding.leave(x, self.feed_forward(self.feeding.enter(x)))


class LanguageModel(SequenceModel):
    """``depth`` layers of one mixer between an embedding and a linear head.

    Args:
        symbols: the alphabet; token ids are positions in it.
        mixer: the mixer's class; ``options`` are its keyword arguments.
        width: channels ``D`` of the stream.
        depth: number of layers.
        dropout: probability, after the embedding and each sub-layer.
        block: ``native`` is the block of the mixer's paper, ``shared`` the same pre-norm block for every mixer.
        position: the position encoding; ``native`` is the one of the mixer's paper.
        places: which position a token gets (``parts/places.py``): its index, its index plus a random offset while
            training, a sorted random subset of ``range(reach)``, or places that are squeezed for long sources.
        reach: the number of positions that ``learned``, ``abacus``, ``offset`` and ``randomized`` draw from, 2048 where
            nothing is said; for ``linear`` and ``ntk``, which need it, the longest source in training.
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
        places: PlacesName = "identity",
        reach: Positive | None = None,
    ) -> None:
        super().__init__(symbols)
        if squeezes(places) and reach is None:
            raise ValueError(f"places={places} needs the longest source in training, for example reach=20")
        reach = reach or REACH
        frame = mixer.native if block == "native" else SHARED_BLOCK
        beside = mixer.beside_feed_forward if frame.feed_forward else {}
        name = mixer.position if position == "native" else position
        self.places, self.place_name, self.place_range = PLACES[places], places, reach
        self.embedding = nn.Embedding(len(symbols), width)
        self.dropout = nn.Dropout(dropout)
        mixers = [mixer(width, **{**beside, **(options or {})}) for _ in range(depth)]
        self.layers = nn.ModuleList(Layer(m, width, frame, dropout) for m in mixers)
        for index, each in enumerate(mixers):
            each.initialize(index, depth)
        setting = Setting(width, mixers[0].heads, reach, symbols)
        attends = any(each.attends for each in mixers)
        places_read = any(each.reads_places for each in mixers)
        self.encoding = make_encoding(name, places, setting, attends=attends, places_read=places_read)
        self.causal = all(each.causal for each in mixers)
        self.online = self.causal and not (squeezes(places) or needs_reach(places))  # places tell how long a source is
        self.steps = all(each.steps for each in mixers) and self.encoding.steps and places != "randomized"
        self.reach = reach if self.encoding.bounded or needs_reach(places) else None
        self.norm = NORMS[frame.final_norm or frame.norm](width)
        self.head = nn.Linear(width, len(symbols))

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Run the stream ``source + prefix``; return the logits of the prefix, or of the source where there is none."""
        x, context = self.begin(source, prefix)
        for layer in self.layers:
            x = layer(x, context)
        return self.head(self.norm(x if prefix is None else x[:, context.boundary :]))

    def begin(self, source: Tensor, prefix: Tensor | None) -> tuple[Tensor, Context]:
        """Embed the stream ``[B, L]`` and build the context that all layers share."""
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        places = self.places(tokens.shape[1], source.shape[1], self.place_range, self.training, tokens.device)
        context = self._context(tokens, places, source.shape[1])
        return self.dropout(self.encoding.embed(self.embedding(tokens), context)), context

    def _context(self, tokens: Tensor, places: Tensor, boundary: int) -> Context:
        longer = stretch(boundary, self.place_range) if self.place_name == "ntk" else 1.0
        return Context(tokens, places, boundary, self.encoding, longer, self.training)

    def start(self, source: Tensor) -> State:
        """Step through the source; the state is (time, source length, a state per layer)."""
        like = self.embedding.weight
        layers = [layer.mixer.start(source.shape[0], like) for layer in self.layers]  # type: ignore[union-attr, operator]
        state = (0, source.shape[1], layers)
        for token in source.unbind(1):
            _, state = self.step(token, state)
        return state

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one token ``[B]``."""
        time, boundary, layers = state
        places = self.places(time + 1, boundary, self.place_range, False, token.device)[-1:]
        context = self._context(token[:, None], places, boundary)
        x = self.encoding.embed(self.embedding(token)[:, None], context)[:, 0]
        after = []
        for layer, before in zip(self.layers, layers, strict=True):
            x, new = layer.step(x, before, context)  # type: ignore[operator]
            after.append(new)
        return self.head(self.norm(x)), (time + 1, boundary, after)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return each layer's attention weights ``[B, H, L, L]`` over the whole stream."""
        x, context = self.begin(source, prefix)
        seen = {}
        for index, layer in enumerate(self.layers):
            weights = layer.mixer.weights(layer.mixing.enter(x), context)  # type: ignore[union-attr, operator]
            if weights is not None:
                seen[f"layer {index + 1}"] = weights
            x = layer(x, context)
        return seen
