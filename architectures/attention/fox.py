"""Forgetting Transformer: attention whose scores fall with every token that says so.

Lin et al. 2025, "Forgetting Transformer: Softmax Attention with a Forget Gate", section 3. Each head computes a forget
gate at each token. A key counts less by the product of the gates after it, which is a bias of the scores that depends
on the data. With constant gates it is ALiBi, and with gates of 1 it is attention without positions.

Glossary (paper <-> code):
    f_t       forget gate, in (0, 1)                 <-> forget, the logarithm of its sigmoid [B, H, L]
    D_ij      log(f_{j+1}) + ... + log(f_i)          <-> fading[i] - fading[j], with ``fading`` the cumulative sum
    q, k, v   queries, keys, values                  <-> as in parts/attention.py

    f_t = sigmoid(w x_t + b)        o_i = sum_j softmax_j(q_i . k_j / sqrt(E) + D_ij) v_j,  j <= i

Differs from the paper: this is its plain form, without the norms, gates and shifted keys of the block that the paper
calls Pro. The initial value of ``b`` is an option of ours. At 0, the value of the authors' code, gates start at one
half, and a key counts for a token or two.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Positive, State
from architectures.parts.attention import Memory, MultiHead, append_memory, head_width
from architectures.parts.blockwise import Bias, bias_block
from architectures.parts.self_attention import MEMORY, SelfAttention

FADING = "cumulative forget gates"
"""The name in ``context.shared`` of the cumulative logarithms of the gates of all keys, ``[B, H, L]``."""


class Fox(SelfAttention):
    """Causal attention with a forget gate. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of twice the heads.
        heads: attention heads ``H``.
        gate_bias: initial bias of the gates, which start at its sigmoid.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    position: ClassVar[str] = "none"

    def __init__(self, width: int, *, heads: Positive = 4, gate_bias: float = 0.0) -> None:
        head_width(width, heads, multiple=2)
        super().__init__(MultiHead(width, heads, "math"))
        self.gate = nn.Linear(width, heads)
        nn.init.normal_(self.gate.weight, std=0.02)
        nn.init.constant_(self.gate.bias, gate_bias)

    def start(self, rows: int, like: Tensor) -> State:
        """Return an empty cache: keys and values, their position ids, and the cumulative gates ``[B, H, 0]``."""
        return *super().start(rows, like), like.new_zeros(rows, self.heads, 0)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Attend as :meth:`forward` does; the cache is the memory with the cumulative gates."""
        out = self(x, context)
        return out, (*context.shared[MEMORY], context.shared[FADING])

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add one position to the cache and attend to all of it."""
        x = x[:, None]
        past, key_positions, fading = state
        memory = append_memory(past, self._memorize(x, context))
        key_positions = torch.cat((key_positions, context.positions))
        so_far = F.pad(fading, (1, 0))[..., -1:]  # 0 before the first position
        fading = torch.cat((fading, so_far + self._forget(x)), dim=-1)
        context.shared |= {MEMORY: (memory, key_positions), FADING: fading}
        q, _, bias = self._attention_inputs(x, context)
        return self.attention(q, memory, bias=bias)[:, 0], (memory, key_positions, fading)

    def _forget(self, x: Tensor) -> Tensor:
        """Return the logarithm of each gate, ``[B, H, L]``."""
        return F.logsigmoid(self.gate(x)).transpose(1, 2)

    def _store_memory(self, x: Tensor, context: Context) -> None:
        super()._store_memory(x, context)
        context.shared[FADING] = self._forget(x).cumsum(-1)

    def _attention_inputs(self, x: Tensor, context: Context) -> tuple[Tensor, Memory, Bias]:
        """Add what the gates take off the scores to the bias of the position encoding."""
        q, memory, bias = super()._attention_inputs(x, context)
        fading = context.shared[FADING]
        of_queries = fading[..., fading.shape[-1] - q.shape[2] :]

        def faded(queries: slice, keys: slice) -> Tensor:
            difference = of_queries[..., queries, None] - fading[..., None, keys]
            encoded = bias_block(bias, queries, keys, q, memory[0])
            return difference if encoded is None else difference + encoded

        return q, memory, faded
