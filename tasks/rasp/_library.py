"""The library of RASP-L, made of core operations alone: what the paper's programs are written in.

Everything is about the positions up to the own, which counts among them. Truth is 0 or 1.
"""

import operator
from collections.abc import Callable
from typing import Any

from tasks.rasp._language import (
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
"""Predicates for ``select`` (key, then query), and comparisons of two sequences."""

NOTHING = -127
"""What :func:`where` marks what it drops with, the lowest integer; no token has it."""

_AGGREGATES = {"mean": aggr_mean, "max": aggr_max, "min": aggr_min}


def true(key: Value, query: Value) -> Value:
    """Look at everything."""
    return (key == key) | (query == query)


def aggr(selector: Selector, v: Sequence, default: int = 0, reduction: str = "mean") -> Sequence:
    """Reduce what is looked at by its ``mean``, ``max`` or ``min``."""
    return _AGGREGATES[reduction](selector, v, default)


def kqv(
    k: Sequence, q: Sequence, v: Sequence, predicate: Predicate, default: int = 0, reduction: str = "mean"
) -> Sequence:
    """Select by keys and queries, then reduce the values: one attention head."""
    return aggr(select(k, q, predicate), v, default, reduction)


def shift_right(x: Sequence, n: int = 1, default: int = 0) -> Sequence:
    """Return the value ``n`` positions before; ``default`` where there is none."""
    here = moved = indices(x)
    for _ in range(n):
        moved = moved + 1
    return kqv(moved, here, x, equals, default, "max")


def cumsum(truth: Sequence) -> Sequence:
    """Return how often it was true so far, an index."""
    return sel_width(select(truth, full(truth, 1), equals))


def mask(x: Sequence, truth: Sequence, default: int = 0) -> Sequence:
    """Return ``x`` where it is true, ``default`` elsewhere."""
    return seq_map(x, truth, lambda value, kept: choose(kept, value, default))


def where(truth: Sequence, one: Sequence, other: Sequence) -> Sequence:
    """Return ``one`` where it is true, ``other`` elsewhere."""
    kept = mask(one, truth, NOTHING)
    return seq_map(kept, other, lambda a, b: choose(a == NOTHING, b, a))


def maximum(x: Sequence) -> Sequence:
    """Return the largest value so far."""
    return kqv(x, x, x, true, reduction="max")


def minimum(x: Sequence) -> Sequence:
    """Return the smallest value so far."""
    return kqv(x, x, x, true, reduction="min")


def argmax(x: Sequence) -> Sequence:
    """Return where the largest value so far was last, an index."""
    return lasts(x, maximum(x))


def argmin(x: Sequence) -> Sequence:
    """Return where the smallest value so far was last, an index."""
    return lasts(x, minimum(x))


def num_prev(x: Sequence, queries: Sequence) -> Sequence:
    """Return how often the query has occurred, an index."""
    return sel_width(select(x, queries, equals))


def has_seen(x: Sequence, queries: Sequence) -> Sequence:
    """Return whether the query has occurred."""
    return num_prev(x, queries) > 0


def firsts(x: Sequence, queries: Sequence, default: int = -1) -> Sequence:
    """Return where the query occurred first, an index."""
    return kqv(x, queries, indices(x), equals, default, "min")


def lasts(x: Sequence, queries: Sequence, default: int = -1) -> Sequence:
    """Return where the query occurred last, an index."""
    return kqv(x, queries, indices(x), equals, default, "max")


def index_select(x: Sequence, index: Sequence, default: int = 0) -> Sequence:
    """Return the value at an earlier position."""
    return kqv(indices(x), index, x, equals, default, "max")


def first_true(truth: Sequence, default: int = -1) -> Sequence:
    """Return where it was true first, an index."""
    return firsts(truth, full(truth, 1), default)


def induct_kqv(k: Sequence, q: Sequence, v: Sequence, offset: int = 1, default: int = 0, null: int = -9) -> Sequence:
    """Return the value ``offset`` positions after the first key that equals the query: an induction head."""
    return index_select(v, firsts(shift_right(k, offset, null), q), default)


def induct(k: Sequence, q: Sequence, offset: int = 1, default: int = 0, null: int = -9) -> Sequence:
    """Return the key ``offset`` positions after the first one that equals the query."""
    return induct_kqv(k, q, k, offset, default, null)


def induct_prev(k: Sequence, q: Sequence, offset: int = 1, default: int = 0, null: int = -9) -> Sequence:
    """Return the key ``offset`` positions after the last one that equals the query."""
    return index_select(k, lasts(shift_right(k, offset, null), q), default)


def mode(x: Sequence) -> Sequence:
    """Return the most frequent value so far; of several, the largest."""
    times = num_prev(x, x)
    return kqv(times, maximum(times), x, equals, reduction="max")


def binary_mode(x: Sequence) -> Sequence:
    """Return whether more than half of the values so far, zeros and ones, are ones."""
    return tok_map(kqv(x, x, x, true), lambda mean: mean > 0.5)
