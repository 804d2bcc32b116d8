"""Finite groups by name: ``s5`` symmetric, ``a4`` alternating, ``z60`` cyclic, and direct products such as ``a4xz5``.

A permutation is written in one-line notation: ``2413`` maps 1 to 2, 2 to 4, 3 to 1 and 4 to 3. Products are applied
from left to right: first the left factor, then the right one.
"""

import re
from dataclasses import dataclass
from functools import reduce
from itertools import permutations
from math import factorial, prod

import torch
from torch import Tensor

LARGEST = 720
"""The largest order of a group; its multiplication table has ``order ** 2`` entries."""


@dataclass(frozen=True)
class Group:
    """A group of named elements, the identity first.

    Attributes:
        names: the elements.
        table: long ``[order, order]``, the product of two elements.
        swaps: ids of the elements that exchange two points and fix the others; direct products have none.
    """

    names: tuple[str, ...]
    table: Tensor
    swaps: tuple[int, ...] = ()


def group_named(name: str) -> Group:
    """Build a group; raise :class:`ValueError` if the name is unknown or the group is too large."""
    factors = [_factor(part, name) for part in name.lower().split("x")]
    order = prod(_order(kind, size) for kind, size in factors)
    if order > LARGEST:
        raise ValueError(f"group={name}: has {order} elements, must be at most {LARGEST}; the nearest is s6")
    return reduce(_product, (_cyclic(size) if kind == "z" else _permuting(kind, size) for kind, size in factors))


def _factor(part: str, name: str) -> tuple[str, int]:
    """Read one factor of a group's name as its kind and size."""
    if not re.fullmatch(r"z[1-9]\d*|[sa][1-9]", part):
        raise ValueError(f"group={name}: must be s, a or z with a number, or several joined by x; for example a4xz5")
    return part[0], int(part[1:])


def _order(kind: str, size: int) -> int:
    return size if kind == "z" else max(factorial(size) // (2 if kind == "a" else 1), 1)


def _cyclic(size: int) -> Group:
    elements = torch.arange(size)
    return Group(tuple(map(str, range(size))), (elements[:, None] + elements) % size)


def _permuting(kind: str, size: int) -> Group:
    """Return the group of all permutations of ``size`` points, or of the even ones."""
    elements = [images for images in permutations(range(size)) if kind == "s" or _inversions(images) % 2 == 0]
    images, weights = torch.tensor(elements), size ** torch.arange(size).flip(0)
    products = images[:, images].transpose(0, 1)  # [first, second, point]: the second applied to the image of the first
    # Elements are in lexical order, so their codes ascend, and binary search finds the ids of the products.
    table = torch.searchsorted((images * weights).sum(-1), (products * weights).sum(-1))
    swaps = [index for index, element in enumerate(elements) if sum(p != q for p, q in enumerate(element)) == 2]
    return Group(tuple("".join(str(1 + image) for image in element) for element in elements), table, tuple(swaps))


def _inversions(element: tuple[int, ...]) -> int:
    return sum(a > b for index, a in enumerate(element) for b in element[index + 1 :])


def _product(left: Group, right: Group) -> Group:
    """Return the direct product: pairs of elements, multiplied componentwise."""
    names = tuple(f"{a},{b}" for a in left.names for b in right.names)
    pairs = left.table[:, None, :, None] * len(right.names) + right.table[None, :, None, :]
    return Group(names, pairs.reshape(len(names), len(names)))
