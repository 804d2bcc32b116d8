"""Scan: all prefixes of a product in log2(n) passes over the whole row, for any associative operation.

Hillis and Steele 1986 ("Data Parallel Algorithms"). A loop over the positions would do the same in n small steps.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Combine = Callable[[Tensor, Tensor], Tensor]


def prefixes(combine: Combine, factors: Tensor) -> Tensor:
    """Return the products ``x_1``, ``x_1 x_2``, ``x_1 x_2 x_3``, ... of the factors ``[B, N, ...]``.

    ``combine`` takes the earlier and the later factors, and multiplies them elementwise.
    """
    reach = 1
    while reach < factors.shape[1]:
        factors = torch.cat((factors[:, :reach], combine(factors[:, :-reach], factors[:, reach:])), dim=1)
        reach *= 2
    return factors


def after(earlier: Tensor, later: Tensor) -> Tensor:
    """Compose maps of a small set, long ``[..., S]``: first the earlier, then the later."""
    return later.gather(-1, earlier)
