"""The state that a scan leaves behind, from any form or kernel that returns only what queries read.

At appended positions nothing is written and nothing decays, because keys, values, rates and logarithms of decays are
zero. Their queries are the unit vectors, so what the ``i``-th of them reads is row ``i`` of the state.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def with_state(form: Callable[..., Tensor], q: Tensor, *updates: Tensor) -> tuple[Tensor, Tensor]:
    """Return the result of ``form(q, *updates)`` and the state after the last position.

    Args:
        form: returns ``S_t^T q_t`` at each position, ``[..., L, V]``. Where all updates are zero, it keeps ``S``.
        q: queries ``[..., L, E]``.
        updates: the other arguments of the form, ``[..., L, C]`` each.

    Returns:
        ``[..., L, V]`` and ``[..., E, V]``.
    """
    length, size = q.shape[-2:]
    units = torch.eye(size, dtype=q.dtype, device=q.device).expand(*q.shape[:-2], -1, -1)
    padded = (F.pad(x, (0, 0, 0, size)) for x in updates)
    out = form(torch.cat((q, units), dim=-2), *padded)
    return out[..., :length, :], out[..., length:, :]
