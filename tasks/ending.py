"""Answers whose length is part of the answer: they are closed by ``$``, and nothing is asked after it."""

import torch
from torch import Tensor

from tasks.base import IGNORE

END = "$"


def closed(answer: Tensor, size: Tensor, end: int) -> Tensor:
    """Keep the first ``size`` tokens, long ``[B, 1]``, of each row ``[B, N]``, then ``end``; the rest is ignored."""
    place = torch.arange(answer.shape[1], device=answer.device)
    return answer.masked_fill(place == size, end).masked_fill(place > size, IGNORE)
