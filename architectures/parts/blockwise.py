"""Blockwise attention: long sequences take a few queries at a time, so that no tensor covers all pairs of positions.

A block holds at most ``SIDE`` by ``SIDE`` pairs, or twice as many if a window limits the keys. The block size depends
on the lengths only, so that a sequence gets the same scores in every batch.
"""

from collections.abc import Callable, Iterator

from torch import Tensor

Bias = Tensor | Callable[[slice, slice], Tensor] | None
"""A bias added to the scores, ``[(B,) H, Lq, Lk]``; or a function that computes it for slices of queries and keys."""

SIDE = 512


def blocks(queries: int, keys: int, causal: bool = False, window: int = 0) -> Iterator[tuple[slice, slice]]:
    """Yield slices of queries, each with the slice of keys that it sees; a single block if there are few pairs.

    With ``causal``, the queries are the last positions, so that a block sees the keys up to its last query. ``window``
    is as in :func:`~architectures.parts.attention.attend`.
    """
    past, window = keys - queries, window if causal else 0
    width = queries if fits_one_block(queries, keys) else max(1, min(SIDE, SIDE**2 // (window or keys)))
    for start in range(0, queries, width):
        end = min(start + width, queries)
        first = max(0, past + start + 1 - window) if window else 0
        yield slice(start, end), slice(first, past + end if causal else keys)


def fits_one_block(queries: int, keys: int) -> bool:
    """Whether there are so few pairs that one block holds all of them."""
    return queries * keys <= SIDE**2


def full_bias(bias: Bias) -> Tensor | None:
    """Return the bias for all queries and all keys."""
    return bias if bias is None or isinstance(bias, Tensor) else bias(slice(None), slice(None))


def bias_block(bias: Bias, rows: slice, columns: slice, q: Tensor, k: Tensor) -> Tensor | None:
    """Return the bias for a slice of queries (rows) and a slice of keys (columns)."""
    if isinstance(bias, Tensor):
        return bias.expand(*bias.shape[:-2], q.shape[-2], k.shape[-2])[..., rows, columns]
    return None if bias is None else bias(rows, columns)
