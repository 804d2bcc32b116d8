"""Fully bracketed expressions of an exact length, drawn and evaluated for all rows and all nodes of a depth at once.

Deletang et al. 2023, modular arithmetic with brackets. An expression of up to four symbols is a number ``d``, ``-d``,
``(d)`` or ``(-d)``. A longer one is ``(L op R)``: the length of ``L`` is uniform with at least one symbol left for
``R``, and both are drawn in the same way.

Tokens are the numbers ``0`` to ``modulus - 1``, then ``( ) + - *``, where ``*`` is optional.
"""

import torch
from torch import Tensor

from tasks.base import Stream

SIGNS = ("(", ")", "+", "-", "*")
OPEN, CLOSE, PLUS, MINUS, TIMES = range(5)
FRAME = 3
"""Number of symbols of ``(L op R)`` besides ``L`` and ``R``."""

LEAF = 4
"""The longest expression without an operator."""


def draw_expression(length: int, modulus: int, operators: int, stream: Stream) -> Tensor:
    """Draw expressions, long ``[B, length]``, over the first ``operators`` of ``+ - *``.

    A number, an operator and a split are drawn for every position, and each node uses those of its first position. The
    nodes of one depth are split together.
    """
    numbers, operator = stream.integers(modulus, length), stream.integers(operators, length)
    split = stream.uniform(length)
    tokens = numbers.clone()
    row = torch.arange(stream.rows, device=stream.device)
    first, size = torch.zeros_like(row), torch.full_like(row, length)
    while len(row):
        leaf = size <= LEAF
        _write_leaves(tokens, modulus, row[leaf], first[leaf], size[leaf])
        row, first, size = row[~leaf], first[~leaf], size[~leaf]
        left = 1 + (split[row, first] * (size - LEAF)).long()
        middle = first + 1 + left
        tokens[row, first] = modulus + OPEN
        tokens[row, middle] = modulus + PLUS + operator[row, first]
        tokens[row, first + size - 1] = modulus + CLOSE
        row, first = torch.cat((row, row)), torch.cat((first + 1, middle + 1))
        size = torch.cat((left, size - FRAME - left))
    return tokens


def _write_leaves(tokens: Tensor, modulus: int, row: Tensor, first: Tensor, size: Tensor) -> None:
    """Write the brackets and signs of leaves; the numbers are already in ``tokens``."""
    bracket, minus = size > 2, size % 2 == 0
    tokens[row[bracket], first[bracket]] = modulus + OPEN
    tokens[row[bracket], (first + size - 1)[bracket]] = modulus + CLOSE
    tokens[row[minus], (first + bracket)[minus]] = modulus + MINUS


def evaluate(tokens: Tensor, modulus: int) -> Tensor:
    """Return the values of expressions ``[B, N]``, long ``[B, 1]``, evaluated from the deepest brackets outwards.

    The value of a node is stored at its first position: that of ``L`` follows the bracket, that of ``R`` follows the
    operator.
    """
    sign = tokens - modulus
    depth = (sign == OPEN).long().cumsum(1) - (sign == CLOSE).long().cumsum(1)
    value = _leaf_values(tokens, modulus)
    is_operator = (sign >= PLUS) & ((sign != MINUS) | _follows_a_value(sign))
    row, middle = is_operator.nonzero(as_tuple=True)
    first = _brackets_of(sign, depth, is_operator)[row, middle]
    order = depth[row, middle].argsort(descending=True, stable=True)
    counts = torch.bincount(depth[row, middle]).flip(0).tolist()
    for nodes in order.split(counts):
        r, f, m = row[nodes], first[nodes], middle[nodes]
        value[r, f] = _apply(sign[r, m], value[r, f + 1], value[r, m + 1]) % modulus
    return value[:, :1]


def _follows_a_value(sign: Tensor) -> Tensor:
    """Return whether the previous symbol is a number or a closing bracket, bool ``[B, N]``."""
    ends = (sign < 0) | (sign == CLOSE)
    return torch.cat((torch.zeros_like(ends[:, :1]), ends[:, :-1]), dim=1)


def _leaf_values(tokens: Tensor, modulus: int) -> Tensor:
    """Return the value of each leaf at its first position, long ``[B, N]``; other positions have arbitrary values."""
    following = torch.cat((tokens[:, 1:], tokens[:, -1:]), dim=1)
    value = torch.where(tokens == modulus + MINUS, -following, tokens)
    inside = torch.cat((value[:, 1:], value[:, -1:]), dim=1)
    return torch.where(tokens == modulus + OPEN, inside, value) % modulus


def _brackets_of(sign: Tensor, depth: Tensor, is_operator: Tensor) -> Tensor:
    """Return for every operator the position of its opening bracket, long ``[B, N]``: the last one of the same depth.

    Opening brackets and operators, sorted by depth and then by position, alternate. Each operator therefore directly
    follows its bracket.
    """
    position = torch.arange(sign.shape[1], device=sign.device)
    relevant = is_operator | (sign == OPEN)
    order = torch.where(relevant, depth, sign.shape[1]).argsort(dim=1, stable=True)
    before = torch.cat((order[:, :1], order[:, :-1]), dim=1)
    return position.expand_as(sign).scatter(1, order, before)


def _apply(sign: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.where(sign == TIMES, left * right, torch.where(sign == MINUS, left - right, left + right))
