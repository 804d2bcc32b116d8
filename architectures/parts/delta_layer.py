"""The layer around the delta rule, shared by DeltaNet, Gated DeltaNet and DeltaProduct.

Queries, keys and values are linear maps of the input, followed by a short convolution and SiLU. Queries and keys are
then normalised to norm one. The rate ``beta`` depends on the current input only. The values that the queries read are
normed in each head, optionally gated, and projected (Yang et al. 2024, "Parallelizing Linear Transformers with the
Delta Rule over Sequence Length"; Yang, Kautz & Hatamizadeh 2024, "Gated Delta Networks", figure 1).

The eigenvalues of one transition are 1 and ``1 - beta``. With ``beta = sigmoid`` they are positive, and in finite
precision no number of layers computes parity at every length. With ``beta = 2 sigmoid`` they reach -1 (Grazzi et al.
2024, "Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues", theorem 1).
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Eigenvalues, Mixer, State
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import delta
from architectures.parts.scans.final_state import with_state
from architectures.parts.short_convolution import ShortConvolution
from architectures.parts.ssm_init import inverse_softplus, log_uniform

DeltaKernel = Literal["auto", "recurrent", "chunked", "fla"]

FORMS: dict[str, Callable[..., Tensor]] = {
    "recurrent": delta.recurrent,
    "chunked": delta.chunked,
    "fla": fla.delta_rule,
}

LARGEST_RATE = {"positive": 1.0, "signed": 2.0}
"""The upper limit of ``beta`` for each range of eigenvalues."""


class DeltaLayer(Mixer):
    """Heads that write by the delta rule.

    Args:
        width: channels ``D``.
        heads: number of heads ``H``; queries and keys have ``E = D / H`` channels each.
        expand: ratio of value channels to query channels, ``V = expand * E``.
        conv: number of positions that the convolutions mix.
        eigenvalues: ``positive``, in [0, 1], or ``signed``, in [-1, 1].
        kernel: ``recurrent``, ``chunked`` or, on a GPU with the package, ``fla``.
        corrections: number of times that a token corrects the state, ``n``.
        decays: whether the state decays before the first correction of a token.
        gated: whether the output is gated.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        heads: int,
        expand: int,
        conv: int,
        eigenvalues: Eigenvalues,
        kernel: DeltaKernel,
        *,
        corrections: int = 1,
        decays: bool = False,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.choice = choose(kernel, fla.KERNEL, cpu="chunked", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.heads, self.corrections = heads, corrections
        self.shape = (head_width(width, heads), expand * head_width(width, heads))  # (E, V)
        self.parts = [width, corrections * width, corrections * expand * width]
        self.into = nn.Linear(width, sum(self.parts), bias=False)
        self.convolution = ShortConvolution(sum(self.parts), conv)
        self.rate = nn.Linear(width, corrections * heads, bias=False)
        self.largest_rate = LARGEST_RATE[eigenvalues]
        self.decay = Decay(width, heads) if decays else None
        self.norm = nn.RMSNorm(self.shape[1], eps=1e-5)
        self.gate = nn.Linear(width, expand * width, bias=False) if gated else None
        self.out = nn.Linear(expand * width, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        mixed = self.convolution(self.into(x), silu=True)
        return self._output(self._last_reads(FORMS[form_for(self, x)](*self._scan_inputs(mixed, x))), x)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        mixed, window = self.convolution.prefill(self.into(x), silu=True)
        read_values, memory = with_state(FORMS[form_for(self, x)], *self._scan_inputs(mixed, x))
        return self._output(self._last_reads(read_values), x), (window, memory)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolutions and the state ``[B, H, E, V]``."""
        return self.convolution.start(rows, like), like.new_zeros(rows, self.heads, *self.shape)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, memory = state
        mixed, window = self.convolution.step(self.into(x), window)
        q, *updates = self._project(F.silu(mixed[:, None]), x[:, None])
        for correction in zip(*(z.unbind(-2) for z in updates), strict=True):
            memory = delta.update(memory, *correction)
        read_values = delta.read(memory, q[..., 0, :])[..., None, :]
        return self._output(read_values, x[:, None])[:, 0], (window, memory)

    def _project(self, mixed: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return ``q`` ``[B, H, L, E]``, and ``k``, ``v``, ``beta``, ``log_decay`` ``[B, H, n L, ...]``."""
        q, k, v = mixed.split(self.parts, dim=-1)
        beta = self.largest_rate * torch.sigmoid(self.rate(x))
        k, v, beta = (split_heads(self._interleave(z), self.heads) for z in (k, v, beta))
        q = unit(split_heads(q, self.heads)) * self.shape[0] ** -0.5
        return q, unit(k), v, beta, self._log_decay(x)

    def _scan_inputs(self, mixed: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        """Return the result of :meth:`_project` with the query repeated for each correction."""
        q, *updates = self._project(mixed, x)
        return q.repeat_interleave(self.corrections, dim=-2), *updates

    def _last_reads(self, read_values: Tensor) -> Tensor:
        """Return what is read after the last correction of each token: ``[B, H, n L, V]`` to ``[B, H, L, V]``."""
        return read_values[..., self.corrections - 1 :: self.corrections, :]

    def _interleave(self, x: Tensor) -> Tensor:
        """Turn the corrections of a token into consecutive positions: ``[B, L, n C]`` to ``[B, n L, C]``."""
        return x.unflatten(-1, (self.corrections, -1)).flatten(1, 2)

    def _log_decay(self, x: Tensor) -> Tensor:
        """Return the decay before each correction, ``[B, H, n L, 1]``; only a token's first correction has one."""
        if self.decay is None:
            return x.new_zeros(self.corrections * x.shape[1], 1)
        first = split_heads(self.decay(x), self.heads)  # [B, H, L, 1]
        return F.pad(first, (0, self.corrections - 1)).flatten(-2)[..., None]

    def _output(self, read_values: Tensor, x: Tensor) -> Tensor:
        normed = merge_heads(self.norm(read_values))
        return self.out(normed if self.gate is None else normed * F.silu(self.gate(x)))


class Decay(nn.Module):
    """The decay of each head as a logarithm, ``-exp(A_log) softplus(W x + b)``: ``[B, L, D]`` to ``[B, L, H]``.

    Dao & Gu 2024, "Transformers are SSMs", section 7. As there, step sizes ``softplus(b)`` start log-uniform in
    [0.001, 0.1]. ``A`` starts uniform in (0, 16), as in the authors' code of the delta rules, not in [1, 16].
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.step_size = nn.Linear(width, heads)
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(0, 16).clamp(min=1e-3).log())
        self.step_size.bias.data.copy_(inverse_softplus(log_uniform(heads)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithm of the factor by which each head's state decays."""
        return -self.A_log.exp() * F.softplus(self.step_size(x))


def unit(x: Tensor, floor: float = 1e-6) -> Tensor:
    """Scale vectors ``[..., E]`` to norm one; vectors near zero stay small, so that gradients are finite."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + floor)
