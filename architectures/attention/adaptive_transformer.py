"""A transformer whose attention adapts to the number of keys, by the scale of its scores or by their normalizer.

Scores are scaled by a factor that depends on ``n``, the number of keys that a query sees:

==========  =====================================================  ==============================================
scale       factor                                                 source
==========  =====================================================  ==============================================
none        ``1``
log         ``s ln n``, ``s`` learned for each head                Nakanishi 2025, "Scalable-Softmax Is Superior
                                                                   for Attention", SSMax
adaptive    ``1 + beta ln(n + 1)^gamma``, for each query and head  Vasylenko et al. 2025, "Long-Context
            ``beta = softplus(w x)``, ``gamma = 2 tanh(w' x)``     Generalization with Sparse Attention"
==========  =====================================================  ==============================================

The normalizers are in ``parts/normalizers.py``. With ``normalizer=entmax,scale=adaptive`` this is ASEntmax of Vasylenko
et al., with ``normalizer=softmax,scale=log`` SSMax, with ``normalizer=stick_breaking,scale=none`` the attention of Tan
et al. 2024, and with ``normalizer=softmax,scale=none`` a plain transformer.

Differs from the papers: ``s`` starts at 0.4, so that the mean factor over the first 40 positions is about one. The maps
``w`` and ``w'`` start at zero, because entmax gives no gradient to keys of weight zero, and a random scale at the start
can leave a model on its first plateau. All heads have the same position encoding; Vasylenko et al. give half of them
ALiBi and the others none.
"""

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Positive, State, causal_mask
from architectures.parts.attention import MultiHead, append_memory, head_width, merge_heads
from architectures.parts.blockwise import Bias, bias_block, blocks
from architectures.parts.normalizers import entmax, softmax, softmax_with_sink, stick_breaking
from architectures.parts.self_attention import MEMORY, SelfAttention

NORMALIZERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": softmax,
    "entmax": entmax,
    "stick_breaking": stick_breaking,
}

FIRST_SCALE = 0.4
WIDEST_POWER = 2.0


class AdaptiveTransformer(SelfAttention):
    """Causal attention with a choice of scale and normalizer.

    Args:
        width: channels ``D``, a multiple of twice the heads.
        heads: attention heads ``H``.
        scale: how the factor of the scores depends on the number of keys.
        normalizer: how weights follow from scores.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    position: ClassVar[str] = "none"
    no_weight_decay = ("sink", "slope")

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        scale: Literal["none", "log", "adaptive"] = "adaptive",
        normalizer: Literal["softmax", "entmax", "stick_breaking", "sink"] = "entmax",
    ) -> None:
        head_width(width, heads, multiple=2)
        super().__init__(MultiHead(width, heads, "math"))
        self.normalizer = normalizer
        self.sink = nn.Parameter(torch.zeros(heads)) if normalizer == "sink" else None
        self.slope = nn.Parameter(torch.full((heads,), FIRST_SCALE)) if scale == "log" else None
        self.adapt = nn.Linear(width, 2 * heads) if scale == "adaptive" else None
        if self.adapt is not None:
            nn.init.zeros_(self.adapt.weight)
            nn.init.zeros_(self.adapt.bias)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Attend from every position of ``[B, L, D]`` to itself and the positions before it."""
        self._store_memory(x, context)
        q, (keys, values), bias = self._attention_inputs(x, context)
        return self._attend(q * self._factors(x, keys), keys, values, bias)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add one position to the cache and attend to all of it."""
        x = x[:, None]
        past, key_positions = state
        keys, values = memory = append_memory(past, self._memorize(x, context))
        state = context.shared[MEMORY] = memory, torch.cat((key_positions, context.positions))
        q, _, bias = self._attention_inputs(x, context)
        return self._attend(q * self._factors(x, keys), keys, values, bias)[:, 0], state

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the attention weights ``[B, H, L, L]``; with a sink, the shares of the keys in what it leaves."""
        self._store_memory(x, context)
        q, (keys, _), bias = self._attention_inputs(x, context)
        every = slice(None)
        weights = self._weights(q * self._factors(x, keys), keys, bias_block(bias, every, every, q, keys))
        return weights / weights.sum(-1, keepdim=True)

    def _factors(self, x: Tensor, keys: Tensor) -> Tensor:
        """Return the factor of the scores of each query in ``x`` ``[B, Lq, D]``: ``[(B,) H, Lq, 1]``."""
        total = keys.shape[-2]
        count = torch.arange(total - x.shape[1] + 1, total + 1, device=x.device, dtype=x.dtype)  # keys of each query
        if self.slope is not None:
            return self.slope[:, None, None] * count.log()[:, None]
        if self.adapt is None:
            return x.new_ones(1, 1, 1)
        strength, power = self.adapt(x).transpose(1, 2)[..., None].chunk(2, dim=1)  # [B, H, Lq, 1] each
        growth = (count + 1).log()[:, None] ** (WIDEST_POWER * torch.tanh(power))
        return 1 + F.softplus(strength) * growth

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Bias) -> Tensor:
        """Return the projected means of the values, ``[B, Lq, D]``, with a block of queries at a time."""
        means = [
            self._weights(q[:, :, rows], k[:, :, cols], bias_block(bias, rows, cols, q, k)) @ v[:, :, cols]
            for rows, cols in blocks(q.shape[-2], k.shape[-2], causal=True)
        ]
        return self.attention.out(merge_heads(torch.cat(means, dim=2)))

    def _weights(self, q: Tensor, k: Tensor, bias: Tensor | None) -> Tensor:
        """Return the weights of keys ``[B, H, Lk, E]`` for the queries of the last ``Lq`` positions."""
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        scores = scores if bias is None else scores + bias
        mask = causal_mask(q.shape[-2], k.shape[-2], q.device)
        if self.sink is not None:
            return softmax_with_sink(scores, mask, self.sink)
        return NORMALIZERS[self.normalizer](scores, mask)
