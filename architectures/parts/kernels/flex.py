"""FlexAttention as torch carries it: FlashAttention's tiles with any bias and any mask compiled into them. CUDA only.

Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention Kernels". Asked for by name,
where a bias or a window is too large for ``math``; compiling takes seconds for each new kind of call.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from architectures.parts.kernels import Kernel

NARROWEST_HEAD = 16


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, *, causal: bool, window: int = 0) -> Tensor:
    """Return ``softmax(q k^T / sqrt(E) + bias) v`` for ``[B, H, L, E]`` each; causal queries are the last of all.

    ``bias`` is ``[H, Lq, Lk]``, or ``[N, H, Lq, Lk]`` where ``N`` divides the rows: each serves that many neighbours.
    """
    mask = _mask(q.shape[-2], k.shape[-2], window, q.device) if causal else None
    return compiled()(q, k, v, score_mod=None if bias is None else _adding(bias, q.shape[0]), block_mask=mask)


def cannot(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, window: int) -> str | None:
    """Say why this is out of reach; ``None`` where it is not."""
    if q.device.type != "cuda":
        return f"does not run on {q.device.type}"
    if q.shape[-1] < NARROWEST_HEAD:
        return f"takes heads of at least {NARROWEST_HEAD} channels, not {q.shape[-1]}"
    return None


@cache
def compiled() -> Callable[..., Tensor]:
    """The operator, which exists as a fused kernel only once it is compiled."""
    return torch.compile(flex_attention)


@cache  # for good: what a GPU has captured goes on reading it
def _mask(queries: int, keys: int, window: int, device: torch.device) -> BlockMask:
    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        distance = query + (keys - queries) - key
        return (distance >= 0) & (distance < (window or keys))

    return create_block_mask(seen, None, None, queries, keys, device=device)


def _adding(bias: Tensor, rows: int) -> Callable[..., Tensor]:
    bias = bias if bias.dim() == 4 else bias[None]
    share = rows // bias.shape[0]

    def add(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + bias[row // share, head, query, key]

    return add


KERNEL = Kernel(
    "flex",
    obstacle=lambda: None if torch.cuda.is_available() else "needs a CUDA device",
    version=lambda: f"(torch {torch.__version__})",
)
