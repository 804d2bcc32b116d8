"""The block of RWKV: time mixing, which carries a state, then channel mixing, which looks one token back.

Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era", section 3.1; Peng et al. 2024, "Eagle and Finch",
section 4. Both halves see the present token mixed with the one before (*token shift*), channel by channel.

Channel mixing takes the place of a feed-forward network, but a shell's feed-forward sees one position alone. So a mixer
of this family is the whole block, with both norms inside, and returns what is added to the stream. In a block that has
a feed-forward of its own the shell asks for time mixing alone: ``channel_mixing=False``, without a norm.

Before the head stands the shell's final norm; the norm after the embedding is left out.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, State
from architectures.parts.attention import merge_heads


def before(x: Tensor) -> Tensor:
    """Return at every position what stood one position earlier, zero at the first: ``[B, L, D]``."""
    return F.pad(x[:, :-1], (0, 0, 1, 0))


def share(width: int) -> Tensor:
    """Return ``0, 1/D, ..., (D-1)/D``: what the initial share of the present token grows with along the channels."""
    return torch.arange(width) / width


def spread(width: int) -> Tensor:
    """Return ``0 .. 1``, both ends included: what initial decays grow with along the channels."""
    return torch.linspace(0, 1, width)


def zigzag(width: int) -> Tensor:
    """Return ``0, 1, -1, 0, 1, -1, ...``: neighbouring channels start with different bonuses."""
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

    ``mix_key`` and ``mix_receptance`` are the present token's share in them, ``mu`` of the paper. RWKV-7 has no such
    gate.
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
        """Mix normed ``x`` with what stood before it, both ``[..., D]``."""
        out = self.value(F.relu(self.key(torch.lerp(previous, x, self.mix_key))).square())
        if self.receptance is None or self.mix_receptance is None:
            return out
        return torch.sigmoid(self.receptance(torch.lerp(previous, x, self.mix_receptance))) * out


class RWKV(Mixer):
    """What the generations of RWKV share; one defines ``mix``, ``mix_start`` and ``mix_step``, its time mixing.

    Args:
        width: channels ``D``.
        expand: inner channels of channel mixing for each outer one.
        channel_mixing: whether time mixing, with a norm before it, is followed by channel mixing, with another;
            without, the block around it has the norm.
        gated: whether the latter has a gate.
    """

    native: ClassVar[Block] = Block(norm="none", feed_forward=None, final_norm="layer")
    beside_feed_forward: ClassVar[Mapping[str, Any]] = {"channel_mixing": False}

    def __init__(self, width: int, expand: float, channel_mixing: bool, gated: bool = True) -> None:
        super().__init__()
        self.width = width
        self.time_norm = nn.LayerNorm(width) if channel_mixing else nn.Identity()
        self.channel = ChannelMixing(width, expand, gated) if channel_mixing else None

    def initialize_channel_mixing(self, share: Tensor) -> None:
        """Set the initial share of the present token, ``[D]``, where there is channel mixing."""
        if self.channel is not None:
            self.channel.mix_key.copy_(share)
            if self.channel.mix_receptance is not None:
                self.channel.mix_receptance.copy_(share)

    def mix(self, x: Tensor, previous: Tensor, context: Context) -> Tensor:
        """Time mixing of ``[B, L, D]`` and what stood before each position."""
        raise NotImplementedError

    def mix_start(self, rows: int, like: Tensor) -> Any:
        """Return the state of time mixing before the first token."""
        raise NotImplementedError

    def mix_step(self, x: Tensor, previous: Tensor, state: Any, context: Context) -> tuple[Tensor, Any]:
        """Time mixing of one position ``[B, D]``."""
        raise NotImplementedError

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map the stream ``[B, L, D]`` to what is added to it."""
        normed = self.time_norm(x)
        mixed = self.mix(normed, before(normed), context)
        if self.channel is None:
            return mixed
        normed = self.channel.norm(x + mixed)
        return mixed + self.channel(normed, before(normed))

    def start(self, rows: int, like: Tensor) -> State:
        """Zeros for the inputs of either half at the token before, and the state of time mixing."""
        nothing = like.new_zeros(rows, self.width)
        seen = (nothing,) if self.channel is None else (nothing, nothing)
        return seen, self.mix_start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Both halves for one position ``[B, D]``."""
        seen, inner = state
        normed = self.time_norm(x)
        mixed, inner = self.mix_step(normed, seen[0], inner, context)
        if self.channel is None:
            return mixed, ((normed,), inner)
        again = self.channel.norm(x + mixed)
        return mixed + self.channel(again, seen[1]), ((normed, again), inner)
