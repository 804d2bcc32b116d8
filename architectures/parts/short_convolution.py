"""The short causal convolution: it mixes the last few positions of every channel before a linear recurrence.

A depthwise convolution, ``y_t = bias + sum_j weight_j * x_{t-j}`` with ``x`` zero before the start (Fu et al. 2022,
"Hungry Hungry Hippos", where it is the shift SSM; Gu & Dao 2023, figure 3). It is computed as a sum of shifted
sequences, because that took a fifth of the time of ``torch.nn.functional.conv1d`` on one CPU core (1.7 against 8.4 ms,
forward and backward, batch 64, length 20, 128 channels).

On a CPU the gradients are written by hand. A few rows at a time, which fit into the cache, go through all operations.
With ``g`` the gradient by ``y``: ``dx_t = sum_j weight_j * g_{t+j}``, ``dweight_j = sum_t g_t * x_{t-j}``.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from architectures.parts.kernel_choice import suits_hand_gradients

CACHED = 1 << 16
"""Numbers of a sequence tensor that are processed together: a quarter of a megabyte in float32."""


class ShortConvolution(nn.Module):
    """Map ``[B, L, D]`` to ``[B, L, D]``; initialised like ``nn.Conv1d``.

    Args:
        width: channels ``D``.
        size: number of positions that are mixed, including the current one. ``weight[0]`` belongs to the oldest.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.size = size
        bound = size**-0.5
        self.weight = nn.Parameter(torch.empty(size, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))

    def forward(self, x: Tensor, silu: bool = False) -> Tensor:
        """Convolve whole sequences, and apply SiLU if ``silu``."""
        if suits_hand_gradients(x, self.weight):
            return _Convolve.apply(x, self.weight, self.bias, silu)
        out = self._mix(F.pad(x, (0, 0, self.size - 1, 0)), x.shape[1])
        return F.silu(out) if silu else out

    def prefill(self, x: Tensor, silu: bool = False) -> tuple[Tensor, Tensor]:
        """Return the result of :meth:`forward` and the window after the last position."""
        return self(x, silu), last_positions(x, self.size - 1)

    def start(self, rows: int, like: Tensor) -> Tensor:
        """Return the window before the first position, zeros ``[B, size - 1, D]``."""
        return like.new_zeros(rows, self.size - 1, self.weight.shape[1])

    def step(self, x: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Feed one position ``[B, D]``; return its output and the next window."""
        extended = torch.cat((window, x[:, None]), dim=1)
        return self._mix(extended, 1)[:, 0], extended[:, 1:]

    def _mix(self, padded: Tensor, length: int) -> Tensor:
        out: Tensor = self.bias
        for offset, weight in enumerate(self.weight.unbind(0)):
            out = torch.addcmul(out, padded[:, offset : offset + length], weight)
        return out


def last_positions(x: Tensor, count: int) -> Tensor:
    """Return the last ``count`` positions of ``[B, L, D]``; zeros take the place of positions before the first."""
    last = x[:, max(0, x.shape[1] - count) :]
    return F.pad(last, (0, 0, count - last.shape[1], 0))


class _Convolve(torch.autograd.Function):
    """The convolution of ``x`` ``[B, L, D]`` with ``weight`` ``[size, D]``, and SiLU of it if ``silu``."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, silu: bool) -> Tensor:
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        for rows, padded in _padded_blocks(x, len(weight)):
            _convolve(padded, weight, bias, out[rows])
            if silu:
                F.silu(out[rows], inplace=True)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save the inputs; the backward pass computes the argument of SiLU again."""
        *tensors, ctx.silu = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        size, length = len(weight), x.shape[1]
        dx, sums = torch.empty_like(x, memory_format=torch.contiguous_format), x.new_zeros(size + 1, x.shape[2])
        for rows, padded in _padded_blocks(x, size):
            g, out = gradient[rows], dx[rows]
            following = torch.empty_like(padded)  # the gradient, and zeros after the last position
            following[:, length:] = 0
            if ctx.silu:
                before = _convolve(padded, weight, bias, torch.empty_like(out))
                torch.ops.aten.silu_backward(g, before, grad_input=following[:, :length])
            else:
                following[:, :length] = g
            g, product = following[:, :length], torch.empty_like(out)
            sums[size] += g.sum((0, 1))
            for index, factor in enumerate(weight.unbind(0)):
                sums[index] += torch.mul(g, padded[:, index : index + length], out=product).sum((0, 1))
                shifted = following[:, size - 1 - index : size - 1 - index + length]
                out.addcmul_(shifted, factor) if index else torch.mul(shifted, factor, out=out)
        return dx, sums[:size], sums[size], None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Convolve one replica after another, because each has its own weights."""
        *tensors, silu = inputs
        by_replica = (
            [x] * info.batch_size if dim is None else x.unbind(dim) for x, dim in zip(tensors, in_dims, strict=False)
        )
        return torch.stack([_Convolve.apply(*each, silu) for each in zip(*by_replica, strict=True)]), 0


def _padded_blocks(x: Tensor, size: int) -> Iterator[tuple[slice, Tensor]]:
    """Return blocks of rows, each with its part of ``x`` after ``size - 1`` zeros."""
    count = max(1, CACHED // (x.shape[1] * x.shape[2]))
    padded = x.new_zeros(min(count, len(x)), x.shape[1] + size - 1, x.shape[2])
    for first in range(0, len(x), count):
        rows = slice(first, min(first + count, len(x)))
        block = padded[: rows.stop - first]
        block[:, size - 1 :] = x[rows]
        yield rows, block


def _convolve(padded: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> Tensor:
    """Write the convolution of padded rows to ``out`` ``[b, L, D]``."""
    length = out.shape[1]
    torch.addcmul(bias, padded[:, :length], weight[0], out=out)
    for index in range(1, len(weight)):
        out.addcmul_(padded[:, index : index + length], weight[index])
    return out
