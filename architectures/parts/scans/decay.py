"""Linear attention with decay: ``S_t = diag(a_t) S_{t-1} + k_t v_t^T`` and ``o_t = S_t^T q_t``, from ``S_0 = 0``.

The state is a matrix ``[E, V]`` whose rows decay. One decay for all rows gives RetNet (a constant) and Mamba-2 (from
the input), one decay a row gives GLA and RWKV-6. Three forms of the same function (Sun et al. 2023, section 2.1; Yang
et al. 2023, "Gated Linear Attention Transformers", section 4):

    recurrent   the equation, one step after another
    parallel    ``o = (Q K^T * decay between the two) V``, quadratic in the length
    chunked     parallel inside chunks, recurrent from chunk to chunk

Papers add a normaliser, a bonus for the present token, or decays of either sign. :func:`normalised`,
:func:`with_bonus` and :func:`signed` give these to any form, and to a kernel with the arguments of one.

Shapes in all of them, where ``...`` is batch and heads: queries and keys ``[..., L, E]``, values ``[..., L, V]``, and
``log_decay``, the logarithm of ``a``, ``[..., L, 1]`` or ``[..., L, E]``, whose batch and heads may be left to
broadcasting. The result is ``[..., L, V]``.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.parts.scans import diagonal

Form = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

CHUNK, ROW_CHUNK = 64, 16


def recurrent(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Run the equation step by step."""
    state = torch.zeros_like(k[..., 0, :, None] * v[..., 0, None, :])  # [..., E, V]
    out = []
    for each_q, each_k, each_v, each_decay in zip(*(x.unbind(-2) for x in (q, k, v, log_decay)), strict=True):
        state = update(state, each_k, each_v, each_decay)
        out.append(read(state, each_q))
    return torch.stack(out, dim=-2)


def update(state: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return the next state ``[..., E, V]``, for one position's key ``[..., E]``, value ``[..., V]`` and decay."""
    return log_decay.exp()[..., None] * state + k[..., None] * v[..., None, :]


def read(state: Tensor, q: Tensor) -> Tensor:
    """Return what one position's query ``[..., E]`` finds in the state, ``[..., V]``."""
    return (q[..., None, :] @ state)[..., 0, :]


def parallel(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Weigh all pairs of positions at once."""
    return scores(q, k, log_decay) @ v


def scores(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """Return ``q_i . (a_{j+1} ... a_i * k_j)`` for all ``j <= i``, zero above the diagonal: ``[..., L, L]``."""
    kept = between(log_decay).exp()
    if log_decay.shape[-1] == 1:
        return (q @ k.transpose(-1, -2)) * kept[..., 0]
    return torch.einsum("...ie,...je,...ije->...ij", q, k, kept)


def between(log_decay: Tensor) -> Tensor:
    """Return the decay from after ``j`` up to ``i``, as a logarithm: ``[..., L, L, E]``, ``-inf`` for ``j > i``.

    Each pair has its own sum. A difference of two running sums would lose the digits of a weak decay that follows
    strong ones; a ratio of two running products would be 0 / 0 there.
    """
    length = log_decay.shape[-2]
    ahead = torch.ones(length, length, dtype=torch.bool, device=log_decay.device).triu()[..., None]  # j >= i
    sums = log_decay[..., :, None, :].masked_fill(ahead, 0.0).cumsum(-3)
    return sums.masked_fill(~ahead.transpose(0, 1), -math.inf)


def chunked(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, chunk: int | None = None) -> Tensor:
    """Work in equal chunks of at most ``chunk`` positions: 64 by default, 16 with a decay a row.

    On one core (RetNet, batch 64, width 64) 64 was within a tenth of the best of 16, 32, 64 and 128 at lengths 40 to
    200, and a quarter behind 16 at 400. With a decay a row memory grows as ``L * chunk * E``, and one core is faster
    step by step: batch 64, 4 heads of 16 x 16, forward and backward at length 200, 0.17 s against 0.23, 0.30 and 0.57
    in chunks of 4, 8 and 16.
    """
    length = v.shape[-2]
    chunk = chunk or (CHUNK if log_decay.shape[-1] == 1 else ROW_CHUNK)
    if length <= chunk:
        return parallel(q, k, v, log_decay)
    chunk = diagonal.even(length, chunk)
    q, k, v, log_decay = (diagonal.split(x, chunk, dim=-2) for x in (q, k, v, log_decay))  # [..., K, c, E]
    since = log_decay.cumsum(-2)
    until = F.pad(log_decay[..., 1:, :], (0, 0, 0, 1)).flip(-2).cumsum(-2).flip(-2)
    added = (k * until.exp()).transpose(-1, -2) @ v  # [..., K, E, V]
    ends = diagonal.loop(since[..., -1, :, None].exp(), added, dim=-3)
    entering = torch.cat((torch.zeros_like(added[..., :1, :, :]), ends[..., :-1, :, :]), dim=-3)
    out = parallel(q, k, v, log_decay) + (q * since.exp()) @ entering
    return out.flatten(-3, -2)[..., :length, :]


def normalised(form: Form, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, floor: float = 1e-6) -> Tensor:
    """Divide by what the form gives for values of one: a weighted mean of values, for positive queries and keys.

    The normaliser is one more column of the state (Katharopoulos et al. 2020, equations 18 and 19).
    """
    return divide(form(q, k, with_ones(v), log_decay), floor)


def with_ones(v: Tensor) -> Tensor:
    """Append the column of the normaliser to values, ``[..., V + 1]``."""
    return F.pad(v, (0, 1), value=1.0)


def divide(out: Tensor, floor: float = 1e-6) -> Tensor:
    """Divide ``[..., V + 1]`` by its last column, plus a floor."""
    return out[..., :-1] / (out[..., -1:] + floor)


def with_bonus(form: Form, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, bonus: Tensor) -> Tensor:
    """Read before the update, and see the present token through ``bonus``, which broadcasts to the keys.

    ``o_t = (S_{t-1} + diag(bonus) k_t v_t^T)^T q_t`` (RWKV; Peng et al. 2024, section 4.1). The state before an update
    is that of a sequence which comes one step later.
    """
    late = (F.pad(x[..., :-1, :], (0, 0, 1, 0)) for x in (k, v, log_decay))
    return form(q, *late) + present(q, k, v, bonus)


def present(q: Tensor, k: Tensor, v: Tensor, bonus: Tensor) -> Tensor:
    """Return what queries see of their own positions' values."""
    return (q * bonus * k).sum(-1, keepdim=True) * v


def signed(form: Form, q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Tensor:
    """Run a form with decays of either sign, ``[..., L, 1]``, not their logarithms.

    The sign of ``a_{j+1} ... a_i`` is that of ``a_1 ... a_i`` times that of ``a_1 ... a_j``: one turns what is read at
    ``i``, the other the value of ``j``.
    """
    sign, log_decay = sign_and_log(decay)
    turned = sign.cumprod(-2)
    return turned * form(q, k, turned * v, log_decay)


def sign_and_log(decay: Tensor, tiny: float = 1e-30) -> tuple[Tensor, Tensor]:
    """Return sign and logarithm of the magnitude; zero counts as ``tiny``, so that its gradient is a number."""
    decay = decay + tiny * (decay.detach().abs() < tiny)
    return decay.detach().sign(), decay.abs().log()
