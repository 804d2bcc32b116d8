"""GLA: linear attention in which every row of the state decays at a rate that depends on the token.

Yang et al. 2023, "Gated Linear Attention Transformers with Hardware-Efficient Training", sections 4.1 and 4.4.

Glossary (paper <-> code):
    Q, K, V         queries, keys, values     <-> q, k [B, H, L, E], v [B, H, L, V]
    alpha_t         forget gate               <-> log_decay [B, H, L, E], its logarithm
    W_alpha^1,2     its low-rank map          <-> forget, two linear maps through ``rank`` channels
    tau             temperature, 16           <-> TEMPERATURE
    S_t             state                     <-> state [B, H, E, V]
    r_t             output gate               <-> gate
    d_k, d_v        D / 2 and D               <-> H * E, H * V

    alpha_t = sigmoid(x_t W_alpha^1 W_alpha^2 + b)^(1 / tau)
    S_t = diag(alpha_t) S_{t-1} + k_t v_t^T        o_t = S_t^T q_t              (equation 3)
    y_t = (swish(x_t W_r + b) * norm(o_t)) W_O                                (section 4.4)

Differs from the paper: the norm of a head is RMSNorm, as in the authors' code. Queries are scaled by ``E^(-1/2)``, as
there.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import decay

FORMS: dict[str, decay.Form] = {
    "recurrent": decay.recurrent,
    "parallel": decay.parallel,
    "chunked": decay.chunked,
    "stepwise": decay.stepwise,
    "fla": fla.gla,
}

PROMPT_FORMS = FORMS | {"stepwise": decay.chunked}
"""Forms for a prompt, which often is one row: ``chunked`` is then far faster (``parts/scans/decay.py``)."""

TEMPERATURE = 16


class GLA(Mixer):
    """Gated linear attention. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of twice the heads (queries and keys have half the channels).
        heads: number of heads ``H``.
        rank: channels between the two maps of the forget gate.
        kernel: ``recurrent`` is equation 3, ``parallel`` scores all pairs, ``chunked`` combines both;
            ``stepwise`` is equation 3 in place, with gradients by hand, on a CPU; ``fla`` is the Triton kernel of
            flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is installed, ``chunked`` on other GPUs, and
            on a CPU the faster of ``stepwise`` and ``chunked`` by the size of the state (``parts/scans/decay.py``).
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        rank: Positive = 16,
        kernel: Literal["auto", "recurrent", "parallel", "chunked", "stepwise", "fla"] = "auto",
    ) -> None:
        super().__init__()
        self.heads, self.values = heads, head_width(width, heads, multiple=2)
        self.choice = choose(kernel, fla.KERNEL, cpu=decay.cpu_form(self.values**2 // 2), cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.query = nn.Linear(width, width // 2, bias=False)
        self.key = nn.Linear(width, width // 2, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.forget = nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, width // 2))
        self.gate = nn.Linear(width, width)
        self.norm = nn.RMSNorm(self.values, eps=1e-5)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._mix(x, FORMS)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        out, updates = self._mix(x, PROMPT_FORMS)
        return out, decay.final_state(*updates)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros ``[B, H, E, V]``."""
        return like.new_zeros(rows, self.heads, self.values // 2, self.values)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply equation 3 to one position."""
        x = x[:, None]
        q, k, v, log_decay = (z[..., 0, :] for z in self._project(x))
        state = decay.update(state, k, v, log_decay)
        return self._output(decay.read(state, q)[..., None, :], x)[:, 0], state

    def _mix(self, x: Tensor, forms: dict[str, decay.Form]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs, and (k, v, log_decay) that update the state."""
        q, *updates = self._project(x)
        return self._output(forms[form_for(self, x)](q, *updates), x), tuple(updates)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        maps = (self.query, self.key, self.value, self.forget)
        q, k, v, forget = (split_heads(linear(x), self.heads) for linear in maps)  # [B, H, L, ...]
        return q * q.shape[-1] ** -0.5, k, v, F.logsigmoid(forget) / TEMPERATURE

    def _output(self, attended: Tensor, x: Tensor) -> Tensor:
        """Apply the norm of each head, gate and output projection."""
        return self.out(F.silu(self.gate(x)) * merge_heads(self.norm(attended)))
