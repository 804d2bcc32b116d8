"""Linear attention with decay: ``S_t = diag(a_t) S_{t-1} + k_t v_t^T`` and ``o_t = S_t^T q_t``, from ``S_0 = 0``.

The state is a matrix ``[E, V]`` whose rows decay. One decay for all rows gives RetNet (a constant) and Mamba-2 (from
the input); one decay for each row gives GLA and RWKV-6. Four forms compute the same function (Sun et al. 2023, section
2.1; Yang et al. 2023, "Gated Linear Attention Transformers", section 4):

    recurrent   the equation, step by step
    parallel    ``o = (Q K^T * decay between the two) V``, quadratic in the length
    chunked     parallel inside chunks, recurrent from chunk to chunk
    stepwise    recurrent, on a CPU in place and with gradients by hand (``stepwise.py``)

Papers add a normaliser, a bonus for the current token, or negative decays. :func:`normalised`, :func:`with_bonus` and
:func:`signed` add these to any form, and to a kernel with the same arguments.

Shapes in all forms, where ``...`` is batch and heads: queries and keys ``[..., L, E]``, values ``[..., L, V]``, and
``log_decay``, the logarithm of ``a``, ``[..., L, 1]`` or ``[..., L, E]``. Batch and heads of ``log_decay`` may be
broadcast. The result is ``[..., L, V]``.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.parts.kernel_choice import suits_hand_gradients
from architectures.parts.scans import decay_blocks, diagonal, rules
from architectures.parts.scans.rows import later_sum
from architectures.parts.scans.stepwise import scan

Form = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

CHUNK, ROW_CHUNK = 64, 16
"""Positions in a chunk with one decay for all rows, and with one decay for each row."""

STEPWISE_STATE = 32 * 32
"""The largest state ``E x V`` for which ``stepwise`` was faster than ``chunked``, with one decay for each row.

On one core (batch 64, 4 heads, forward and backward) it took half the time with states of 16 x 16, 0.85 of it with
32 x 32, and 1.6 to 1.9 times as long with 64 x 64, at lengths 21 to 81. Without gradients, and with states of 8 x 16,
``chunked`` took 1.1 ms instead of 30 for one row of length 512, and 89 ms instead of 60 for 64 rows.
"""

SHORT = 32
"""Up to this length autograd was as fast as gradients by hand (mLSTM, one core: 2.3 ms against 2.5 at length 21)."""


def recurrent(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Run the equation step by step."""
    state = torch.zeros_like(k[..., 0, :, None] * v[..., 0, None, :])  # [..., E, V]
    out = []
    for q_t, k_t, v_t, log_decay_t in zip(*(x.unbind(-2) for x in (q, k, v, log_decay)), strict=True):
        state = update(state, k_t, v_t, log_decay_t)
        out.append(read(state, q_t))
    return torch.stack(out, dim=-2)


def update(state: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return the next state ``[..., E, V]``, for one position's key ``[..., E]``, value ``[..., V]`` and decay."""
    return log_decay.exp()[..., None] * state + k[..., None] * v[..., None, :]


def read(state: Tensor, q: Tensor) -> Tensor:
    """Return the value ``[..., V]`` that a query ``[..., E]`` of one position reads from the state."""
    return (q[..., None, :] @ state)[..., 0, :]


def final_state(k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return the state after the last position, ``sum_j (a_{j+1} ... a_L * k_j) v_j^T``: ``[..., E, V]``."""
    after = later_sum(F.pad(log_decay[..., 1:, :], (0, 0, 0, 1)))
    return (after.exp() * k).transpose(-1, -2) @ v


def parallel(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Compute the scores of all pairs of positions at once."""
    return scores(q, k, log_decay) @ v


def scores(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """Return ``q_i . (a_{j+1} ... a_i * k_j)`` for all ``j <= i``, zero above the diagonal: ``[..., L, L]``."""
    if log_decay.shape[-1] > 1:
        return row_decay_block(q, k, log_decay)[0]
    return (q @ k.transpose(-1, -2)) * between(log_decay).exp()


def block(q: Tensor, k: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the scores within a block of positions, and the terms that connect it with other blocks.

    These terms are queries with the decay since the first position, ``a_1 ... a_i * q_i``, keys with the decay until
    the last position, ``a_{j+1} ... a_L * k_j``, and the logarithm of the decay of the whole block, ``[..., 1, E]``.
    """
    if log_decay.shape[-1] > 1:
        return row_decay_block(q, k, log_decay)
    decays, since = between(log_decay).exp(), log_decay.cumsum(-2)
    return (q @ k.transpose(-1, -2)) * decays, q * since.exp(), k * decays[..., -1, :, None], since[..., -1:, :]


def between(log_decay: Tensor) -> Tensor:
    """Return the logarithm of the decay ``a_{j+1} ... a_i``: ``[..., L, L]``, ``-inf`` for ``j > i``.

    The sum is computed separately for each pair. A difference of two running sums would lose the digits of a weak
    decay after strong ones, and a ratio of two running products would be 0 / 0.
    """
    length = log_decay.shape[-2]
    ahead = torch.ones(length, length, dtype=torch.bool, device=log_decay.device).triu()  # j >= i
    sums = log_decay.masked_fill(ahead, 0.0).cumsum(-2)
    return sums.masked_fill(~ahead.T, -math.inf)


def row_decay_block(q: Tensor, k: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a :func:`block` of positions for one decay in each row, without ``L^2 E`` decays for all pairs.

    It merges adjacent blocks and so doubles their size. The decay from a key of the left block to a query of the right
    block is the decay from the key to the border times the decay from the border to the query. The scores between two
    blocks are therefore one matrix product, without division.
    """
    length = q.shape[-2]
    missing = power_of_two(length) - length
    q, k, log_decay = (F.pad(x, (0, 0, 0, missing))[..., None, :] for x in (q, k, log_decay))  # blocks [..., N, 1, E]
    out, q = (q * k).sum(-1, keepdim=True), q * log_decay.exp()
    while out.shape[-3] > 1:
        (q_left, q_right), (k_left, k_right), (left, right) = halves(q), halves(k), halves(out)
        across = q_right @ k_left.transpose(-1, -2)
        none = out.new_zeros(()).expand(across.shape)
        out = torch.cat((torch.cat((left, none), dim=-1), torch.cat((across, right), dim=-1)), dim=-2)
        decay_left, decay_right = halves(log_decay)  # [..., N, 1, E]
        q = torch.cat((q_left, q_right * decay_left.exp()), dim=-2)
        k = torch.cat((k_left * decay_right.exp(), k_right), dim=-2)
        log_decay = decay_left + decay_right
    q, k = (x[..., 0, :length, :] for x in (q, k))
    return out[..., 0, :length, :length], q, k, log_decay[..., 0, :, :]


def halves(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Split pairs of adjacent blocks ``[..., 2 N, c, E]`` into left and right ones, ``[..., N, c, E]`` each."""
    return blocks[..., ::2, :, :], blocks[..., 1::2, :, :]


def power_of_two(length: int) -> int:
    """Return the smallest power of two that is at least ``length``."""
    return 1 << (length - 1).bit_length()


def chunked(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, chunk: int | None = None) -> Tensor:
    """Use equal chunks of at most 64 positions; with one decay for each row, padded chunks of 16.

    On one core (RetNet, batch 64, width 64) 64 was within a tenth of the best of 16, 32, 64 and 128 at lengths 40 to
    200, and a quarter slower than 16 at 400. With one decay for each row (batch 64, 4 heads of 16 x 16, forward and
    backward) 16 was the best of 4, 8, 16 and 32 at lengths 40 and 200. It was faster than ``recurrent`` from length 20
    on: 11 ms against 17 at 20, 85 against 150 at 200.

    With one decay for all rows of the state and more than :data:`SHORT` positions, gradients are written by hand on a
    CPU (``decay_blocks.py``), unless all sequences of the batch share the decays. Their products are then cheap, and
    autograd was as fast (RetNet and linear attention, a training step at length 81).
    """
    by_hand = log_decay.shape[-1] == 1 and log_decay.dim() == v.dim() and v.shape[-2] > SHORT
    if by_hand and suits_hand_gradients(q, k, v, log_decay):
        return decay_blocks.chunked(q, k, v, log_decay, chunk or CHUNK)
    return chunked_by_autograd(q, k, v, log_decay, chunk)


def chunked_by_autograd(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, chunk: int | None = None) -> Tensor:
    """Return the result of :func:`chunked` for all chunks at once, with the gradients of autograd."""
    length, by_row = v.shape[-2], log_decay.shape[-1] > 1
    chunk = chunk or (ROW_CHUNK if by_row else CHUNK)
    if length <= chunk:
        return parallel(q, k, v, log_decay)
    chunk = chunk if by_row else diagonal.even(length, chunk)
    q, k, v, log_decay = (diagonal.split(x, chunk, dim=-2) for x in (q, k, v, log_decay))  # [..., K, c, E]
    weights, q, k, log_decay = block(q, k, log_decay)
    added = k.transpose(-1, -2) @ v  # [..., K, E, V]
    ends = diagonal.loop(log_decay.exp().transpose(-1, -2), added, dim=-3)
    entering = torch.cat((torch.zeros_like(added[..., :1, :, :]), ends[..., :-1, :, :]), dim=-3)
    return (weights @ v + q @ entering).flatten(-3, -2)[..., :length, :]


def stepwise(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return the result of :func:`recurrent` in place, with gradients by hand; elsewhere than on a CPU ``chunked``."""
    if suits_hand_gradients(q, k, v, log_decay):
        return scan(rules.RowDecay(), q, k, v, log_decay.exp().expand(*log_decay.shape[:-1], k.shape[-1]))
    return chunked(q, k, v, log_decay)


def cpu_form(state: int) -> str:
    """Return the form that ``auto`` takes on a CPU with one decay for each row, by the size ``E x V`` of the state."""
    return "stepwise" if state <= STEPWISE_STATE else "chunked"


def normalised(form: Form, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, floor: float = 1e-6) -> Tensor:
    """Divide by the form's result for values of one: a weighted mean of values, for positive queries and keys.

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
    """Read before the update, and weight the current token by ``bonus``, which broadcasts to the keys.

    ``o_t = (S_{t-1} + diag(bonus) k_t v_t^T)^T q_t`` (RWKV; Peng et al. 2024, section 4.1). The state before each
    update is the state of the sequence delayed by one step.
    """
    delayed = (F.pad(x[..., :-1, :], (0, 0, 1, 0)) for x in (k, v, log_decay))
    return form(q, *delayed) + present(q, k, v, bonus)


def present(q: Tensor, k: Tensor, v: Tensor, bonus: Tensor) -> Tensor:
    """Return the contribution of the current position, ``(q_t . bonus k_t) v_t``."""
    return (q * bonus * k).sum(-1, keepdim=True) * v


def signed(form: Form, q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Tensor:
    """Run a form with decays of either sign, ``[..., L, 1]``, not their logarithms.

    The sign of ``a_{j+1} ... a_i`` is the sign of ``a_1 ... a_i`` times the sign of ``a_1 ... a_j``. The first factor
    multiplies the output at ``i``, the second the value at ``j``.
    """
    sign, log_decay = sign_and_log(decay)
    running_sign = sign.cumprod(-2)
    return running_sign * form(q, k, running_sign * v, log_decay)


def sign_and_log(decay: Tensor, tiny: float = 1e-30) -> tuple[Tensor, Tensor]:
    """Return sign and logarithm of the magnitude; zero counts as ``tiny``, so that its gradient is finite."""
    decay = decay + tiny * (decay.detach().abs() < tiny)
    return decay.detach().sign(), decay.abs().log()
