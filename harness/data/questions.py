"""Questions as sets: a hash of each question, and the distinct questions of a batch."""

import torch
from torch import Tensor

from tasks.splitmix import splitmix64

HASHED_AT_ONCE = 1 << 22
"""The most tokens that are hashed at once."""


def question_hashes(source: Tensor) -> Tensor:
    """Return a 64-bit hash of each question ``[rows, S]``, long ``[rows]``, the same on every device."""
    position = torch.arange(source.shape[1], device=source.device)
    parts = source.split(max(1, HASHED_AT_ONCE // source.shape[1]))
    return torch.cat([splitmix64((part + 1) * splitmix64(position + 1)).sum(1) for part in parts])


def first_occurrences(source: Tensor) -> Tensor:
    """Return the distinct questions ``[N, S]`` of a batch ``[rows, S]``, in the order in which they first occur."""
    distinct, group = question_hashes(source).cpu().unique(return_inverse=True)
    rows = torch.arange(len(group))
    first = torch.full_like(distinct, len(group)).scatter_reduce_(0, group, rows, "amin")
    return source[first.sort().values.to(source.device)]
