"""Mamba: a state space whose step size, input and output depend on the token, so that it chooses what to remember.

Gu & Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", section 3 and algorithm 2.

Glossary (paper <-> code):
    x, z     the two branches of the block   <-> x, gate    [B, L, E]      E = expand * D channels
    Delta    step size                       <-> delta      [B, L, E]
    A        transition, negative            <-> A          [N, E]         A = -exp(A_log), channels last for speed
    B, C     into and out of the state       <-> B, C       [B, L, N]
    h        state                           <-> h          [B, N, E]
    D        skip                            <-> D          [E]

    h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t          (equations 2a and 4, discretised)
    y_t = C_t h_t + D x_t

As in the authors' code, A starts as -(1, 2, ..., N) in every channel (S4D-real, section 3.6), step sizes log-uniform in
[0.001, 0.1], D at one; linear maps start as torch's, where that code's language model divides the map out of each block
by the square root of the depth. As there, and unlike equation 4, B is discretised by Euler's rule, ``Delta B``.

With ``eigenvalues=signed`` the transition is ``2 exp(Delta A) - 1``, between -1 and 1 (Grazzi et al. 2024, "Unlocking
State-Tracking in Linear RNNs Through Negative Eigenvalues").
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Eigenvalues, Mixer, Positive, State
from architectures.parts.backends import choose, form_for
from architectures.parts.kernels import mamba_ssm
from architectures.parts.scans import diagonal
from architectures.parts.short_convolution import ShortConvolution
from architectures.parts.step_sizes import inverse_softplus, log_uniform


def loop(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, signed: bool = False) -> Tensor:
    """Run the equation step by step, without the skip: ``[B, L, E]``."""
    h = x.new_zeros(x.shape[0], *A.shape)
    out = []
    for each_x, each_delta, each_B, each_C in zip(*(z.unbind(1) for z in (x, delta, B, C)), strict=True):
        h = update(h, each_x, each_delta, A, each_B, signed)
        out.append(read(h, each_C))
    return torch.stack(out, dim=1)


def update(h: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, signed: bool = False) -> Tensor:
    """Return the next state ``[B, N, E]`` from one position's ``x``, ``delta`` ``[B, E]`` and ``B`` ``[B, N]``."""
    return torch.baddbmm(transition(delta, A, signed) * h, B[:, :, None], (delta * x)[:, None])


def transition(delta: Tensor, A: Tensor, signed: bool) -> Tensor:
    """Return what is left of every state, ``[..., N, E]``."""
    kept = torch.exp(delta[..., None, :] * A)
    return 2 * kept - 1 if signed else kept


def read(h: Tensor, C: Tensor) -> Tensor:
    """Return ``C h``, ``[B, E]``."""
    return torch.bmm(C[:, None], h)[:, 0]


def chunked(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, signed: bool = False) -> Tensor:
    """Return the same, with all transitions at once and a scan in ``2 sqrt(L)`` steps."""
    h = diagonal.chunked(transition(delta, A, signed), (delta * x)[:, :, None] * B[..., None])
    return (C[:, :, None] @ h)[:, :, 0]


FORMS = {"loop": loop, "chunked": chunked}


class Mamba(Mixer):
    """One Mamba block without its norm and residual. The block of the paper has no feed-forward.

    Args:
        width: channels ``D``.
        state: states ``N`` of every channel.
        expand: inner channels for each outer one.
        conv: positions that the convolution before the state space mixes.
        eigenvalues: the range of the transition, from 0 to 1 or from -1 to 1.
        kernel: ``loop`` is the equation, step by step; ``chunked`` scans chunks of time together; ``mamba_ssm`` is
            the authors' CUDA kernel, for positive eigenvalues. ``auto`` takes the latter on a GPU, ``chunked`` on one
            without it, and ``loop`` on a CPU, where one position's states fit into the cache and those of all positions
            do not (a training step of two layers, batch 64, length 20: 44 ms against 170).
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward=None)
    reference: ClassVar[str] = "loop"

    def __init__(
        self,
        width: int,
        *,
        state: Positive = 16,
        expand: Positive = 2,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "positive",
        kernel: Literal["auto", "loop", "chunked", "mamba_ssm"] = "auto",
    ) -> None:
        super().__init__()
        self.signed = eigenvalues == "signed"
        cannot = "has positive eigenvalues alone" if self.signed else ""
        self.choice = choose(kernel, mamba_ssm.KERNEL, cpu="loop", cuda="chunked", cannot=cannot)
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        inner, rank = expand * width, math.ceil(width / 16)
        self.parts = [rank, state, state]
        self.into = nn.Linear(width, 2 * inner, bias=False)
        self.convolution = ShortConvolution(inner, conv)
        self.select = nn.Linear(inner, sum(self.parts), bias=False)
        self.step_size = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, state + 1).log()[:, None].repeat(1, inner))
        self.D = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, width, bias=False)
        nn.init.uniform_(self.step_size.weight, -(rank**-0.5), rank**-0.5)
        self.step_size.bias.data.copy_(inverse_softplus(log_uniform(inner)))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        x, gate = self.into(x).chunk(2, dim=-1)
        x = F.silu(self.convolution(x))
        form = form_for(self, x)
        delta, A, B, C = self._select(x)
        if form == "mamba_ssm":
            return self._leave(mamba_ssm.selective_scan(x, delta, A, B, C), x, gate)
        return self._leave(FORMS[form](x, delta, A, B, C, self.signed), x, gate)

    def start(self, rows: int, like: Tensor) -> State:
        """Zeros: the window of the convolution and the state."""
        return self.convolution.start(rows, like), like.new_zeros(rows, *self.A_log.shape)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, h = state
        x, gate = self.into(x).chunk(2, dim=-1)
        x, window = self.convolution.step(x, window)
        x = F.silu(x)
        delta, A, B, C = self._select(x)
        h = update(h, x, delta, A, B, self.signed)
        return self._leave(read(h, C), x, gate), (window, h)

    def _select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (delta, A, B, C) for ``x`` ``[..., E]``."""
        step_size, B, C = self.select(x).split(self.parts, dim=-1)
        return F.softplus(self.step_size(step_size)), -torch.exp(self.A_log), B, C

    def _leave(self, y: Tensor, x: Tensor, gate: Tensor) -> Tensor:
        return self.out((y + self.D * x) * F.silu(gate))
