"""Linear attention: attention whose kernel is a product of feature maps, so that the past fits into one matrix.

Katharopoulos et al. 2020, "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention", section 3.

Glossary (paper <-> code):
    Q, K, V     queries, keys, values      <-> q, k, v  [B, H, L, E]       E = D / H
    phi(x)      feature map, elu(x) + 1    <-> feature                     (equation 7)
    s_i         attention memory           <-> state, all columns but the last   [B, H, E, E + 1]
    z_i         normaliser memory          <-> state, the last column

    s_i = s_{i-1} + phi(k_i) v_i^T        z_i = z_{i-1} + phi(k_i)         (equations 18 and 19)
    o_i = phi(q_i)^T s_i / phi(q_i)^T z_i                                  (equation 20)

The normaliser is one more column of the state, that of a value which is always one. As in the authors' code it has
1e-6 added. The paper has the block of Vaswani et al. 2017: post-norm, with a ReLU feed-forward (equation 1 and the
authors' code), and adds positions to the embeddings.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.backends import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import decay

FORMS: dict[str, decay.Form] = {
    "recurrent": decay.recurrent,
    "parallel": decay.parallel,
    "chunked": decay.chunked,
    "fla": fla.linear_attention,
}


def feature(x: Tensor) -> Tensor:
    """Equation 7, ``elu(x) + 1``, written so that it is not rounded to zero: in float32 that would be below -17."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


class LinearAttention(Mixer):
    """Causal multi-head linear attention.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: number of heads ``H``.
        kernel: ``recurrent`` is equations 18 to 20, ``parallel`` weighs all pairs, ``chunked`` does both; ``fla`` is
            the Triton kernel of flash-linear-attention. ``auto`` takes the latter on a GPU that has it, ``chunked``
            elsewhere (on one core, a training step of two layers at batch 64: 21 ms against 45 for ``recurrent`` at
            length 20, 0.26 s against 0.40 for ``parallel`` at 200).
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
        self.heads, self.each = heads, head_width(width, heads)
        self.choice = choose(kernel, fla.KERNEL, cpu="chunked", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        q, k, v = self._project(x)
        attended = decay.normalised(FORMS[form_for(self, x)], q, k, v, x.new_zeros(x.shape[1], 1))
        return self.out(merge_heads(attended))

    def start(self, rows: int, like: Tensor) -> State:
        """Zeros ``[B, H, E, E + 1]``."""
        return like.new_zeros(rows, self.heads, self.each, self.each + 1)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply equations 18 to 20 to one position."""
        q, k, v = (each[..., 0, :] for each in self._project(x[:, None]))
        state = decay.update(state, k, decay.with_ones(v), x.new_zeros(1))
        return self.out(decay.divide(decay.read(state, q)).flatten(-2)), state

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the weights of equation 9 that causality leaves, ``[B, H, L, L]``."""
        q, k, _ = self._project(x)
        scores = decay.scores(q, k, x.new_zeros(x.shape[1], 1))
        return decay.divide(torch.cat((scores, scores.sum(-1, keepdim=True)), dim=-1))

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = (self.query, self.key, self.value)
        q, k, v = (split_heads(each(x), self.heads) for each in maps)  # [B, H, L, E]
        return feature(q), feature(k), v
