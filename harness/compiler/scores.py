"""Scores of heads: what a selection of a program asks of queries and keys.

A predicate is known by its answers only, so it is applied to many pairs of values.
"""

from collections.abc import Callable
from typing import Any

import torch

from harness.compiler.circuit import PERIODS, PROGRAM, UNIT, Form, times, total
from harness.compiler.variables import GAP, NOWHERE, Place, Symbol
from tasks.rasp._language import Value

Scores = tuple[tuple[Form, Form], ...]
"""Pairs of forms of query and key; the sum of their products is 0 where selected and at most -1 elsewhere."""

SHARP = 30.0
"""Difference of scores from which on the smaller one has no weight."""

SOME = torch.tensor([*range(-20, 200), *range(200, PERIODS[-1], 97)])
"""Positions and numbers of which functions are applied to all pairs."""


def applied(function: Callable[..., Any], *values: Value) -> Value:
    """Apply a function of a program; one that returns a number is constant."""
    result = function(*values)
    return result if isinstance(result, Value) else Value(torch.full_like(values[0].data, int(result)))


def symbol_scores(k: Symbol, q: Symbol, predicate: Callable[..., Any]) -> Scores:
    """Return the scores of a selection by symbols: one product for each class of keys, or of queries if fewer."""
    keys, queries = sorted(k.forms), sorted(q.forms)
    grid = (
        Value(torch.tensor(keys)[:, None].expand(-1, len(queries))),
        Value(torch.tensor(queries).expand(len(keys), -1)),
    )
    rejected = applied(predicate, *grid).data == 0  # [K, Q]
    by_key = _classes(keys, k, rejected.tolist(), queries, q)
    by_query = _classes(queries, q, rejected.T.tolist(), keys, k)
    if len(by_key) <= len(by_query):
        return tuple((times(-1.0, other), one) for one, other in by_key)
    return tuple((times(-1.0, one), other) for one, other in by_query)


def _classes(
    values: list[int], symbol: Symbol, rejected: list[list[bool]], others: list[int], other: Symbol
) -> list[tuple[Form, Form]]:
    """Return, for each set of values that reject the same others, their form and that of the others."""
    members: dict[tuple[bool, ...], list[int]] = {}
    for value, row in zip(values, rejected, strict=True):
        if any(row):
            members.setdefault(tuple(row), []).append(value)
    return [
        (
            total(*(symbol.forms[value] for value in group)),
            total(*(other.forms[value] for value, is_rejected in zip(others, row, strict=True) if is_rejected)),
        )
        for row, group in members.items()
    ]


def place_scores(k: Place, q: Place) -> Scores:
    """Return the scores of a selection of equal positions."""
    products = list(zip(q.point, k.point, strict=True))
    constant = (times(-len(products) / 2, PROGRAM), PROGRAM)
    return tuple((times(1 / GAP, query), key) for query, key in (*products, constant))


def preference(v: Symbol | Place, sign: float, reach: int) -> tuple[Form, float]:
    """Return a form that is larger by :data:`SHARP` or more for a preferred value, and the spread of its values."""
    if isinstance(v, Place):
        return times(sign * SHARP * UNIT, v.value), SHARP * (reach - NOWHERE)
    ranked = sorted(v.forms)
    forms = (times(sign * SHARP * rank, v.forms[value]) for rank, value in enumerate(ranked))
    return total({}, *forms), SHARP * (len(ranked) - 1)


def is_equality(predicate: Callable[..., Any]) -> bool:
    """Whether a predicate selects equal positions or numbers."""
    return _on_grid(predicate, lambda difference: difference == 0)


def selects_all(predicate: Callable[..., Any]) -> bool:
    """Whether a predicate selects every position."""
    return _on_grid(predicate, lambda difference: difference == difference)


def _on_grid(predicate: Callable[..., Any], expected: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    differences, results = on_pairs(predicate)
    return torch.equal(results.data.bool(), expected(differences))


def on_pairs(function: Callable[..., Any]) -> tuple[torch.Tensor, Value]:
    """Apply a function to all pairs of :data:`SOME`; return their differences and the results."""
    one, other = SOME[:, None], SOME[None]
    pair = (Value(index.expand(len(SOME), len(SOME)), "index") for index in (one, other))
    return one - other, applied(function, *pair)
