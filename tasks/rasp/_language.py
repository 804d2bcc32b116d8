"""RASP-L: programs over sequences that a causal transformer can represent and that are correct at every length.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?", arXiv 2310.16028). A program is a Python function from one
:class:`Sequence`, the tokens so far, to another, the next token at each position. Calling it builds a graph of core
operations; :func:`evaluate` runs the graph on tokens ``[rows, L]``, all positions at once.

Values have a kind that limits which operations they support. A *token* is a bounded integer and supports all
operations. An *index* is a position or a number of positions. It grows with the length, so a program may only compare
it, choose it, and add or subtract one. A *mean* may only be compared. Programs cannot branch on values, and selection
is causal.

It differs from the paper in two ways. The paper bounds every variable to int8, including positions; here indices are
exempt, so that a program runs at any length, but it cannot output an index. ``kqv`` counts as two operations,
``select`` and one of ``aggr_*``.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import torch
from torch import Tensor

START, END = -1, -2
"""Tokens between source and answer, and at the end of the answer. Symbols are 0, 1, 2, ..."""

Kind = Literal["token", "index", "mean"]
COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


class RuleBroken(ValueError):
    """A program violates a rule of RASP-L."""


class Operators:
    """The Python operators of sequences and of their values; booleans are 0 or 1."""

    __hash__ = object.__hash__

    def _binary(self, function: Callable[..., Any], other: Any) -> Self:
        raise NotImplementedError

    def __add__(self, other: Any) -> Self:
        return self._binary(operator.add, other)

    def __radd__(self, other: Any) -> Self:
        return self._binary(operator.add, other)

    def __sub__(self, other: Any) -> Self:
        return self._binary(operator.sub, other)

    def __mul__(self, other: Any) -> Self:
        return self._binary(operator.mul, other)

    def __floordiv__(self, other: Any) -> Self:
        return self._binary(operator.floordiv, other)

    def __mod__(self, other: Any) -> Self:
        return self._binary(operator.mod, other)

    def __and__(self, other: Any) -> Self:
        return self._binary(operator.and_, other)

    def __or__(self, other: Any) -> Self:
        return self._binary(operator.or_, other)

    def __xor__(self, other: Any) -> Self:
        return self._binary(operator.xor, other)

    def __lt__(self, other: Any) -> Self:
        return self._binary(operator.lt, other)

    def __le__(self, other: Any) -> Self:
        return self._binary(operator.le, other)

    def __gt__(self, other: Any) -> Self:
        return self._binary(operator.gt, other)

    def __ge__(self, other: Any) -> Self:
        return self._binary(operator.ge, other)

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._binary(operator.eq, other)

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return self._binary(operator.ne, other)

    def __bool__(self) -> bool:
        raise RuleBroken("branches on a value: use `where`, or `choose` within a function")


@dataclass(frozen=True, eq=False)
class Value(Operators):
    """The argument of functions for ``tok_map``, ``seq_map`` and ``select``: ``data`` of any shape and its kind."""

    data: Tensor
    kind: Kind = "token"

    def _binary(self, function: Callable[..., Any], other: Any) -> "Value":
        if isinstance(other, Sequence):
            raise RuleBroken("uses a sequence within a function: pass it as an argument with `seq_map`")
        data = function(self.data, other.data if isinstance(other, Value) else other)
        if function in COMPARISONS:
            return Value(data.long())
        kinds = {self.kind, other.kind if isinstance(other, Value) else "token"}
        if "mean" in kinds:
            raise RuleBroken("computes with a mean: it may only be compared")
        if "index" not in kinds:
            return Value(data)
        if isinstance(other, int) and other == 1 and function in (operator.add, operator.sub):
            return Value(data, "index")
        raise RuleBroken("computes with an index: it may only be compared, or changed by + 1 or - 1")


def choose(condition: Value, one: Value | int, other: Value | int) -> Value:
    """Return ``one`` where the condition holds and ``other`` elsewhere: the conditional expression for values."""
    values = [
        item if isinstance(item, Value) else Value(torch.full_like(condition.data, item)) for item in (one, other)
    ]
    kind = next((value.kind for value in values if value.kind != "token"), values[0].kind)
    return Value(torch.where(condition.data.bool(), values[0].data, values[1].data), kind)


@dataclass(frozen=True, eq=False)
class Node:
    """A core operation: its name, its inputs, and a function or constant as parameter."""

    op: str
    inputs: tuple["Node", ...] = ()
    parameter: Any = None


class Sequence(Node, Operators):
    """An expression with a value at each position, which depends only on this position and earlier ones."""

    __hash__ = object.__hash__
    __eq__ = Operators.__eq__

    def _binary(self, function: Callable[..., Any], other: Any) -> "Sequence":
        if isinstance(other, Sequence):
            return seq_map(self, other, function)
        return Sequence("tok_map", (self,), partial(_with_constant, function, other))


class Selector(Node):
    """The positions that each position selects, up to and including itself."""


def _with_constant(function: Callable[..., Any], constant: Any, value: Value) -> Value:
    return function(value, constant)


def full(x: Sequence, constant: int) -> Sequence:
    """Return the constant at each position."""
    return Sequence("full", (), constant)


def indices(x: Sequence) -> Sequence:
    """Return the positions 0, 1, 2, ... (an index)."""
    return Sequence("indices")


def tok_map(x: Sequence, function: Callable[[Value], Any]) -> Sequence:
    """Apply a function to the value at each position."""
    return Sequence("tok_map", (x,), function)


def seq_map(x: Sequence, y: Sequence, function: Callable[[Value, Value], Any]) -> Sequence:
    """Apply a function to the two values at each position."""
    return Sequence("seq_map", (x, y), function)


def select(k: Sequence, q: Sequence, predicate: Callable[[Value, Value], Any], causal: bool = True) -> Selector:
    """Select for each query all positions up to its own whose key satisfies ``predicate(key, query)``."""
    if not causal:
        raise RuleBroken("selects later positions: selection is causal, so remove causal=False")
    return Selector("select", (k, q), predicate)


def sel_width(selector: Selector) -> Sequence:
    """Return the number of selected positions (an index)."""
    return Sequence("sel_width", (selector,))


def aggr_mean(selector: Selector, v: Sequence, default: int = 0) -> Sequence:
    """Return the mean of the selected values, which may only be compared; ``default`` if none is selected."""
    return Sequence("aggr_mean", (selector, v), default)


def aggr_max(selector: Selector, v: Sequence, default: int = 0) -> Sequence:
    """Return the largest selected value; ``default`` if none is selected."""
    return Sequence("aggr_max", (selector, v), default)


def aggr_min(selector: Selector, v: Sequence, default: int = 0) -> Sequence:
    """Return the smallest selected value; ``default`` if none is selected."""
    return Sequence("aggr_min", (selector, v), default)
