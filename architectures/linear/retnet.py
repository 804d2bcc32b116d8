"""RetNet: attention without softmax, whose weights decay with distance at a different rate in each head.

Sun et al. 2023, "Retentive Network: A Successor to Transformer for Large Language Models", section 2. There is no
normalisation over positions. The same function can therefore be computed as attention (equation 5), as a recurrence
(equation 6), or as both in chunks (equation 7).

Glossary (paper <-> code):
    Q, K, V      queries, keys, values    <-> q, k [B, H, L, E], v [B, H, L, V]     E = D / H, V = expand * E
    Theta        rotation of Q and K      <-> rotate
    gamma        decay, 1 - 2^(-5-h)      <-> log_decay [H, 1, 1], its logarithm, for h = 0 .. H-1
    S_n          state                    <-> state [B, H, E, V]
    GroupNorm_h  norm of each head        <-> layer_norm over V, without weights
    W_G, W_O     gate and output          <-> gate, out

Differs from the paper: 4 heads instead of heads of 256 channels (width / 256 would be less than one here). The rotation
has the frequencies of RoPE; the paper's code spaces the same number of frequencies from 1 to 1/10000, both included.
Keys are scaled by ``E^(-1/2)``. The other two normalisations of section 2.2 are left out, because the norm of each head
cancels them, except for its epsilon.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.positions.rope import rotate
from architectures.parts.scans import decay

FORMS = {"recurrent": decay.recurrent, "parallel": decay.parallel, "chunked": decay.chunked}


class RetNet(Mixer):
    """Multi-scale retention. The paper's block (equation 9) is pre-norm with a GELU feed-forward of twice the width.

    Args:
        width: channels ``D``.
        heads: number of heads ``H``; each must have an even number of channels.
        expand: ratio of value channels to query channels.
        kernel: ``recurrent``, ``parallel`` and ``chunked`` are equations 6, 5 and 7; ``fla`` is the Triton kernel of
            flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is installed, and ``chunked`` elsewhere: it is
            ``parallel`` up to one chunk and linear in the length beyond (on one core, a training step of two layers at
            batch 64: 21 ms against 46 for ``recurrent`` at length 20, 0.6 s against 1.6 for ``parallel`` at 400).
    """

    native: ClassVar[Block] = Block(norm="layer", feed_forward="gelu", expand=2.0)
    reference: ClassVar[str] = "recurrent"
    reads_positions = True

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        expand: Positive = 2,
        kernel: Literal["auto", "recurrent", "parallel", "chunked", "fla"] = "auto",
    ) -> None:
        super().__init__()
        head_width(width, heads, multiple=2)
        self.choice = choose(kernel, fla.KERNEL, cpu="chunked", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.heads, self.inner = heads, expand * width
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, self.inner, bias=False)
        self.gate = nn.Linear(width, self.inner, bias=False)
        self.out = nn.Linear(self.inner, width, bias=False)
        for linear in (self.query, self.key, self.value, self.gate):
            nn.init.xavier_uniform_(linear.weight, gain=2**-2.5)  # as in the authors' code
        nn.init.xavier_uniform_(self.out.weight)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._mix(x, context.positions)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        out, k, v = self._mix(x, context.positions)
        return out, decay.final_state(k, v, self._log_decay(v))

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros ``[B, H, E, V]``."""
        return like.new_zeros(rows, self.heads, self.query.out_features // self.heads, self.inner // self.heads)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply equation 6 to one position."""
        q, k, v = self._project(x[:, None], context.positions)
        state = decay.update(state, k[..., 0, :], v[..., 0, :], self._log_decay(v)[..., 0, :])
        retained = decay.read(state, q[..., 0, :])[..., None, :]
        return self._output(retained, x[:, None])[:, 0], state

    def _mix(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs, keys and values."""
        q, k, v = self._project(x, positions)
        form = form_for(self, x)
        retained = fla.retention(q, k, v) if form == "fla" else FORMS[form](q, k, v, self._log_decay(v))
        return self._output(retained, x), k, v

    def _project(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = (self.query, self.key, self.value)
        q, k, v = (split_heads(linear(x), self.heads) for linear in maps)  # [B, H, L, ...]
        k = k * k.shape[-1] ** -0.5
        return rotate(q, positions), rotate(k, positions), v

    def _log_decay(self, v: Tensor) -> Tensor:
        """Return ``log(gamma)`` of every head, ``[H, L, 1]``."""
        head = torch.arange(self.heads, dtype=torch.float64, device=v.device)
        log_decay = torch.log1p(-torch.exp2(-5 - head)).to(v.dtype)
        return log_decay[:, None, None].expand(-1, v.shape[-2], -1)

    def _output(self, retained: Tensor, x: Tensor) -> Tensor:
        """Apply the norm of each head, gate and output projection (equation 8)."""
        normed = merge_heads(F.layer_norm(retained, retained.shape[-1:]))
        return self.out(F.silu(self.gate(x)) * normed)
