"""The end token ``$`` of answers whose length is part of the answer; targets after it are ignored."""

import torch
from torch import Tensor

from tasks.base import IGNORE

END = "$"


def append_end(answer: Tensor, size: Tensor, end: int) -> Tensor:
    """Keep the first ``size`` tokens, long ``[B, 1]``, of each row ``[B, N]``, then write the token ``end``.

    Positions after the end token are ``IGNORE``. A row with ``size`` N has no room for the end token and gets none.
    """
    position = torch.arange(answer.shape[1], device=answer.device)
    return answer.masked_fill(position == size, end).masked_fill(position > size, IGNORE)
