"""FlexAttention of torch: FlashAttention's tiles with any bias and any mask compiled into them. CUDA only.

Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention Kernels". It runs only if an
option names it, for a bias or a window that is too large for ``math``. Compilation takes seconds for each new
combination of arguments.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from architectures.parts.kernels import Kernel

NARROWEST_HEAD = 16
"""The minimum number of channels of a head."""


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, *, causal: bool, window: int = 0) -> Tensor:
    """Return ``softmax(q k^T / sqrt(E) + bias) v`` for ``[B, H, L, E]`` each; causal queries are the last positions.

    ``bias`` is ``[H, Lq, Lk]``, or ``[N, H, Lq, Lk]`` where ``N`` divides ``B``; ``B / N`` consecutive rows share one.
    """
    mask = _mask(q.shape[-2], k.shape[-2], window, q.device) if causal else None
    return compiled()(q, k, v, score_mod=None if bias is None else _add_bias(bias, q.shape[0]), block_mask=mask)


def cannot(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, window: int) -> str | None:
    """Return the reason why the kernel does not support these arguments, or ``None``."""
    if q.device.type != "cuda":
        return f"does not run on {q.device.type}"
    if q.shape[-1] < NARROWEST_HEAD:
        return f"takes heads of at least {NARROWEST_HEAD} channels, not {q.shape[-1]}"
    return None


@cache
def compiled() -> Callable[..., Tensor]:
    """Return the compiled operator, because FlexAttention is a fused kernel only after compilation."""
    return torch.compile(flex_attention)


@cache  # never cleared, because captured CUDA graphs keep reading the mask
def _mask(queries: int, keys: int, window: int, device: torch.device) -> BlockMask:
    def is_visible(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = query + (keys - queries) - key
        return (distance >= 0) & (distance < (window or keys))

    return create_block_mask(is_visible, None, None, queries, keys, device=device)


def _add_bias(bias: Tensor, rows: int) -> Callable[..., Tensor]:
    bias = bias if bias.dim() == 4 else bias[None]
    rows_per_bias = rows // bias.shape[0]

    def add(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + bias[row // rows_per_bias, head, query, key]

    return add


KERNEL = Kernel(
    "flex",
    obstacle=lambda: None if torch.cuda.is_available() else "needs a CUDA device",
    version=lambda: f"(torch {torch.__version__})",
)
