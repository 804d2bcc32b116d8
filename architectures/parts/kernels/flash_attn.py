"""FlashAttention 2 from its authors' package, flash-attn: CUDA only, float16 or bfloat16 only.

Dao 2023, "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning". It is the same algorithm
that ``sdpa.py`` pins in torch. It runs only if an option names it, for comparison.

flash-attn 2 and 4 share the import name ``flash_attn``; only version 2 has the extension ``flash_attn_2_cuda``.
"""

from torch import Tensor

from architectures.parts.kernel_choice import cuda_package
from architectures.parts.kernels.sdpa import NO_BIAS, cannot_on_cuda

KERNEL = cuda_package("flash_attn", "flash", "flash_attn_2_cuda", "flash-attn")


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool, window: int = 0, slopes: Tensor | None = None) -> Tensor:
    """Return ``softmax(q k^T / sqrt(E)) v`` for ``[B, H, L, E]`` each; causal queries are the last positions.

    ``window`` is how many keys a query sees, its own included; 0 for all. ``slopes`` are those of ALiBi, float32
    ``[H]``: the package takes them instead of a bias and measures distance by index.
    """
    from flash_attn import flash_attn_func

    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [B, L, H, E]
    sides = (window - 1, 0) if window else (-1, -1)
    return flash_attn_func(q, k, v, causal=causal, window_size=sides, alibi_slopes=slopes).transpose(1, 2)


def cannot(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, window: int) -> str | None:
    """Return the reason why the kernel does not support these arguments, or ``None``."""
    return cannot_on_cuda(q) if bias is None else NO_BIAS
