"""The library of RASP-L, built from core operations, in which the paper writes its programs.

All functions refer to the positions up to and including the current one. Booleans are 0 or 1.
"""

import operator
from collections.abc import Callable
from typing import Any

from tasks.rasp._language import (
    RuleBroken,
    Selector,
    Sequence,
    Value,
    aggr_max,
    aggr_mean,
    aggr_min,
    choose,
    full,
    indices,
    sel_width,
    select,
    seq_map,
    tok_map,
)

Predicate = Callable[[Any, Any], Any]

equals, leq, lt, geq, gt = operator.eq, operator.le, operator.lt, operator.ge, operator.gt
"""Predicates for ``select`` (key first, then query), and comparisons of two sequences."""

NOTHING = -127
"""The value with which :func:`where` marks dropped positions, the lowest integer; no token has it."""

NOWHERE = -(1 << 20)
"""An index that remains outside of every sequence when an offset is added to it."""

_AGGREGATES = {"mean": aggr_mean, "max": aggr_max, "min": aggr_min}


def true(key: Value, query: Value) -> Value:
    """Select every position."""
    return (key == key) | (query == query)


def aggr(selector: Selector, v: Sequence, default: int = 0, reduction: str = "mean") -> Sequence:
    """Reduce the selected values to their ``mean``, ``max`` or ``min``."""
    return _AGGREGATES[reduction](selector, v, default)


def kqv(
    k: Sequence, q: Sequence, v: Sequence, predicate: Predicate, default: int = 0, reduction: str = "mean"
) -> Sequence:
    """Select by keys and queries, then reduce the values: one attention head."""
    return aggr(select(k, q, predicate), v, default, reduction)


def shift_right(x: Sequence, n: int = 1, default: int = 0) -> Sequence:
    """Return the value ``n`` positions before; ``default`` if there is none, as everywhere for a negative ``n``."""
    position = indices(x)
    return kqv(_move(position, n), position, x, equals, default, "max")


def _move(index: Sequence, offset: int) -> Sequence:
    """Add an offset to an index in steps of one, the only steps that the language allows."""
    if not isinstance(offset, int):
        raise RuleBroken(f"shifts by {offset!r}: an offset is a whole number that is written in the program")
    for _ in range(abs(offset)):
        index = index + 1 if offset > 0 else index - 1
    return index


def cumsum(truth: Sequence) -> Sequence:
    """Return how often ``truth`` was true so far (an index)."""
    return sel_width(select(truth, full(truth, 1), equals))


def mask(x: Sequence, truth: Sequence, default: int = 0) -> Sequence:
    """Return ``x`` where ``truth`` is true, ``default`` elsewhere."""
    return seq_map(x, truth, lambda value, is_true: choose(is_true, value, default))


def where(truth: Sequence, one: Sequence, other: Sequence) -> Sequence:
    """Return ``one`` where ``truth`` is true, ``other`` elsewhere."""
    masked = mask(one, truth, NOTHING)
    return seq_map(masked, other, lambda a, b: choose(a == NOTHING, b, a))


def maximum(x: Sequence) -> Sequence:
    """Return the largest value so far."""
    return kqv(x, x, x, true, reduction="max")


def minimum(x: Sequence) -> Sequence:
    """Return the smallest value so far."""
    return kqv(x, x, x, true, reduction="min")


def argmax(x: Sequence) -> Sequence:
    """Return the last position of the largest value so far (an index)."""
    return lasts(x, maximum(x))


def argmin(x: Sequence) -> Sequence:
    """Return the last position of the smallest value so far (an index)."""
    return lasts(x, minimum(x))


def num_prev(x: Sequence, queries: Sequence) -> Sequence:
    """Return how often the query has occurred (an index)."""
    return sel_width(select(x, queries, equals))


def has_seen(x: Sequence, queries: Sequence) -> Sequence:
    """Return whether the query has occurred."""
    return num_prev(x, queries) > 0


def firsts(x: Sequence, queries: Sequence, default: int = -1) -> Sequence:
    """Return the first position of the query (an index)."""
    return kqv(x, queries, indices(x), equals, default, "min")


def lasts(x: Sequence, queries: Sequence, default: int = -1) -> Sequence:
    """Return the last position of the query (an index)."""
    return kqv(x, queries, indices(x), equals, default, "max")


def index_select(x: Sequence, index: Sequence, default: int = 0) -> Sequence:
    """Return the value at the position ``index``; ``default`` if it is not an earlier or the current position."""
    return kqv(indices(x), index, x, equals, default, "max")


def first_true(truth: Sequence, default: int = -1) -> Sequence:
    """Return the first position at which ``truth`` was true (an index)."""
    return firsts(truth, full(truth, 1), default)


def induct_kqv(k: Sequence, q: Sequence, v: Sequence, offset: int = 1, default: int = 0, null: int = -9) -> Sequence:
    """Return the value ``offset`` positions after the first key that equals the query: an induction head."""
    return index_select(v, firsts(shift_right(k, offset, null), q), default)


def induct(k: Sequence, q: Sequence, offset: int = 1, default: int = 0, null: int = -9) -> Sequence:
    """Return the key ``offset`` positions after the first one that equals the query."""
    return induct_kqv(k, q, k, offset, default, null)


def induct_prev(k: Sequence, q: Sequence, offset: int = -1, default: int = 0, null: int = NOWHERE) -> Sequence:
    """Return the key at ``offset`` from the first key that equals the query; the offset is usually negative."""
    return index_select(k, _move(firsts(k, q, null), offset), default)


def mode(x: Sequence) -> Sequence:
    """Return the most frequent value so far; in a tie, the largest."""
    counts = num_prev(x, x)
    return kqv(counts, maximum(counts), x, equals, reduction="max")


def binary_mode(x: Sequence) -> Sequence:
    """Return whether more than half of the values so far, zeros and ones, are ones."""
    return tok_map(kqv(x, x, x, true), lambda mean: mean > 0.5)
