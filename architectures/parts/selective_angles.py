"""Selective rotary positions: angles that depend on the tokens, summed along the sequence.

Movahedi et al. 2025, "Selective Rotary Position Embedding" (arXiv 2511.17388). RoPE turns queries and keys by an angle
that grows by the same amount at each token. Here each token says by how much, so a layer can count some tokens and skip
others.

    u_t = x_t, of norm one in each head        w_t = conv(W_2 W_1 u_t) [sigmoid(w_g u_t + b_g)]
    phi_t = phi_{t-1} + w_t                    angle of pair i = phi_t,i / theta^(2 i / E)

With increments of one it is RoPE with base ``theta``. A constant increment is the bias of the convolution; the authors
have ``exp(b)`` in its place, as an option, which starts at one too.
"""

import torch
from torch import Tensor, nn

from architectures.base import State
from architectures.parts.attention import merge_heads, split_heads
from architectures.parts.delta_layer import unit
from architectures.parts.short_convolution import ShortConvolution

Turn = tuple[Tensor, Tensor]
"""Cosines and signed sines, the second argument of ``positions/rope.py``'s ``turn``."""


class SelectiveAngles(nn.Module):
    """The angles of each position, head and pair of channels, from the input of a layer.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: number of heads ``H``.
        channels: channels ``E`` of a query or key in a head, an even number.
        rank: channels between the two maps.
        conv: number of positions that the convolution of the increments mixes.
        theta: base of the frequencies; 1 gives all pairs the same.
        increment: initial constant part of the increments.
        gated: whether each head scales its increments by a gate.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        channels: int,
        rank: int,
        conv: int,
        *,
        theta: float,
        increment: float,
        gated: bool,
    ) -> None:
        super().__init__()
        self.heads, half = heads, channels // 2
        self.frequency: Tensor
        self.register_buffer("frequency", theta ** -(torch.arange(half) / half), persistent=False)
        self.map = nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, heads * half, bias=False))
        self.convolution = ShortConvolution(heads * half, conv)
        nn.init.constant_(self.convolution.bias, increment)
        self.gate = nn.Linear(width, heads) if gated else None

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolution, and the sum of the increments ``[B, H, 1, E / 2]``."""
        window = self.convolution.start(rows, like)
        return window, like.new_zeros(rows, self.heads, 1, window.shape[-1] // self.heads)

    def forward(self, x: Tensor) -> tuple[Turn, State]:
        """Return the turns of ``[B, L, D]``, and the state after them."""
        u = self._normed(x)
        increments, window = self.convolution.prefill(self.map(u))
        phi = self._gated(increments, u).cumsum(2)
        return self._turn(phi), (window, phi[:, :, -1:])

    def step(self, x: Tensor, state: State) -> tuple[Turn, State]:
        """Return the turn of one position ``[B, 1, D]``, and the next state."""
        window, phi = state
        u = self._normed(x)
        increments, window = self.convolution.step(self.map(u)[:, 0], window)
        phi = phi + self._gated(increments[:, None], u)
        return self._turn(phi), (window, phi)

    def _normed(self, x: Tensor) -> Tensor:
        return merge_heads(unit(split_heads(x, self.heads)))

    def _gated(self, increments: Tensor, u: Tensor) -> Tensor:
        """Return increments by head, ``[B, H, L, E / 2]``."""
        by_head = split_heads(increments, self.heads)
        return by_head if self.gate is None else by_head * torch.sigmoid(split_heads(self.gate(u), self.heads))

    def _turn(self, phi: Tensor) -> Turn:
        angle = self.frequency * phi
        cos, sin = angle.cos(), angle.sin()
        return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)
