"""Prefix scan: all prefix products of a row in log2(n) passes over it, for any associative operation.

Hillis and Steele 1986 ("Data Parallel Algorithms"). A loop over the positions would take n small steps instead.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Combine = Callable[[Tensor, Tensor], Tensor]


def prefix_products(combine: Combine, factors: Tensor) -> Tensor:
    """Return the products ``x_1``, ``x_1 x_2``, ``x_1 x_2 x_3``, ... of the factors ``[B, N, ...]``.

    ``combine(earlier, later)`` multiplies two tensors of factors elementwise.
    """
    reach = 1
    while reach < factors.shape[1]:
        # Each product now covers ``reach`` factors; combining it with the one ``reach`` before doubles that.
        factors = torch.cat((factors[:, :reach], combine(factors[:, :-reach], factors[:, reach:])), dim=1)
        reach *= 2
    return factors


def compose_maps(earlier: Tensor, later: Tensor) -> Tensor:
    """Compose maps of a small set to itself, long ``[..., S]``: apply the earlier map, then the later one."""
    return later.gather(-1, earlier)
