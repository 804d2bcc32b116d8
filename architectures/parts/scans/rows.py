"""Blocks of rows for recurrences with gradients by hand: all steps of a block run before the next one, in the cache.

Tensors have five axes here: rows ``B``, groups ``G``, heads ``h`` of a group, positions, channels. Queries and keys are
shared in a group and have one head. A block of ``b`` rows has ``n = b G`` groups. See ``decay_blocks.py`` and
``delta_blocks.py``.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.parts.scans.diagonal import even

CACHED = 1 << 17
"""Scores that are computed together: half a megabyte in float32."""


def five_axes(x: Tensor, grouped: bool) -> Tensor:
    """Return ``[B, G, h, L, C]`` for ``[..., L, C]``; each axis before ``L`` is a group if not ``grouped``."""
    x = x if grouped else x[..., None, :, :]
    x = x[(None,) * (5 - x.dim())]
    return x.flatten(0, -5)


def broadcast_decays(log_decay: Tensor, v: Tensor) -> Tensor:
    """Expand the groups and heads of decays, unless all rows and groups share them."""
    if len(log_decay) == log_decay.shape[1] == 1:
        return log_decay
    return log_decay.expand(-1, *v.shape[1:3], -1, -1)


def row_blocks(rows: int, scores: int) -> Iterator[slice]:
    """Return blocks of rows, for the number of ``scores`` in one chunk of a row."""
    count = max(1, CACHED // scores)
    return (slice(first, first + count) for first in range(0, rows, count))


def chunk_slices(length: int, chunk: int) -> list[slice]:
    """Return equal chunks of at most ``chunk`` positions; the last one may be shorter."""
    size = even(length, chunk)
    return [slice(first, min(first + size, length)) for first in range(0, length, size)]


def part(x: Tensor, rows: slice, positions: slice) -> Tensor:
    """Return a block of rows and positions as ``[n, h, c, C]``."""
    return x[rows, :, :, positions].flatten(0, 1).contiguous()


def write(out: Tensor, rows: slice, positions: slice, values: Tensor) -> None:
    """Write values ``[n, h, c, C]`` to a block of ``out``."""
    block = out[rows, :, :, positions]
    block.copy_(values.view(block.shape))


def pair_decays(log_decay: Tensor, rows: slice, positions: slice, count: int) -> tuple[Tensor, Tensor]:
    """Return ``D_ij = a_{j+1} ... a_i`` for ``j <= i``, zero above the diagonal, and ``a_1 ... a_i``.

    They are ``[n, h, c, c]`` and ``[n, h, c, 1]`` for the ``count`` rows of a block, or one for all rows and groups.
    The exponents are differences of running sums. The sums are in float64, split into two float32 numbers, because the
    difference would otherwise lose the digits of a weak decay after strong ones.
    """
    shared = len(log_decay) == 1
    sums = (log_decay if shared else log_decay[rows])[:, :, :, positions].flatten(0, 1).double().cumsum(-2)
    high = sums.to(log_decay.dtype)
    between = high - high.mT
    if log_decay.dtype != torch.float64:
        low = (sums - high).to(log_decay.dtype)
        between += low
        between -= low.mT
    decays = between.exp_().tril_(), high.exp()
    if shared and len(sums) > 1:
        return decays[0].repeat(count, 1, 1, 1), decays[1].repeat(count, 1, 1, 1)
    return decays


def fold_replicas_into_rows(function: Any, size: int, in_dims: tuple[int | None, ...], tensors: Any) -> Any:
    """Call ``function`` for a population, as the ``vmap`` rule of a function on five axes; all outputs are batched."""
    moved = [x if dim is None else x.movedim(dim, 0) for x, dim in zip(tensors, in_dims, strict=True)]
    rows, groups = (max(x.shape[axis] for x in moved) for axis in (-5, -4))
    folded = []
    for x, dim in zip(moved, in_dims, strict=True):
        if dim is None and len(x) == 1 < rows:
            folded.append(x)  # all rows share it
        else:
            folded.append(x.expand(size, rows, groups, *x.shape[-3:]).flatten(0, 1))
    out = function(*folded)
    return tuple(x.unflatten(0, (size, rows)) for x in out), (0,) * len(out)


def later_sum(x: Tensor) -> Tensor:
    """Sum each position and all later ones, ``[..., L, 1]``."""
    return x.flip(-2).cumsum(-2).flip(-2)


def earlier_sum(x: Tensor) -> Tensor:
    """Sum all positions before each one, ``[..., L, 1]``."""
    return F.pad(x[..., :-1, :].cumsum(-2), (0, 0, 1, 0))


def crossing(size: int, like: Tensor) -> Tensor:
    """Return ``[c * c, c]``: whether the decay of position ``t`` is between the positions ``i >= t > j`` of a pair."""
    position = torch.arange(size, device=like.device)
    query, key = position[:, None, None] >= position, position[None, :, None] < position
    return (query & key).flatten(0, 1).to(like.dtype)
