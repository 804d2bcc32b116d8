"""Initial step sizes of state space models: log-uniform, and the inverse of softplus to store them.

Gu et al. 2022, "How to Train Your HiPPO"; the range is that of the authors of S4 and Mamba.
"""

import math

import torch
from torch import Tensor

SHORTEST, LONGEST = 1e-3, 1e-1


def log_uniform(*shape: int, low: float = SHORTEST, high: float = LONGEST) -> Tensor:
    """Draw numbers between ``low`` and ``high`` whose logarithms are uniform."""
    return torch.empty(shape).uniform_(math.log(low), math.log(high)).exp()


def inverse_softplus(x: Tensor) -> Tensor:
    """Return the number that softplus maps to ``x``."""
    return x + torch.log(-torch.expm1(-x))
