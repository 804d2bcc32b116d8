"""Positions at which symbols occur first."""

import torch
from torch import Tensor


def first_positions(tokens: Tensor, size: int) -> Tensor:
    """Return where each id below ``size`` occurs first in each row ``[B, N]``: long ``[B, size]``, N if absent."""
    rows, width = tokens.shape
    position = torch.arange(width, device=tokens.device).expand(rows, width)
    return tokens.new_full((rows, size), width).scatter_reduce(1, tokens, position, "amin")
