"""Linear attention: attention whose kernel is a product of feature maps, so that one matrix summarises the past.

Katharopoulos et al. 2020, "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention", section 3.

Glossary (paper <-> code):
    Q, K, V     queries, keys, values      <-> q, k, v  [B, H, L, E]       E = D / H
    phi(x)      feature map, elu(x) + 1    <-> feature                     (equation 7)
    s_i         attention memory           <-> state, all columns but the last   [B, H, E, E + 1]
    z_i         normaliser memory          <-> state, the last column

    s_i = s_{i-1} + phi(k_i) v_i^T        z_i = z_{i-1} + phi(k_i)         (equations 18 and 19)
    o_i = phi(q_i)^T s_i / phi(q_i)^T z_i                                  (equation 20)

The normaliser is stored as one more column of the state, for a value that is always one. As in the authors' code, 1e-6
is added to it. The paper has the block of Vaswani et al. 2017: post-norm, with a ReLU feed-forward (equation 1 and the
authors' code), and adds positions to the embeddings.
"""

from typing import ClassVar, Literal

import torch
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
    "fla": fla.linear_attention,
}


def feature(x: Tensor) -> Tensor:
    """Compute equation 7, ``elu(x) + 1``, as ``exp(x)`` for ``x < 0``: in float32 ``elu(x) + 1`` is 0 below -17."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


class LinearAttention(Mixer):
    """Causal multi-head linear attention.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: number of heads ``H``.
        kernel: ``recurrent`` is equations 18 to 20, ``parallel`` scores all pairs, ``chunked`` combines both; ``fla``
            is the Triton kernel of flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is installed, and
            ``chunked`` elsewhere (on one core, a training step of two layers at batch 64: 21 ms against 45 for
            ``recurrent`` at length 20, 0.26 s against 0.40 for ``parallel`` at 200).
    """

    native: ClassVar[Block] = Block(norm="layer", placement="post", feed_forward="relu")
    position: ClassVar[str] = "sinusoidal"
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        kernel: Literal["auto", "recurrent", "parallel", "chunked", "fla"] = "auto",
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(width, heads)
        self.choice = choose(kernel, fla.KERNEL, cpu="chunked", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._mix(x)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        out, k, v = self._mix(x)
        return out, k.transpose(-1, -2) @ decay.with_ones(v)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros ``[B, H, E, E + 1]``."""
        return like.new_zeros(rows, self.heads, self.head_width, self.head_width + 1)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply equations 18 to 20 to one position."""
        q, k, v = (z[..., 0, :] for z in self._project(x[:, None]))
        state = decay.update(state, k, decay.with_ones(v), x.new_zeros(1))
        return self.out(decay.divide(decay.read(state, q)).flatten(-2)), state

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the causal attention weights of equation 9, ``[B, H, L, L]``."""
        q, k, _ = self._project(x)
        scores = decay.scores(q, k, x.new_zeros(x.shape[1], 1))
        return decay.divide(torch.cat((scores, scores.sum(-1, keepdim=True)), dim=-1))

    def _mix(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs, keys and values."""
        q, k, v = self._project(x)
        attended = decay.normalised(FORMS[form_for(self, x)], q, k, v, x.new_zeros(x.shape[1], 1))
        return self.out(merge_heads(attended)), k, v

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = (self.query, self.key, self.value)
        q, k, v = (split_heads(linear(x), self.heads) for linear in maps)  # [B, H, L, E]
        return feature(q), feature(k), v
