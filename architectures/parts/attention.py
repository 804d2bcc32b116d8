"""Multi-head attention: every query takes a weighted mean of the values, by likeness to their keys.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2: equation 1 is :func:`attend`, section 3.2.2 is
:class:`MultiHead`. Other scores than the scaled dot product are in ``scores.py``. With fewer heads of keys and values,
``G``, than of queries, ``H``, it is multi-query (Shazeer 2019, "Fast Transformer Decoding", section 3) or grouped-query
attention (Ainslie et al. 2023, "GQA", section 2.2).

Four forms compute the same function:

==========  ==================================================  ====================================================
kernel      what it is                                          what it cannot do
==========  ==================================================  ====================================================
math        the equation                                        nothing
flash       FlashAttention as torch carries it, pinned          an additive bias (ALiBi); a window; causal queries
            (``kernels/sdpa.py``)                               that are neither one nor all; on CUDA: float32,
                                                                heads wider than 256, devices before Ampere
flash_attn  FlashAttention 2 from its authors' package          an additive bias; CPUs; on CUDA the same as flash,
            (``kernels/flash_attn.py``)                         but for windows
flex        FlexAttention as torch carries it, compiled         CPUs; heads narrower than 16
            (``kernels/flex.py``)
==========  ==================================================  ====================================================

``auto`` is flash wherever it can serve, and math elsewhere. On one CPU core (B=64, H=4, E=16, float32, forward and
backward) flash was as fast as math at length 1, about 2-3 times faster at 4 to 128 and 5 times at 256.

Where there are many pairs of positions, math takes block after block of queries, each with the keys that it may see:
memory grows as the length, and with a window so does the time (``query_blocks.py``).
"""

import math
from functools import partial
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor, nn

from architectures.base import causal_mask
from architectures.parts.backends import fold_replicas
from architectures.parts.kernels import flash_attn, flex, replicas, require, sdpa
from architectures.parts.query_blocks import Bias, blocks, part_of, whole
from architectures.parts.scores import SCORES, Score, ScoreName, scaled_dot

KernelName = Literal["auto", "math", "flash", "flash_attn", "flex"]
Memory = tuple[Tensor, Tensor]
"""Keys and values, each ``[B, G, L, E]``: what a query looks up, and what a step keeps."""

FAST: dict[str, ModuleType] = {"flash": sdpa, "flash_attn": flash_attn, "flex": flex}


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
    bias: Bias = None,
    causal: bool = False,
    window: int = 0,
    score: Score = scaled_dot,
    kernel: KernelName = "auto",
) -> Tensor:
    """Attention (equation 1): queries ``[B, H, Lq, E]``, keys and values ``[B, G, Lk, E]`` give ``[B, H, Lq, E]``.

    Args:
        bias: added to the scores, see ``query_blocks.py``; in ``math`` a tensor may be any that broadcasts.
        causal: the queries belong to the last ``Lq`` of the ``Lk`` positions, and each sees the keys up to its own.
        window: causal queries see only the last so many keys, their own included; 0 for all.
        score: what compares queries and keys.
        kernel: the form; a named one that cannot do what is asked raises ``ValueError``.
    """
    window = narrows(window, k)
    kernel = resolve(kernel, q, k, bias, causal, window, score)
    k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
    if kernel in FAST:
        return _fast(FAST[kernel], q, k, v, whole(bias), causal, window)
    parts = [
        _mean(q[:, :, rows], k[:, :, seen], v[:, :, seen], part_of(bias, rows, seen, q, k), causal, window, score)
        for rows, seen in blocks(q.shape[-2], k.shape[-2], causal, window)
    ]
    return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]


def resolve(
    kernel: KernelName,
    q: Tensor,
    k: Tensor,
    bias: Bias,
    causal: bool,
    window: int = 0,
    score: Score = scaled_dot,
) -> KernelName:
    """Return the form that serves these arguments; ``ValueError`` where the one named cannot."""
    if kernel == "math":
        return kernel
    asked = "flash" if kernel == "auto" else kernel
    why = FAST[asked].cannot(q, k, bias, causal, window) if score is scaled_dot else "computes scaled dot products only"
    if kernel == "auto":
        return "math" if why else "flash"
    if why:
        raise ValueError(f"kernel={kernel} {why}; use auto or math")
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
        seen = causal_mask(queries, keys, q.device)
        seen = seen.triu(keys - queries + 1 - window) if window else seen
        scores = scores.masked_fill(~seen, -math.inf)
    return scores.softmax(dim=-1)


def narrows(window: int, k: Tensor) -> int:
    """Return a window, or 0 where it is no narrower than the keys."""
    return window if window < k.shape[-2] else 0


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """Give neighbouring heads of queries the same keys or values: ``[B, G, L, E]`` to ``[B, H, L, E]``."""
    groups = x.shape[1]
    return x if groups == heads else x[:, :, None].expand(-1, -1, heads // groups, -1, -1).flatten(1, 2)


def _mean(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, window: int, score: Score) -> Tensor:
    """The equation."""
    weights = attention_weights(q, k, bias=bias, causal=causal, window=window, score=score)
    return torch.einsum("bhqk,bhke->bhqe", weights.to(v.dtype), v)


def _fast(
    kernel: ModuleType, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, window: int
) -> Tensor:
    """Call a kernel; a population, which no kernel can batch on every device, becomes more rows."""
    call = partial(kernel.attend, causal=causal, window=window)
    tensors = (q, k, v) if bias is None else (q, k, v, bias)
    if not replicas():
        return call(*tensors)

    def rows(*stacked: Tensor) -> Tensor:  # [R, B, H, L, E] each; biases [R, (B,) H, Lq, Lk]
        return call(*(x.flatten(0, -4) for x in stacked)).unflatten(0, stacked[0].shape[:2])

    return fold_replicas(rows, *tensors)


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


def key_value_heads(kv_heads: int, heads: int) -> int:
    """Return the heads ``G`` of keys and values, 0 being as many as queries have; ``ValueError`` unless it divides."""
    if kv_heads and heads % kv_heads:
        nearest = min((n for n in range(1, heads + 1) if heads % n == 0), key=lambda n: abs(n - kv_heads))
        raise ValueError(f"kv_heads={kv_heads} must divide heads={heads}; the nearest that does is {nearest}")
    return kv_heads or heads


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

    def blank(self, rows: int, like: Tensor) -> Memory:
        """Return a memory of nothing, for the start of stepping."""
        nothing = like.new_zeros(rows, self.kv_heads, 0, self.head_width)
        return nothing, nothing

    def forward(self, q: Tensor, memory: Memory, *, bias: Bias = None, causal: bool = False, window: int = 0) -> Tensor:
        """Look the queries ``[B, H, Lq, E]`` up in a memory and join the heads: ``[B, Lq, D]``."""
        score = self.score.function
        kernel = resolve(self.kernel, q, memory[0], bias, causal, narrows(window, memory[0]), score)
        if kernel != self.resolved:
            self.resolved, self.kernel_in_use = kernel, kernel_record(kernel)
        mixed = attend(q, *memory, bias=bias, causal=causal, window=window, score=score, kernel=kernel)
        return self.out(merge_heads(mixed))

    def weights(self, q: Tensor, keys: Tensor, *, bias: Bias = None, causal: bool = False, window: int = 0) -> Tensor:
        """Return the weights ``[B, H, Lq, Lk]`` with which :meth:`forward` looks the queries up."""
        score = self.score.function
        return attention_weights(q, keys, bias=whole(bias), causal=causal, window=window, score=score)
