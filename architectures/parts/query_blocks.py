"""Long sequences: a few queries at a time, so that nothing is ever made for all pairs of positions.

A block holds at most ``SIDE`` by ``SIDE`` pairs, or twice as many where a window cuts keys off. Its size depends on the
lengths alone, so that a row scores the same in whatever company.
"""

from collections.abc import Callable, Iterator

from torch import Tensor

Bias = Tensor | Callable[[slice, slice], Tensor] | None
"""What is added to the scores, ``[(B,) H, Lq, Lk]``; or what makes it for some queries and some keys; or nothing."""

SIDE = 512


def blocks(queries: int, keys: int, causal: bool = False, window: int = 0) -> Iterator[tuple[slice, slice]]:
    """Cut the queries into blocks, one if they are few; yield each with the keys it sees.

    With ``causal`` queries are the last positions: the last keys of each block are its own. ``window`` as in attention.
    """
    before, window = keys - queries, window if causal else 0
    width = queries if queries * keys <= SIDE**2 else max(1, min(SIDE, SIDE**2 // (window or keys)))
    for start in range(0, queries, width):
        end = min(start + width, queries)
        first = max(0, before + start + 1 - window) if window else 0
        yield slice(start, end), slice(first, before + end if causal else keys)


def whole(bias: Bias) -> Tensor | None:
    """Return a bias for all queries and all keys."""
    return bias if bias is None or isinstance(bias, Tensor) else bias(slice(None), slice(None))


def part_of(bias: Bias, rows: slice, seen: slice, q: Tensor, k: Tensor) -> Tensor | None:
    """Return a bias for some queries and some keys."""
    if isinstance(bias, Tensor):
        return bias.expand(*bias.shape[:-2], q.shape[-2], k.shape[-2])[..., rows, seen]
    return None if bias is None else bias(rows, seen)
