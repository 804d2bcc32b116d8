"""First places: where each symbol of a row appears first."""

import torch
from torch import Tensor


def first_places(tokens: Tensor, size: int) -> Tensor:
    """Return the first place of every id below ``size`` in each row ``[B, N]``: long ``[B, size]``, N where absent."""
    rows, width = tokens.shape
    place = torch.arange(width, device=tokens.device).expand(rows, width)
    return tokens.new_full((rows, size), width).scatter_reduce(1, tokens, place, "amin")
