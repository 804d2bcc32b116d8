"""FlashAttention of torch: scaled dot-product attention in tiles, without storing ``[Lq, Lk]`` scores.

Dao et al. 2022, "FlashAttention"; Dao 2023, "FlashAttention-2" (torch includes it for CUDA, and a version of it for
CPUs). By default ``scaled_dot_product_attention`` selects a kernel by device, so the backend is pinned here. If
FlashAttention cannot run, torch raises an error instead of using another kernel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from architectures.parts.kernels import Kernel

HALF = (torch.float16, torch.bfloat16)
WIDEST_HEAD = 256
AMPERE = (8, 0)
NO_BIAS = "takes no additive bias such as ALiBi's"


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool, window: int = 0) -> Tensor:
    """Return ``softmax(q k^T / sqrt(E)) v`` for ``[B, H, L, E]`` each."""
    causal = causal and q.shape[-2] > 1  # a single query is the last and sees all keys; torch assumes it is the first
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))  # RoPE on heads of two changes strides
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def cannot(q: Tensor, k: Tensor, bias: Tensor | None, causal: bool, window: int) -> str | None:
    """Return the reason why the kernel does not support these arguments, or ``None``."""
    if bias is not None:
        return NO_BIAS
    if window:
        return "takes no sliding window"
    if causal and q.shape[-2] not in (1, k.shape[-2]):
        return "takes causal queries for all positions or for the last one, not for several of the last"
    return None if q.device.type == "cpu" else _obstacle() or cannot_on_cuda(q)


def cannot_on_cuda(q: Tensor) -> str | None:
    """Return the limit of FlashAttention 2 on CUDA that these queries exceed, or ``None``."""
    if q.device.type != "cuda":
        return f"does not run on {q.device.type}"
    if q.dtype not in HALF:
        return f"takes float16 or bfloat16 on CUDA, not {str(q.dtype).removeprefix('torch.')}"
    if q.shape[-1] > WIDEST_HEAD:
        return f"takes heads of at most {WIDEST_HEAD} channels, not {q.shape[-1]}"
    if torch.cuda.get_device_capability(q.device) < AMPERE:
        return "needs compute capability 8.0 (Ampere) or newer"
    return None


def _obstacle() -> str | None:
    lacking = torch.cuda.is_available() and not torch.backends.cuda.is_flash_attention_available()
    return "this build of torch has no FlashAttention for CUDA" if lacking else None


KERNEL = Kernel("flash", obstacle=_obstacle, version=lambda: f"(torch {torch.__version__})")
