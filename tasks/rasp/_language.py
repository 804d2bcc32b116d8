"""RASP-L: programs over sequences that a causal transformer can hold, and that stay true at every length.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?", arXiv 2310.16028). A program is a Python function from one
:class:`Sequence`, the tokens so far, to another, the next token at each position. Calling it builds a graph of core
operations; :func:`evaluate` runs the graph on tokens ``[rows, L]``, all positions at once.

The rules are kept by what a value may do. A *token* is a bounded integer, computed with at will. An *index* is a
position or a number of positions; it grows with the length, so it may be compared, chosen and stepped by one, and
nothing else. A *mean* may be compared only. Nothing can be branched on, and nothing looks ahead.

Where it differs: the paper bounds every variable to int8, positions too; here indices are exempt, so that a program
runs at any length, but a program cannot give one out. ``kqv`` is two operations, ``select`` and one of ``aggr_*``.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import torch
from torch import Tensor

START, END = -1, -2
"""What stands between question and answer, and what ends an answer. Symbols are 0, 1, 2, ..."""

Kind = Literal["token", "index", "mean"]
COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


class RuleBroken(ValueError):
    """A program does what RASP-L does not allow."""


class Operators:
    """Python's operators, for whole sequences and for the values of one; truth is 0 or 1."""

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
    """What a function given to ``tok_map``, ``seq_map`` or ``select`` sees: ``data`` of any shape, and its kind."""

    data: Tensor
    kind: Kind = "token"

    def _binary(self, function: Callable[..., Any], other: Any) -> "Value":
        if isinstance(other, Sequence):
            raise RuleBroken("uses a sequence within a function: pass it as an argument, by `seq_map`")
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
        raise RuleBroken("computes with an index: it may only be compared, and stepped by + 1 or - 1")


def choose(condition: Value, one: Value | int, other: Value | int) -> Value:
    """Return ``one`` where the condition holds and ``other`` elsewhere: the `if` of a function on values."""
    parts = [part if isinstance(part, Value) else Value(torch.full_like(condition.data, part)) for part in (one, other)]
    kept = next((part for part in parts if part.kind != "token"), parts[0])
    return Value(torch.where(condition.data.bool(), parts[0].data, parts[1].data), kept.kind)


@dataclass(frozen=True, eq=False)
class Node:
    """A core operation: its name, what it works on, the function or constant it is given."""

    op: str
    inputs: tuple["Node", ...] = ()
    given: Any = None


class Sequence(Node, Operators):
    """An expression with a value at each position, which depends on this position and earlier ones only."""

    __hash__ = object.__hash__
    __eq__ = Operators.__eq__

    def _binary(self, function: Callable[..., Any], other: Any) -> "Sequence":
        if isinstance(other, Sequence):
            return seq_map(self, other, function)
        return Sequence("tok_map", (self,), partial(_with_constant, function, other))


class Selector(Node):
    """For each position, which positions up to it are looked at."""


def _with_constant(function: Callable[..., Any], constant: Any, value: Value) -> Value:
    return function(value, constant)


def full(x: Sequence, constant: int) -> Sequence:
    """Return the constant at each position."""
    return Sequence("full", (), constant)


def indices(x: Sequence) -> Sequence:
    """Return the positions 0, 1, 2, ..., an index."""
    return Sequence("indices")


def tok_map(x: Sequence, function: Callable[[Value], Any]) -> Sequence:
    """Apply a function to the value at each position."""
    return Sequence("tok_map", (x,), function)


def seq_map(x: Sequence, y: Sequence, function: Callable[[Value, Value], Any]) -> Sequence:
    """Apply a function to the two values at each position."""
    return Sequence("seq_map", (x, y), function)


def select(k: Sequence, q: Sequence, predicate: Callable[[Value, Value], Any], causal: bool = True) -> Selector:
    """Look from each position, with its query, at each position up to it whose key passes ``predicate(key, query)``."""
    if not causal:
        raise RuleBroken("selects what is not there yet: selection is causal")
    return Selector("select", (k, q), predicate)


def sel_width(selector: Selector) -> Sequence:
    """Return how many positions are looked at, an index."""
    return Sequence("sel_width", (selector,))


def aggr_mean(selector: Selector, v: Sequence, default: int = 0) -> Sequence:
    """Return the mean of what is looked at, which may only be compared; ``default`` where nothing is."""
    return Sequence("aggr_mean", (selector, v), default)


def aggr_max(selector: Selector, v: Sequence, default: int = 0) -> Sequence:
    """Return the largest value that is looked at; ``default`` where nothing is."""
    return Sequence("aggr_max", (selector, v), default)


def aggr_min(selector: Selector, v: Sequence, default: int = 0) -> Sequence:
    """Return the smallest value that is looked at; ``default`` where nothing is."""
    return Sequence("aggr_min", (selector, v), default)
