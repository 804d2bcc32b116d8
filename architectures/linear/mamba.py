"""Mamba: a state space model whose step size, input and output matrices depend on the token.

Gu & Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", section 3 and algorithm 2.

Glossary (paper <-> code):
    x, z     the two branches of the block   <-> x, gate    [B, L, E]      E = expand * D channels
    Delta    step size                       <-> delta      [B, L, E]
    A        transition, negative            <-> A          [N, E]         A = -exp(A_log), channels last for speed
    B, C     input and output vectors        <-> B, C       [B, L, N]
    h        state                           <-> h          [B, N, E]
    D        skip                            <-> D          [E]

    h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t          (equations 2a and 4, discretised)
    y_t = C_t h_t + D x_t

As in the authors' code, A starts as -(1, 2, ..., N) in every channel (S4D-real, section 3.6), step sizes log-uniform in
[0.001, 0.1], and D at one. B is discretised by Euler's rule, ``Delta B``, unlike in equation 4. Linear maps start as in
torch; the authors' language model also divides the output map of each block by the square root of the depth.

With ``eigenvalues=signed`` the transition is ``2 exp(Delta A) - 1``, between -1 and 1 (Grazzi et al. 2024, "Unlocking
State-Tracking in Linear RNNs Through Negative Eigenvalues").
"""

import math
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Eigenvalues, Mixer, Positive, State
from architectures.parts.kernel_choice import choose, form_for, suits_hand_gradients
from architectures.parts.kernels import mamba_ssm
from architectures.parts.scans import diagonal, rules, stepwise
from architectures.parts.scans.final_state import with_state
from architectures.parts.short_convolution import ShortConvolution
from architectures.parts.ssm_init import inverse_softplus, log_uniform


def loop(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, signed: bool = False) -> Tensor:
    """Run the equation step by step, without the skip: ``[B, L, E]``."""
    h = x.new_zeros(x.shape[0], *A.shape)
    out = []
    for x_t, delta_t, B_t, C_t in zip(*(z.unbind(1) for z in (x, delta, B, C)), strict=True):
        h = update(h, x_t, delta_t, A, B_t, signed)
        out.append(read(h, C_t))
    return torch.stack(out, dim=1)


def update(h: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, signed: bool = False) -> Tensor:
    """Return the next state ``[B, N, E]`` from one position's ``x``, ``delta`` ``[B, E]`` and ``B`` ``[B, N]``."""
    return torch.baddbmm(transition(delta, A, signed) * h, B[:, :, None], (delta * x)[:, None])


def transition(delta: Tensor, A: Tensor, signed: bool) -> Tensor:
    """Return the factor that multiplies every state, ``[..., N, E]``."""
    factor = torch.exp(delta[..., None, :] * A)
    return 2 * factor - 1 if signed else factor


def read(h: Tensor, C: Tensor) -> Tensor:
    """Return ``C h``, ``[B, E]``."""
    return torch.bmm(C[:, None], h)[:, 0]


def chunked(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, signed: bool = False) -> Tensor:
    """Return the result of :func:`loop`, with all transitions at once and a scan in ``2 sqrt(L)`` steps."""
    h = diagonal.chunked(transition(delta, A, signed), (delta * x)[:, :, None] * B[..., None])
    return (C[:, :, None] @ h)[:, :, 0]


def step_by_step(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, signed: bool = False) -> Tensor:
    """Return the result of :func:`loop`, on a CPU in place and with gradients by hand (``parts/scans/stepwise.py``)."""
    if not suits_hand_gradients(x, delta, A, B, C):
        return chunked(x, delta, A, B, C, signed)
    C, B, inputs, delta = (z.permute(1, 2, 0).contiguous() for z in (C, B, delta * x, delta))  # [L, ..., B]
    A = A[None, ..., None].expand(1, *A.shape, len(x)).contiguous()
    return stepwise.run(rules.Selective(signed), C, B, inputs, delta, A).permute(2, 0, 1)


FORMS = {"loop": loop, "chunked": chunked, "stepwise": step_by_step}


class Mamba(Mixer):
    """One Mamba block without its norm and residual. The block of the paper has no feed-forward.

    Args:
        width: channels ``D``.
        state: states ``N`` of every channel.
        expand: ratio of inner to outer channels.
        conv: number of positions that the convolution before the state space mixes.
        eigenvalues: the range of the transition: ``positive``, from 0 to 1, or ``signed``, from -1 to 1.
        kernel: ``loop`` is the equation, step by step; ``chunked`` scans chunks in parallel; ``stepwise`` is the
            equation in place, with gradients by hand, on a CPU; ``mamba_ssm`` is the authors' CUDA kernel, for positive
            eigenvalues. ``auto`` takes ``mamba_ssm`` on a GPU if it is installed, ``chunked`` on other GPUs, and
            ``stepwise`` on a CPU, where the states of one position fit into the cache and those of all positions do not
            (the scan of a layer, batch 64, one core: 30 ms against 40 for ``loop`` at length 41, 303 against 415 at
            401).
    """

    no_weight_decay = ("A_log",)

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
        kernel: Literal["auto", "loop", "chunked", "stepwise", "mamba_ssm"] = "auto",
    ) -> None:
        super().__init__()
        self.signed = eigenvalues == "signed"
        cannot = "supports positive eigenvalues only" if self.signed else ""
        self.choice = choose(kernel, mamba_ssm.KERNEL, cpu="stepwise", cuda="chunked", cannot=cannot)
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
        x = self.convolution(x, silu=True)
        delta, A, B, C = self._select(x)
        return self._output(self._scan(C, x, delta, B, A), x, gate)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        x, gate = self.into(x).chunk(2, dim=-1)
        x, window = self.convolution.prefill(x, silu=True)
        delta, A, B, C = self._select(x)
        y, h = with_state(partial(self._scan, A=A), C, x, delta, B)
        return self._output(y, x, gate), (window, h)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolution and the state."""
        return self.convolution.start(rows, like), like.new_zeros(rows, *self.A_log.shape)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, h = state
        x, gate = self.into(x).chunk(2, dim=-1)
        x, window = self.convolution.step(x, window)
        x = F.silu(x)
        delta, A, B, C = self._select(x)
        h = update(h, x, delta, A, B, self.signed)
        return self._output(read(h, C), x, gate), (window, h)

    def _scan(self, C: Tensor, x: Tensor, delta: Tensor, B: Tensor, A: Tensor) -> Tensor:
        """Return ``C_t h_t`` ``[B, L, E]``."""
        form = form_for(self, x)
        if form == "mamba_ssm":
            return mamba_ssm.selective_scan(x, delta, A, B, C)
        return FORMS[form](x, delta, A, B, C, self.signed)

    def _select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (delta, A, B, C) for ``x`` ``[..., E]``."""
        step_size, B, C = self.select(x).split(self.parts, dim=-1)
        return F.softplus(self.step_size(step_size)), -torch.exp(self.A_log), B, C

    def _output(self, y: Tensor, x: Tensor, gate: Tensor) -> Tensor:
        return self.out((y + self.D * x) * F.silu(gate))
