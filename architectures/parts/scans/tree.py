"""Prefix folds over a balanced tree: the value before each element, for an operator that need not be associative.

Yau et al. 2025, "Sequential-Parallel Duality in Prefix-Scannable Models", section 3. Blocks of ``2^l`` elements that
start at a multiple of ``2^l`` are folded as balanced trees. A prefix is cut into such blocks, as its length is into
powers of two, and their folds are combined from the first, the largest, to the last: seven elements give
``(((ab)(cd))(ef))g``. Two algorithms give the same brackets:

    prefixes    all prefixes at once, in ``2 log2 K`` rounds (Blelloch 1990: up-sweep and down-sweep)
    Counter     one element after another, with ``log2 K`` values kept, as the digits of a binary counter
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Operator = Callable[[Tensor, Tensor], Tensor]
"""Combines two values ``[K, ...]`` that are next to each other, for ``K`` pairs at once."""


def prefixes(elements: Tensor, combine: Operator) -> Tensor:
    """Return the folds of the first 1, 2, ... ``K`` elements of ``[K, ...]``, ``K >= 1``."""
    folds = [elements]  # up: the folds of all whole blocks of 1, 2, 4, ... elements
    while len(folds[-1]) > 1:
        whole = len(folds[-1]) // 2
        folds.append(combine(folds[-1][: 2 * whole : 2], folds[-1][1 : 2 * whole : 2]))
    out = folds[-1]  # down: the prefixes whose length is a multiple of the blocks' size
    for blocks in reversed(folds[:-1]):
        odd = blocks[::2]  # a prefix of an odd number of blocks ends with one more
        later = combine(out[: len(odd) - 1], odd[1:]) if len(odd) > 1 else odd[:0]
        odd = torch.cat((odd[:1], later))
        out = interleave(odd, out)
    return out


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Return ``first[0], second[0], first[1], ...``; ``first`` has as many elements, or one more."""
    pairs = torch.stack((first[: len(second)], second), dim=1).flatten(0, 1)
    return torch.cat((pairs, first[len(second) :]))


class Counter(NamedTuple):
    """The folds of the blocks of a prefix: ``folds[l]`` is that of ``2^l`` elements, or ``None`` if there is none."""

    folds: tuple[Tensor | None, ...] = ()

    def add(self, element: Tensor, combine: Operator) -> "Counter":
        """Return the counter after one more element; full blocks merge as a carry moves."""
        folds = list(self.folds)
        for level, fold in enumerate(folds):
            if fold is None:
                folds[level] = element
                return Counter(tuple(folds))
            element, folds[level] = combine(fold[None], element[None])[0], None
        return Counter((*folds, element))

    def prefix(self, combine: Operator) -> Tensor | None:
        """Return the fold of all elements, ``None`` if there is none."""
        result = None
        for fold in reversed([fold for fold in self.folds if fold is not None]):
            result = fold if result is None else combine(result[None], fold[None])[0]
        return result
