"""Kimi Delta Attention: the delta rule after a decay that differs between the channels of a key.

Kimi Team 2025, "Kimi Linear: An Expressive, Efficient Attention Architecture", section 3. Gated DeltaNet has one decay
for each head; KDA has one for each channel of a key, as GLA does.

Glossary (paper <-> code):
    q_t, k_t    query and key, of norm one      <-> q, k        [B, H, L, E]    E = D / H
    v_t         value                           <-> v           [B, H, L, V]    V = E
    beta_t      writing strength                <-> beta        [B, H, L, 1]    in (0, 1), or (0, 2) if signed
    alpha_t     decay, in (0, 1)                <-> log_decay   [B, H, L, E], its logarithm
    S_t         state                           <-> state       [B, H, E, V]

    S_t = (I - beta_t k_t k_t^T) diag(alpha_t) S_{t-1} + beta_t k_t v_t^T        o_t = S_t^T q_t
    alpha_t = exp(-exp(A_log) softplus(W_up W_down x_t + b))
    y_t = W_o (sigmoid(W_up' W_down' x_t + b') * RMSNorm(o_t))

The state decays first, and the delta rule corrects what is left. This transition is diagonal plus rank one
(``parts/scans/dplr.py``): ``S_t = (diag(alpha) + b a^T) S_{t-1} + b v^T`` with ``a = -alpha * k`` and ``b = beta k``.

Differs from the paper: heads have ``D / H`` channels, not 128, and the low-rank maps pass through that many channels.
The short convolutions have a bias. As in the authors' code, queries are scaled by ``E^(-1/2)``.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Eigenvalues, Mixer, Positive, State
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.delta_layer import LARGEST_RATE, unit
from architectures.parts.scans import dplr
from architectures.parts.scans.final_state import with_state
from architectures.parts.short_convolution import ShortConvolution
from architectures.parts.ssm_init import inverse_softplus, log_uniform

FORMS: dict[str, Callable[..., Tensor]] = {
    "recurrent": dplr.recurrent,
    "chunked": dplr.chunked,
    "stepwise": dplr.stepwise,
}


class KDA(Mixer):
    """The delta rule with a decay for each channel. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: number of heads ``H``.
        conv: number of positions that the convolutions of queries, keys and values mix.
        eigenvalues: ``positive`` as in the paper, or ``signed``: rates up to 2, which the authors' code allows too.
        kernel: ``recurrent`` is the recurrence, step by step; ``chunked`` solves a triangular system in each chunk of
            16 positions; ``stepwise`` is the recurrence in place, with gradients by hand, on a CPU. ``auto`` takes
            ``stepwise`` on a CPU and ``chunked`` on a GPU.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    reference: ClassVar[str] = "recurrent"
    no_weight_decay = ("A_log", "step_bias")

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "positive",
        kernel: Literal["auto", "recurrent", "chunked", "stepwise"] = "auto",
    ) -> None:
        super().__init__()
        self.heads, self.channels, self.form = heads, head_width(width, heads), kernel
        self.kernel_in_use: str = kernel
        self.largest_rate = LARGEST_RATE[eigenvalues]
        self.into = nn.Linear(width, 3 * width, bias=False)
        self.convolution = ShortConvolution(3 * width, conv)
        self.rate = nn.Linear(width, heads, bias=False)
        self.step_size = low_rank(width, self.channels, bias=False)
        self.step_bias = nn.Parameter(inverse_softplus(log_uniform(width)))
        self.A_log = nn.Parameter(torch.empty(heads, 1, 1).uniform_(1, 16).log())
        self.norm = nn.RMSNorm(self.channels, eps=1e-5)
        self.gate = low_rank(width, self.channels, bias=True)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        mixed = self.convolution(self.into(x), silu=True)
        return self._output(self._scan(x)(*self._project(mixed, x)), x)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        mixed, window = self.convolution.prefill(self.into(x), silu=True)
        read_values, memory = with_state(self._scan(x), *self._project(mixed, x))
        return self._output(read_values, x), (window, memory)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolutions and the state ``[B, H, E, E]``."""
        memory = like.new_zeros(rows, self.heads, self.channels, self.channels)
        return self.convolution.start(rows, like), memory

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the recurrence to one position."""
        window, memory = state
        mixed, window = self.convolution.step(self.into(x), window)
        q, *update = (z[..., 0, :] for z in self._project(F.silu(mixed[:, None]), x[:, None]))
        memory = dplr.update(memory, *update)
        return self._output(dplr.read(memory, q)[..., None, :], x[:, None])[:, 0], (window, memory)

    def _scan(self, x: Tensor) -> Callable[..., Tensor]:
        on_device = "chunked" if x.device.type == "cuda" else "stepwise"
        self.kernel_in_use = on_device if self.form == "auto" else self.form
        return FORMS[self.kernel_in_use]

    def _project(self, mixed: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Return q, b, v, a, b and log_decay ``[B, H, L, E]``, the arguments of ``parts/scans/dplr.py``."""
        q, k, v = (split_heads(part, self.heads) for part in mixed.chunk(3, dim=-1))
        beta = self.largest_rate * torch.sigmoid(split_heads(self.rate(x), self.heads))
        step_size = F.softplus(split_heads(self.step_size(x) + self.step_bias, self.heads))
        log_decay, k = -self.A_log.exp() * step_size, unit(k)
        written = beta * k
        return unit(q) * self.channels**-0.5, written, v, -k * log_decay.exp(), written, log_decay

    def _output(self, read_values: Tensor, x: Tensor) -> Tensor:
        """Apply the norm of each head, gate and output projection."""
        return self.out(torch.sigmoid(self.gate(x)) * merge_heads(self.norm(read_values)))


def low_rank(width: int, rank: int, bias: bool) -> nn.Sequential:
    """Return a linear map through ``rank`` channels."""
    return nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=bias))
