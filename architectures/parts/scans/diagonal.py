"""Diagonal linear recurrences: ``h_t = a_t * h_{t-1} + u_t``, channel by channel, from ``h_0 = 0``.

The decays may be any number, also zero, negative or complex. ``loop`` is the recurrence. ``chunked`` cuts time into
chunks, runs the loop over all chunks at once and then propagates the state from chunk to chunk. It takes ``2 sqrt(L)``
steps instead of ``L``, and twice the arithmetic and memory. This is faster on a GPU, where kernel launches limit the
speed. On one CPU core memory limits the speed, and the loop was faster at every size measured (forward and backward,
batch 64, one thread, ms):

==============  =====  ====  =======
channels        L      loop  chunked
==============  =====  ====  =======
64              20     0.6   0.9
64              200    9     14
16 x 128        20     13    34
16 x 128        200    210   1100
==============  =====  ====  =======
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def loop(decay: Tensor, inputs: Tensor, dim: int = 1) -> Tensor:
    """Return all states of ``h_t = decay_t * h_{t-1} + input_t``.

    Args:
        decay: ``a``, any shape that broadcasts to that of ``inputs`` and has the same length along ``dim``.
        inputs: ``u``, ``[..., L, ...]`` with time along ``dim``.
        dim: the axis of time in both.
    """
    state, states = None, []
    for a, u in zip(decay.unbind(dim), inputs.unbind(dim), strict=True):
        state = u if state is None else torch.addcmul(u, a, state)
        states.append(state)
    return torch.stack(states, dim)


def chunked(decay: Tensor, inputs: Tensor, chunk: int | None = None) -> Tensor:
    """Return the result of :func:`loop` for ``[B, L, ...]``; a chunk has ``sqrt(L)`` positions by default."""
    length = inputs.shape[1]
    chunk = chunk or math.isqrt(length - 1) + 1
    decay, inputs = split(decay, chunk, dim=1), split(inputs, chunk, dim=1)  # [B, K, c, ...]
    within = loop(decay, inputs, dim=2)
    since = running_product(decay, dim=2)
    ends = loop(since[:, :, -1], within[:, :, -1])  # [B, K, ...], the true state at each chunk's end
    entering = torch.cat((torch.zeros_like(ends[:, :1]), ends[:, :-1]), dim=1)[:, :, None]
    return torch.addcmul(within, since, entering).flatten(1, 2)[:, :length]


def running_product(x: Tensor, dim: int) -> Tensor:
    """Return the products of the first 1, 2, 3... entries; ``torch.cumprod`` divides by the entries in its gradient."""
    products = [x.select(dim, 0)]
    for factor in x.unbind(dim)[1:]:
        products.append(products[-1] * factor)
    return torch.stack(products, dim)


def split(x: Tensor, chunk: int, dim: int) -> Tensor:
    """Cut the axis ``dim`` of length ``L`` into ``(K, chunk)``, padded with zeros at its end."""
    missing = -x.shape[dim] % chunk
    later_axes = x.dim() - 1 - dim % x.dim()
    return F.pad(x, (0, 0) * later_axes + (0, missing)).unflatten(dim, (-1, chunk))


def even(length: int, chunk: int) -> int:
    """Return the size of equal chunks of at most ``chunk``; length 65 gives 2 chunks of 33, to avoid padding."""
    return math.ceil(length / math.ceil(length / chunk))
