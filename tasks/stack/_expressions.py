"""Fully bracketed expressions of an exact length, drawn and evaluated for all rows and all nodes of a depth at once.

Deletang et al. 2023, modular arithmetic with brackets. An expression of up to four symbols is a number ``d``, ``-d``,
``(d)`` or ``(-d)``. A longer one is ``(L op R)``: the length of ``L`` is uniform over what leaves a symbol for ``R``,
and both are drawn in the same way.

Tokens are the numbers ``0`` to ``modulus - 1``, then ``( ) + - *``, the last only where it is wanted.
"""

import torch
from torch import Tensor

from tasks.base import Stream

SIGNS = ("(", ")", "+", "-", "*")
OPEN, CLOSE, PLUS, MINUS, TIMES = range(5)
FRAME = 3
"""Symbols of ``(L op R)`` besides ``L`` and ``R``."""

LEAF = 4
"""The longest expression without an operator."""


def draw_expression(length: int, modulus: int, operators: int, stream: Stream) -> Tensor:
    """Draw expressions, long ``[B, length]``, over the first ``operators`` of ``+ - *``.

    Each node is known by the place where it begins, which tells it what was drawn for it: a number, an operator and
    where to split. The nodes of one depth are split together.
    """
    numbers, chosen = stream.integers(modulus, length), stream.integers(operators, length)
    where = stream.uniform(length)
    tokens = numbers.clone()
    row = torch.arange(stream.rows, device=stream.device)
    first, size = torch.zeros_like(row), torch.full_like(row, length)
    while len(row):
        leaf = size <= LEAF
        _write_leaves(tokens, modulus, row[leaf], first[leaf], size[leaf])
        row, first, size = row[~leaf], first[~leaf], size[~leaf]
        left = 1 + (where[row, first] * (size - LEAF)).long()
        middle = first + 1 + left
        tokens[row, first] = modulus + OPEN
        tokens[row, middle] = modulus + PLUS + chosen[row, first]
        tokens[row, first + size - 1] = modulus + CLOSE
        row, first = torch.cat((row, row)), torch.cat((first + 1, middle + 1))
        size = torch.cat((left, size - FRAME - left))
    return tokens


def _write_leaves(tokens: Tensor, modulus: int, row: Tensor, first: Tensor, size: Tensor) -> None:
    """Write the signs of the leaves of these nodes; every number is there already."""
    bracket, minus = size > 2, size % 2 == 0
    tokens[row[bracket], first[bracket]] = modulus + OPEN
    tokens[row[bracket], (first + size - 1)[bracket]] = modulus + CLOSE
    tokens[row[minus], (first + bracket)[minus]] = modulus + MINUS


def evaluate(tokens: Tensor, modulus: int) -> Tensor:
    """Return the values of expressions ``[B, N]``, long ``[B, 1]``, from the deepest brackets outwards.

    A node's value stands where the node begins: that of ``L`` one place after the bracket, that of ``R`` one place
    after the operator.
    """
    sign = tokens - modulus
    depth = (sign == OPEN).long().cumsum(1) - (sign == CLOSE).long().cumsum(1)
    value = _leaf_values(tokens, modulus)
    operator = (sign >= PLUS) & ((sign != MINUS) | _follows_a_value(sign))
    row, middle = operator.nonzero(as_tuple=True)
    first = _brackets_of(sign, depth, operator)[row, middle]
    order = depth[row, middle].argsort(descending=True, stable=True)
    counts = torch.bincount(depth[row, middle]).flip(0).tolist()
    for nodes in order.split(counts):
        r, f, m = row[nodes], first[nodes], middle[nodes]
        value[r, f] = _apply(sign[r, m], value[r, f + 1], value[r, m + 1]) % modulus
    return value[:, :1]


def _follows_a_value(sign: Tensor) -> Tensor:
    """Tell where the symbol before is a number or a closing bracket, bool ``[B, N]``."""
    ends = (sign < 0) | (sign == CLOSE)
    return torch.cat((torch.zeros_like(ends[:, :1]), ends[:, :-1]), dim=1)


def _leaf_values(tokens: Tensor, modulus: int) -> Tensor:
    """Return the value of each leaf where it begins, long ``[B, N]``; at other brackets and operators anything."""
    following = torch.cat((tokens[:, 1:], tokens[:, -1:]), dim=1)
    value = torch.where(tokens == modulus + MINUS, -following, tokens)
    inside = torch.cat((value[:, 1:], value[:, -1:]), dim=1)
    return torch.where(tokens == modulus + OPEN, inside, value) % modulus


def _brackets_of(sign: Tensor, depth: Tensor, operator: Tensor) -> Tensor:
    """Return for every operator the place of its opening bracket, long ``[B, N]``: the last one of the same depth.

    Brackets and operators sorted by depth alternate, so that an operator comes right after its bracket.
    """
    place = torch.arange(sign.shape[1], device=sign.device)
    known = operator | (sign == OPEN)
    order = torch.where(known, depth, sign.shape[1]).argsort(dim=1, stable=True)
    before = torch.cat((order[:, :1], order[:, :-1]), dim=1)
    return place.expand_as(sign).scatter(1, order, before)


def _apply(sign: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.where(sign == TIMES, left * right, torch.where(sign == MINUS, left - right, left + right))
