"""Mamba-2: Mamba with one decay for each head, so that it is linear attention with decay and uses matrix products.

Dao & Gu 2024, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space
Duality", sections 5 to 7; figure 6 is the block.

Glossary (paper <-> code):
    X, Z        the two branches of the block   <-> x [B, L, H, P], gate [B, L, H * P]        H * P = expand * D
    dt          step size                       <-> delta        [B, L, H]
    A           transition, negative            <-> A            [H]             A = -exp(A_log)
    B, C        input and output vectors        <-> B, C         [B, L, G, N]    for G groups of heads
    h           state                           <-> state        [B, G, H / G, N, P]
    D           skip                            <-> D            [H]

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t^T
    y_t = C_t^T h_t + D x_t

In the terms of ``scans/decay.py``, queries are C, keys are B and values are dt x. As in the authors' code, -A starts
uniform in [1, 16], step sizes log-uniform in [0.001, 0.1], and D at one. Linear maps start as in torch; the authors'
language model also divides the output map of each block by the square root of the depth.

With ``eigenvalues=signed`` the decay is ``2 exp(dt A) - 1``, between -1 and 1 (Grazzi et al. 2024, "Unlocking
State-Tracking in Linear RNNs Through Negative Eigenvalues", section 4).

Differs from the paper: 8 heads instead of heads of 64 channels.
"""

from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Eigenvalues, Mixer, Positive, State
from architectures.parts.attention import head_width
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import mamba_ssm
from architectures.parts.scans import decay
from architectures.parts.scans.final_state import with_state
from architectures.parts.short_convolution import ShortConvolution
from architectures.parts.ssm_init import inverse_softplus, log_uniform

FORMS: dict[str, decay.Form] = {
    "recurrent": decay.recurrent,
    "parallel": decay.parallel,
    "chunked": decay.chunked,
}


class Mamba2(Mixer):
    """One Mamba-2 block without its norm and residual. The block of the paper has no feed-forward.

    Args:
        width: channels ``D``; ``expand * width`` is a multiple of the heads.
        state: states ``N`` of every channel.
        heads: number of heads ``H``, a multiple of the groups.
        groups: groups ``G`` of heads that share B and C.
        expand: ratio of inner to outer channels.
        conv: number of positions that the convolution before the state space mixes.
        eigenvalues: the range of the decays: ``positive``, from 0 to 1, or ``signed``, from -1 to 1.
        kernel: ``recurrent`` is the equation, ``parallel`` scores all pairs, ``chunked`` combines both; ``mamba_ssm``
            is the authors' kernel, for positive decays. ``auto`` takes ``mamba_ssm`` on a GPU if it is installed, and
            ``chunked`` elsewhere (on one core, a training step of two layers at batch 64: 30 ms against 118 for
            ``recurrent`` at length 20, 0.7 s against 1.7 at 200).
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward=None)
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        state: Positive = 64,
        heads: Positive = 8,
        groups: Positive = 1,
        expand: Positive = 2,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "positive",
        kernel: Literal["auto", "recurrent", "parallel", "chunked", "mamba_ssm"] = "auto",
    ) -> None:
        super().__init__()
        inner, shared = expand * width, groups * state
        head_width(inner, heads)
        if heads % groups:
            raise ValueError(f"heads={heads} must be a multiple of groups={groups}; groups=1 is always valid")
        self.signed, self.heads, self.groups = eigenvalues == "signed", heads, groups
        cannot = "supports positive eigenvalues only" if self.signed else ""
        self.choice = choose(kernel, mamba_ssm.KERNEL, cpu="chunked", cuda="chunked", cannot=cannot)
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.parts, self.branches = [inner, shared, shared], [inner, inner + 2 * shared, heads]
        self.into = nn.Linear(width, sum(self.branches), bias=False)
        self.convolution = ShortConvolution(inner + 2 * shared, conv)
        self.step_size = nn.Parameter(inverse_softplus(log_uniform(heads)))
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.scale = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        form = form_for(self, x)
        gate, x, delta = self._project(x)
        x, B, C = self._split(self.convolution(x, silu=True))
        if form == "mamba_ssm":
            y = mamba_ssm.chunk_scan(x, delta, -torch.exp(self.A_log), B, C)
        else:
            y = self._attend(FORMS[form], x, delta, B, C)
        return self._output(y, x, gate)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward`, always from a plain form, and the state after them."""
        form = partial(self._scan, FORMS.get(form_for(self, x), decay.chunked))
        gate, x, delta = self._project(x)
        mixed, window = self.convolution.prefill(x, silu=True)
        x, B, C = self._split(mixed)
        y, h = with_state(form, *self._attention_inputs(x, delta, B, C))
        return self._output(heads_last(y), x, gate), (window, h)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolution and the state."""
        heads = (rows, self.groups, self.heads // self.groups)
        head_state = (self.parts[1] // self.groups, self.parts[0] // self.heads)  # (N, P)
        return self.convolution.start(rows, like), like.new_zeros(*heads, *head_state)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, h = state
        gate, x, delta = self._project(x[:, None])
        x, window = self.convolution.step(x[:, 0], window)
        x, B, C = self._split(F.silu(x[:, None]))
        q, k, v, log_decay = (z[..., 0, :] for z in self._attention_inputs(x, delta, B, C))
        if self.signed:
            sign, log_decay = decay.sign_and_log(self._signed_decay(log_decay))
            h = sign[..., None] * h
        h = decay.update(h, k, v, log_decay)
        y = decay.read(h, q).flatten(1, 2)[:, None]
        return self._output(y, x, gate)[:, 0], (window, h)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gate, the input of the convolution, and step sizes."""
        gate, x, delta = self.into(x).split(self.branches, dim=-1)
        return gate, x, F.softplus(delta + self.step_size)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut the convolved channels into x ``[B, L, H, P]``, B and C ``[B, L, G, N]``."""
        x, B, C = x.split(self.parts, dim=-1)
        return x.unflatten(-1, (self.heads, -1)), B.unflatten(-1, (self.groups, -1)), C.unflatten(-1, (self.groups, -1))

    def _attend(self, form: decay.Form, x: Tensor, delta: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """Return ``y`` ``[B, L, H, P]`` without the skip."""
        return heads_last(self._scan(form, *self._attention_inputs(x, delta, B, C)))

    def _scan(self, form: decay.Form, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
        """Return ``C_t^T h_t`` ``[B, G, H / G, L, P]``."""
        if self.signed:
            return decay.signed(form, q, k, v, self._signed_decay(log_decay))
        return form(q, k, v, log_decay)

    def _attention_inputs(
        self, x: Tensor, delta: Tensor, B: Tensor, C: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return queries and keys ``[B, G, 1, L, N]``, values ``[B, G, H / G, L, P]`` and ``log_decay``."""
        q, k = (z.transpose(1, 2)[:, :, None] for z in (C, B))
        by_head = (delta[..., None] * x, -(delta * self.A_log.exp())[..., None])
        v, log_decay = (z.transpose(1, 2).unflatten(1, (self.groups, -1)) for z in by_head)
        return q, k, v, log_decay

    def _signed_decay(self, log_decay: Tensor) -> Tensor:
        """Map decays from (0, 1) to (-1, 1)."""
        return 2 * log_decay.exp() - 1

    def _output(self, y: Tensor, x: Tensor, gate: Tensor) -> Tensor:
        """Apply skip, gate, RMSNorm of each group and output projection."""
        gated = (y + self.D[:, None] * x).flatten(-2) * F.silu(gate)
        gated = gated.unflatten(-1, (self.groups, -1))
        return self.out(self.scale * F.rms_norm(gated, gated.shape[-1:], eps=1e-5).flatten(-2))


def heads_last(y: Tensor) -> Tensor:
    """Join groups and heads and move them behind the positions: ``[B, G, H / G, L, P]`` to ``[B, L, H, P]``."""
    return y.flatten(1, 2).transpose(1, 2)
