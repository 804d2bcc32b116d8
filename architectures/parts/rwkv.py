"""The block of RWKV: time mixing, which has a state, then channel mixing, which reads the previous token.

Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era", section 3.1; Peng et al. 2024, "Eagle and Finch",
section 4. Both parts read a mixture of the current and the previous token (*token shift*), channel by channel.

Channel mixing replaces a feed-forward network, but the feed-forward of the language model reads one position only. A
mixer of this family is therefore the whole block, including both norms, and returns the sum of both residual branches.
In a block with a feed-forward the language model sets ``channel_mixing=False``: time mixing only, without a norm.

The final norm of the language model precedes the head. The norm after the embedding is left out.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, State
from architectures.parts.attention import merge_heads


def previous_tokens(x: Tensor) -> Tensor:
    """Shift ``[B, L, D]`` by one: each position gets the vector of the previous one, the first position zeros."""
    return F.pad(x[:, :-1], (0, 0, 1, 0))


def share(width: int) -> Tensor:
    """Return ``0, 1/D, ..., (D-1)/D``: the ramp along the channels of the initial share of the current token."""
    return torch.arange(width) / width


def spread(width: int) -> Tensor:
    """Return ``0 .. 1``, both ends included: the ramp along the channels of the initial decays."""
    return torch.linspace(0, 1, width)


def zigzag(width: int) -> Tensor:
    """Return ``0, 1, -1, 0, 1, -1, ...``: adjacent channels start with different bonuses."""
    return (torch.arange(width) + 1) % 3 - 1.0


class HeadNorm(nn.GroupNorm):
    """The norm of each head at each position, ``[B, H, L, E]`` to ``[B, L, D]`` (Peng et al. 2024, section 4.2)."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__(heads, width, eps=64e-5)

    def forward(self, x: Tensor) -> Tensor:
        """Norm the heads and join them."""
        flat = merge_heads(x)
        return super().forward(flat.flatten(0, 1)).unflatten(0, flat.shape[:2])


class ChannelMixing(nn.Module):
    """``sigmoid(W_r x_r) * W_v max(W_k x_k, 0)^2`` of two mixtures ``x_r``, ``x_k`` (Peng et al. 2023, section 3.1).

    ``mix_key`` and ``mix_receptance`` are the shares of the current token in them, ``mu`` of the paper. RWKV-7 has no
    receptance gate.
    """

    def __init__(self, width: int, expand: float, gated: bool = True) -> None:
        super().__init__()
        inner = round(expand * width)
        self.norm = nn.LayerNorm(width)
        self.mix_key = nn.Parameter(torch.full((width,), 0.5))
        self.mix_receptance = nn.Parameter(torch.full((width,), 0.5)) if gated else None
        self.key = nn.Linear(width, inner, bias=False)
        self.value = nn.Linear(inner, width, bias=False)
        self.receptance = nn.Linear(width, width, bias=False) if gated else None

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        """Mix normed ``x`` with the previous token, both ``[..., D]``."""
        out = self.value(F.relu(self.key(torch.lerp(previous, x, self.mix_key))).square())
        if self.receptance is None or self.mix_receptance is None:
            return out
        return torch.sigmoid(self.receptance(torch.lerp(previous, x, self.mix_receptance))) * out


class RWKV(Mixer):
    """Base class of the RWKV generations; a subclass defines time mixing: the methods whose names start with ``mix``.

    Args:
        width: channels ``D``.
        expand: ratio of inner to outer channels in channel mixing.
        channel_mixing: whether channel mixing follows time mixing, each after a norm of its own; if not, the block
            around the mixer has the norm.
        gated: whether channel mixing has a gate.
    """

    native: ClassVar[Block] = Block(norm="none", feed_forward=None, final_norm="layer")
    beside_feed_forward: ClassVar[Mapping[str, Any]] = {"channel_mixing": False}

    def __init__(self, width: int, expand: float, channel_mixing: bool, gated: bool = True) -> None:
        super().__init__()
        self.width = width
        self.time_norm = nn.LayerNorm(width) if channel_mixing else nn.Identity()
        self.channel = ChannelMixing(width, expand, gated) if channel_mixing else None

    def initialize_channel_mixing(self, share: Tensor) -> None:
        """Set the initial share of the current token, ``[D]``, if there is channel mixing."""
        if self.channel is not None:
            self.channel.mix_key.copy_(share)
            if self.channel.mix_receptance is not None:
                self.channel.mix_receptance.copy_(share)

    def mix(self, x: Tensor, previous: Tensor, context: Context) -> Tensor:
        """Apply time mixing to ``[B, L, D]`` and the previous token of each position."""
        raise NotImplementedError

    def mix_prefill(self, x: Tensor, previous: Tensor, context: Context) -> tuple[Tensor, Any]:
        """Return the result of :meth:`mix` and the state after the last position."""
        raise NotImplementedError

    def mix_start(self, rows: int, like: Tensor) -> Any:
        """Return the state of time mixing before the first token."""
        raise NotImplementedError

    def mix_step(self, x: Tensor, previous: Tensor, state: Any, context: Context) -> tuple[Tensor, Any]:
        """Apply time mixing to one position ``[B, D]``."""
        raise NotImplementedError

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map the residual stream ``[B, L, D]`` to the values that are added to it."""
        normed = self.time_norm(x)
        return self._add_channel_mixing(x, self.mix(normed, previous_tokens(normed), context))[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        normed = self.time_norm(x)
        mixed, inner = self.mix_prefill(normed, previous_tokens(normed), context)
        out, *channel_input = self._add_channel_mixing(x, mixed)
        return out, (tuple(z[:, -1] for z in (normed, *channel_input)), inner)

    def _add_channel_mixing(self, x: Tensor, mixed: Tensor) -> tuple[Tensor, ...]:
        """Return the sum of both residual branches and, if there is channel mixing, its input."""
        if self.channel is None:
            return (mixed,)
        normed = self.channel.norm(x + mixed)
        return mixed + self.channel(normed, previous_tokens(normed)), normed

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros for the previous inputs of both parts, and the state of time mixing."""
        zeros = like.new_zeros(rows, self.width)
        previous = (zeros,) if self.channel is None else (zeros, zeros)
        return previous, self.mix_start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply both parts to one position ``[B, D]``."""
        previous, inner = state
        normed = self.time_norm(x)
        mixed, inner = self.mix_step(normed, previous[0], inner, context)
        if self.channel is None:
            return mixed, ((normed,), inner)
        channel_input = self.channel.norm(x + mixed)
        return mixed + self.channel(channel_input, previous[1]), ((normed, channel_input), inner)
