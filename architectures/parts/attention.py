"""Multi-head scaled dot-product attention: every query takes a weighted mean of the values, by likeness to their keys.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2: equation 1 is :func:`attend`, section 3.2.2 is
:class:`MultiHead`.

Three forms compute the same function:

==========  ==================================================  ====================================================
kernel      what it is                                          what it cannot do
==========  ==================================================  ====================================================
math        the equation                                        nothing
flash       FlashAttention as torch carries it, pinned          an additive bias (ALiBi); causal queries that are
            (``kernels/sdpa.py``)                               neither one nor all; on CUDA: float32, heads wider
                                                                than 256, devices before Ampere
flash_attn  FlashAttention 2 from its authors' package          an additive bias; CPUs; on CUDA the same as flash
            (``kernels/flash_attn.py``)
==========  ==================================================  ====================================================

``auto`` is flash wherever it can serve, and math elsewhere. On one CPU core (B=64, H=4, E=16, float32, forward and
backward) flash was as fast as math at length 1, about 2-3 times faster at 4 to 128 and 5 times at 256.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from architectures.base import causal_mask
from architectures.parts.backends import fold_replicas
from architectures.parts.kernels import flash_attn, replicas, require, sdpa

KernelName = Literal["auto", "math", "flash", "flash_attn"]
Memory = tuple[Tensor, Tensor]
"""Keys and values, each ``[B, H, L, E]``: what a query looks up, and what a step keeps."""

FAST = {"flash": sdpa, "flash_attn": flash_attn}


def kernel_record(kernel: KernelName) -> str:
    """Return what is recorded for a choice of kernel; :class:`KernelMissing` where a named one is not usable here."""
    if kernel == "auto":
        kernel = "math" if sdpa.KERNEL.obstacle() else "flash"
    return require(FAST[kernel].KERNEL) if kernel in FAST else kernel


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    causal: bool = False,
    kernel: KernelName = "auto",
) -> Tensor:
    """Attention (equation 1): queries ``[B, H, Lq, E]``, keys and values ``[B, H, Lk, E]`` give ``[B, H, Lq, E]``.

    Args:
        bias: added to the scaled scores; broadcasts to ``[B, H, Lq, Lk]``.
        causal: the queries belong to the last ``Lq`` of the ``Lk`` positions, and each sees the keys up to its own.
        kernel: the form; a named one that cannot do what is asked raises ``ValueError``.
    """
    kernel = resolve(kernel, q, k, bias, causal)
    if kernel in FAST:
        return _fast(FAST[kernel].attend, q, k, v, causal)
    weights = attention_weights(q, k, bias=bias, causal=causal)
    return torch.einsum("bhqk,bhke->bhqe", weights.to(v.dtype), v)


def resolve(kernel: KernelName, q: Tensor, k: Tensor, bias: Tensor | None, causal: bool) -> KernelName:
    """Return the form that serves these arguments; ``ValueError`` where the one named cannot."""
    if kernel == "math":
        return kernel
    why = _cannot("flash" if kernel == "auto" else kernel, q, k, bias, causal)
    if kernel == "auto":
        return "math" if why else "flash"
    if why:
        raise ValueError(f"kernel={kernel} {why}; use auto or math")
    return kernel


def attention_weights(q: Tensor, k: Tensor, *, bias: Tensor | None = None, causal: bool = False) -> Tensor:
    """Return ``softmax(q k^T / sqrt(E) + bias)``, ``[B, H, Lq, Lk]``; every row sums to one."""
    scores = torch.einsum("bhqe,bhke->bhqk", q, k) / math.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias
    if causal:
        seen = causal_mask(k.shape[-2], q.device)[-q.shape[-2] :]
        scores = scores.masked_fill(~seen, -math.inf)
    return scores.softmax(dim=-1)


def _cannot(kernel: str, q: Tensor, k: Tensor, bias: Tensor | None, causal: bool) -> str | None:
    return "takes no additive bias such as ALiBi's" if bias is not None else FAST[kernel].cannot(q, k, causal)


def _fast(kernel: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Call a kernel; a population, which no kernel can batch on every device, becomes more rows."""
    if not replicas():
        return kernel(q, k, v, causal)

    def rows(*stacked: Tensor) -> Tensor:  # [R, B, H, L, E] each
        return kernel(*(x.flatten(0, 1) for x in stacked), causal).unflatten(0, stacked[0].shape[:2])

    return fold_replicas(rows, q, k, v)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Cut the channels into heads: ``[B, L, H * E]`` to ``[B, H, L, E]``."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Undo :func:`split_heads`: ``[B, H, L, E]`` to ``[B, L, H * E]``."""
    return x.transpose(1, 2).flatten(2)


def head_width(width: int, heads: int, multiple: int = 1) -> int:
    """Return the channels ``E`` of one head; ``ValueError`` where they are no whole multiple of ``multiple``."""
    step = heads * multiple
    if width % step:
        nearest = max(1, round(width / step)) * step
        parts = f"heads={heads}" if multiple == 1 else f"heads={heads}, each of a multiple of {multiple} channels"
        raise ValueError(f"width={width} must be a multiple of {step} ({parts}); the nearest is {nearest}")
    return width // heads


def remember(past: Memory, new: Memory) -> Memory:
    """Append new keys and values to past ones."""
    if not past[0].shape[2]:
        return new  # spares the copy in a forward, whose past is empty
    return torch.cat((past[0], new[0]), dim=2), torch.cat((past[1], new[1]), dim=2)


class MultiHead(nn.Module):
    """The four projections of multi-head attention, in the parts a layer needs.

    ``query`` is the paper's ``W^Q``, ``memory`` its ``W^K`` over ``W^V``, ``out`` its ``W^O``; all with biases, and
    initialised like every other linear map here (uniform in ``+-1 / sqrt(D)``): Xavier's, 1.7 times larger, made no
    consistent difference to reversal and majority over seven seeds.
    """

    def __init__(self, width: int, heads: int, kernel: KernelName = "auto") -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(width, heads)
        self.kernel, self.resolved, self.kernel_in_use = kernel, kernel, kernel_record(kernel)
        self.query = nn.Linear(width, width)
        self.memory = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def queries(self, x: Tensor) -> Tensor:
        """Project ``[B, L, D]`` to queries ``[B, H, L, E]``."""
        return split_heads(self.query(x), self.heads)

    def memorize(self, x: Tensor) -> Memory:
        """Project ``[B, L, D]`` to keys and values ``[B, H, L, E]``."""
        key, value = self.memory(x).chunk(2, dim=-1)
        return split_heads(key, self.heads), split_heads(value, self.heads)

    def blank(self, rows: int, like: Tensor) -> Memory:
        """Return a memory of nothing, for the start of stepping."""
        nothing = like.new_zeros(rows, self.heads, 0, self.head_width)
        return nothing, nothing

    def forward(self, q: Tensor, memory: Memory, *, bias: Tensor | None = None, causal: bool = False) -> Tensor:
        """Look the queries ``[B, H, Lq, E]`` up in a memory and join the heads: ``[B, Lq, D]``."""
        kernel = resolve(self.kernel, q, memory[0], bias, causal)
        if kernel != self.resolved:
            self.resolved, self.kernel_in_use = kernel, kernel_record(kernel)
        return self.out(merge_heads(attend(q, *memory, bias=bias, causal=causal, kernel=kernel)))
