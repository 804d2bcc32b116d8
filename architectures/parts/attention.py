"""Multi-head attention: every query takes a mean of the values, weighted by its scores with their keys.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2: equation 1 is :func:`attend`, section 3.2.2 is
:class:`MultiHead`. Other scores than the scaled dot product are in ``scores.py``. With fewer heads of keys and values,
``G``, than heads of queries, ``H``, it is multi-query attention (Shazeer 2019, "Fast Transformer Decoding", section 3)
or grouped-query attention (Ainslie et al. 2023, "GQA", section 2.2).

Four forms compute the same function:

==========  ==================================================  ====================================================
kernel      implementation                                      not supported
==========  ==================================================  ====================================================
math        the equation                                        nothing
flash       FlashAttention of torch, pinned                     an additive bias (ALiBi); a window; causal queries
            (``kernels/sdpa.py``)                               that are neither one nor all; on CUDA: float32,
                                                                heads wider than 256, devices before Ampere
flash_attn  FlashAttention 2 from its authors' package          an additive bias; CPUs; on CUDA the same as flash,
            (``kernels/flash_attn.py``)                         but for windows
flex        FlexAttention of torch, compiled                    CPUs; heads narrower than 16
            (``kernels/flex.py``)
==========  ==================================================  ====================================================

``auto`` is flash if it supports the arguments, and math otherwise. On one CPU core (B=64, H=4, E=16, float32, forward
and backward) flash was as fast as math at length 1, about 2-3 times faster at 4 to 128 and 5 times at 256.

If there are many pairs of positions, math processes blocks of queries one after another, each with the keys that it
sees (``blockwise.py``). Memory then grows linearly with the length, and with a window so does the time.
"""

import math
from functools import partial
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor, nn

from architectures.base import causal_mask
from architectures.parts.blockwise import Bias, bias_block, blocks, full_bias
from architectures.parts.kernel_choice import fold_replicas
from architectures.parts.kernels import flash_attn, flex, replicas, require, sdpa
from architectures.parts.scores import SCORES, Score, ScoreName, scaled_dot

KernelName = Literal["auto", "math", "flash", "flash_attn", "flex"]
Memory = tuple[Tensor, Tensor]
"""Keys and values, each ``[B, G, L, E]``; also the key-value cache of a step."""

FAST: dict[str, ModuleType] = {"flash": sdpa, "flash_attn": flash_attn, "flex": flex}


def kernel_record(kernel: KernelName) -> str:
    """Return the text recorded for a kernel; raise :class:`KernelMissing` if a named kernel is not usable here."""
    if kernel == "auto":
        kernel = "math" if sdpa.KERNEL.obstacle() else "flash"
    return require(FAST[kernel].KERNEL) if kernel in FAST else kernel


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Bias = None,
    causal: bool = False,
    window: int = 0,
    score: Score = scaled_dot,
    kernel: KernelName = "auto",
) -> Tensor:
    """Attention (equation 1): queries ``[B, H, Lq, E]``, keys and values ``[B, G, Lk, E]`` give ``[B, H, Lq, E]``.

    Args:
        bias: added to the scores, see ``blockwise.py``; in ``math`` any tensor that broadcasts to them.
        causal: the queries belong to the last ``Lq`` of the ``Lk`` positions, and each sees the keys up to its own.
        window: how many keys a causal query sees, its own and those before it; 0 for all.
        score: the function that compares queries and keys.
        kernel: the form; a named form that does not support the arguments raises ``ValueError``.
    """
    window = effective_window(window, k)
    kernel = resolve(kernel, q, k, bias, causal, window, score)
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    if kernel in FAST:
        return _fast(FAST[kernel], q, k, v, full_bias(bias), causal, window)
    means = [
        _mean(q[:, :, rows], k[:, :, cols], v[:, :, cols], bias_block(bias, rows, cols, q, k), causal, window, score)
        for rows, cols in blocks(q.shape[-2], k.shape[-2], causal, window)
    ]
    return torch.cat(means, dim=2) if len(means) > 1 else means[0]


def resolve(
    kernel: KernelName,
    q: Tensor,
    k: Tensor,
    bias: Bias,
    causal: bool,
    window: int = 0,
    score: Score = scaled_dot,
) -> KernelName:
    """Return the form to use for these arguments; ``ValueError`` if a named form does not support them."""
    if kernel == "math":
        return kernel
    fast = FAST["flash" if kernel == "auto" else kernel]
    reason = fast.cannot(q, k, bias, causal, window) if score is scaled_dot else "computes scaled dot products only"
    if kernel == "auto":
        return "math" if reason else "flash"
    if reason:
        raise ValueError(f"kernel={kernel} {reason}; use auto or math")
    return kernel


def attention_weights(
    q: Tensor,
    k: Tensor,
    *,
    bias: Tensor | None = None,
    causal: bool = False,
    window: int = 0,
    score: Score = scaled_dot,
) -> Tensor:
    """Return ``softmax(score(q, k) + bias)``, ``[B, H, Lq, Lk]``; every row sums to one."""
    scores = score(q, repeat_heads(k, q.shape[1]))
    if bias is not None:
        scores = scores + bias
    if causal:
        queries, keys = scores.shape[-2:]
        mask = causal_mask(queries, keys, q.device)
        mask = mask.triu(keys - queries + 1 - window) if window else mask
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1)


def effective_window(window: int, k: Tensor) -> int:
    """Return the window, or 0 if it is at least as wide as the keys."""
    return window if window < k.shape[-2] else 0


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """Repeat each head of keys or values for ``H / G`` adjacent query heads: ``[B, G, L, E]`` to ``[B, H, L, E]``."""
    groups = x.shape[1]
    return x if groups == heads else x[:, :, None].expand(-1, -1, heads // groups, -1, -1).flatten(1, 2)


def _mean(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, window: int, score: Score) -> Tensor:
    """Compute equation 1."""
    weights = attention_weights(q, k, bias=bias, causal=causal, window=window, score=score)
    return torch.einsum("bhqk,bhke->bhqe", weights.to(v.dtype), v)


def _fast(
    kernel: ModuleType, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, window: int
) -> Tensor:
    """Call a kernel; for a population, fold its axis into the batch, because no kernel can batch it on every device."""
    call = partial(kernel.attend, causal=causal, window=window)
    tensors = (q, k, v) if bias is None else (q, k, v, bias)
    if not replicas():
        return call(*tensors)

    def fold_into_batch(*stacked: Tensor) -> Tensor:  # [R, B, H, L, E] each; biases [R, (B,) H, Lq, Lk]
        return call(*(x.flatten(0, -4) for x in stacked)).unflatten(0, stacked[0].shape[:2])

    return fold_replicas(fold_into_batch, *tensors)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Cut the channels into heads: ``[B, L, H * E]`` to ``[B, H, L, E]``."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Undo :func:`split_heads`: ``[B, H, L, E]`` to ``[B, L, H * E]``."""
    return x.transpose(1, 2).flatten(2)


def head_width(width: int, heads: int, multiple: int = 1) -> int:
    """Return the channels ``E`` of one head; ``ValueError`` unless they are a multiple of ``multiple``."""
    step = heads * multiple
    if width % step:
        nearest = max(1, round(width / step)) * step
        parts = f"heads={heads}" if multiple == 1 else f"heads={heads}, each of a multiple of {multiple} channels"
        raise ValueError(f"width={width} must be a multiple of {step} ({parts}); the nearest is {nearest}")
    return width // heads


def key_value_heads(kv_heads: int, heads: int) -> int:
    """Return the heads ``G`` of keys and values (0 means ``heads``); ``ValueError`` unless they divide ``heads``."""
    if kv_heads and heads % kv_heads:
        nearest = min((n for n in range(1, heads + 1) if heads % n == 0), key=lambda n: abs(n - kv_heads))
        raise ValueError(f"kv_heads={kv_heads} must divide heads={heads}; the nearest divisor is {nearest}")
    return kv_heads or heads


def append_memory(past: Memory, new: Memory) -> Memory:
    """Append new keys and values to past ones."""
    if not past[0].shape[2]:
        return new  # avoids a copy in a forward pass, whose past is empty
    return torch.cat((past[0], new[0]), dim=2), torch.cat((past[1], new[1]), dim=2)


class MultiHead(nn.Module):
    """The four projections of multi-head attention.

    ``query`` is the paper's ``W^Q``, ``memory`` its ``W^K`` stacked on ``W^V``, ``out`` its ``W^O``, all with biases.
    They are initialised like every other linear map here (uniform in ``+-1 / sqrt(D)``). Xavier initialisation, 1.7
    times larger, made no consistent difference to reversal and majority over seven seeds.
    """

    def __init__(
        self, width: int, heads: int, kernel: KernelName = "auto", *, kv_heads: int = 0, score: ScoreName = "dot"
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(width, heads)
        self.kv_heads = key_value_heads(kv_heads, heads)
        self.score = SCORES[score](heads, self.head_width)
        self.kernel, self.resolved, self.kernel_in_use = kernel, kernel, kernel_record(kernel)
        self.query = nn.Linear(width, width)
        self.memory = nn.Linear(width, 2 * self.kv_heads * self.head_width)
        self.out = nn.Linear(width, width)

    def queries(self, x: Tensor) -> Tensor:
        """Project ``[B, L, D]`` to queries ``[B, H, L, E]``."""
        return self.score.query(split_heads(self.query(x), self.heads))

    def memorize(self, x: Tensor) -> Memory:
        """Project ``[B, L, D]`` to keys and values ``[B, G, L, E]``."""
        keys, values = (split_heads(part, self.kv_heads) for part in self.memory(x).chunk(2, dim=-1))
        return self.score.key(keys), values

    def empty_memory(self, rows: int, like: Tensor) -> Memory:
        """Return a memory of length 0, for the start of stepping."""
        empty = like.new_zeros(rows, self.kv_heads, 0, self.head_width)
        return empty, empty

    def forward(self, q: Tensor, memory: Memory, *, bias: Bias = None, causal: bool = False, window: int = 0) -> Tensor:
        """Attend from the queries ``[B, H, Lq, E]`` to a memory and join the heads: ``[B, Lq, D]``."""
        score = self.score.function
        kernel = resolve(self.kernel, q, memory[0], bias, causal, effective_window(window, memory[0]), score)
        if kernel != self.resolved:
            self.resolved, self.kernel_in_use = kernel, kernel_record(kernel)
        mixed = attend(q, *memory, bias=bias, causal=causal, window=window, score=score, kernel=kernel)
        return self.out(merge_heads(mixed))

    def weights(self, q: Tensor, keys: Tensor, *, bias: Bias = None, causal: bool = False, window: int = 0) -> Tensor:
        """Return the attention weights ``[B, H, Lq, Lk]`` of :meth:`forward`."""
        score = self.score.function
        return attention_weights(q, keys, bias=full_bias(bias), causal=causal, window=window, score=score)
