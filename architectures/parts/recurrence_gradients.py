"""Recurrent layers with gradients written by hand, for one CPU thread.

Autograd records a dozen operations for each position, and torch's fused operators multiply the embedding of each token
by the input weights. Here the input products come from outside: as ``[L, B, gates * D]``, or as a table with one row
for each symbol, from which each position takes the row of its token. The gradient of the recurrent weights is one
product over all positions at the end.

With ``a_t`` the input products plus ``U h_{t-1}``, a backward step takes the gradient of ``h_t`` (the output's plus the
one that the next position has passed on) to the gradient of ``a_t``, and passes ``U^T`` times it on to ``h_{t-1}``.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

tanh_backward = torch.ops.aten.tanh_backward.grad_input
"""The gradient through tanh from its output: ``(gradient, output, grad_input=target)``."""


def _add_inputs(
    out: Tensor, projected: Tensor, tokens: Tensor | None, time: int, product: tuple[Tensor, Tensor]
) -> None:
    """Write input products plus ``h U^T`` of one position into ``out``; ``product`` is (h, U^T)."""
    if tokens is None:
        torch.addmm(projected[time], *product, out=out)
    else:
        torch.index_select(projected, 0, tokens[time], out=out)
        out.addmm_(*product)


def _parameter_gradients(grads: Tensor, hidden: Tensor, tokens: Tensor | None, symbols: int) -> tuple[Tensor, Tensor]:
    """Return the gradients of the input products (or of their table) and of ``U``.

    Args:
        grads: gradients of ``a``, ``[L, B, gates * D]``.
        hidden: the previous hidden states, ``[L, B, D]``.
        tokens: ``[L, B]``, or ``None`` where there is no table.
        symbols: rows of the table.
    """
    flat, states = grads.flatten(0, 1), hidden.flatten(0, 1)
    if tokens is None:
        return grads, flat.t() @ states
    # One product for both: the rows of the table are read by one-hot vectors.
    inputs = torch.cat((states, F.one_hot(tokens.flatten(), symbols).to(states)), dim=1)
    both = inputs.t() @ flat
    return both[states.shape[1] :], both[: states.shape[1]].t()


def _sequence(initial: Tensor, length: int) -> Tensor:
    """Return states ``[L + 1, B, D]``, of which only the first one is set."""
    states = initial.new_empty(length + 1, *initial.shape)
    states[0] = initial
    return states


def _sigmoid_gradient(gradient: Tensor, sigmoid: Tensor, out: Tensor) -> None:
    """Write ``gradient * sigmoid * (1 - sigmoid)``, which overwrites ``gradient``."""
    torch.addcmul(gradient, gradient.mul_(sigmoid), sigmoid, value=-1, out=out)


class _Steps(torch.autograd.Function):
    """Common part: the first ``results`` outputs are results, the others are what the backward needs."""

    results: ClassVar[int] = 1

    @classmethod
    def setup_context(cls, ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save the tokens, ``U`` and what the backward needs."""
        projected, tokens, weight, *_ = inputs
        ctx.symbols = len(projected)
        ctx.mark_non_differentiable(*output[cls.results :])
        ctx.save_for_backward(tokens, weight, *output[cls.results :])


class RNNSteps(_Steps):
    """``h_t = tanh(a_t)``. Arguments: input products, tokens or None, ``U`` ``[D, D]``, ``h_0`` ``[B, D]``."""

    @staticmethod
    def forward(projected: Tensor, tokens: Tensor | None, weight: Tensor, initial: Tensor) -> tuple[Tensor, ...]:
        """Return the hidden states ``[L, B, D]``, and what the backward needs."""
        length = len(projected if tokens is None else tokens)
        hidden = _sequence(initial, length)
        transposed = weight.t().contiguous()
        for time in range(length):
            _add_inputs(hidden[time + 1], projected, tokens, time, (hidden[time], transposed))
            hidden[time + 1].tanh_()
        return hidden[1:], hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Run backwards through the positions."""
        tokens, weight, hidden = ctx.saved_tensors
        grads, state = torch.empty_like(grad, memory_format=torch.contiguous_format), torch.zeros_like(hidden[0])
        for time in reversed(range(len(grad))):
            state += grad[time]
            tanh_backward(state, hidden[time + 1], grad_input=grads[time])
            torch.mm(grads[time], weight, out=state)
        inputs, recurrent = _parameter_gradients(grads, hidden[:-1], tokens, ctx.symbols)
        return inputs, None, recurrent, state


class LSTMSteps(_Steps):
    """An LSTM. Arguments: input products, tokens or None, ``U`` ``[4 D, D]``, ``h_0`` and ``c_0`` ``[B, D]``."""

    results = 2

    @staticmethod
    def forward(
        projected: Tensor, tokens: Tensor | None, weight: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the hidden states ``[L, B, D]``, the last cell ``[B, D]``, and what the backward needs."""
        length, (rows, width) = len(projected if tokens is None else tokens), hidden.shape
        gates, tanh_cells = (hidden.new_empty(length, rows, size) for size in (4 * width, width))
        hiddens, cells = (_sequence(x, length) for x in (hidden, cell))
        transposed = weight.t().contiguous()
        for time in range(length):
            _add_inputs(gates[time], projected, tokens, time, (hiddens[time], transposed))
            gates[time, :, : 2 * width].sigmoid_()
            gates[time, :, 2 * width : 3 * width].tanh_()
            gates[time, :, 3 * width :].sigmoid_()
            i, f, g, o = gates[time].chunk(4, dim=1)
            torch.mul(f, cells[time], out=cells[time + 1]).addcmul_(i, g)
            torch.tanh(cells[time + 1], out=tanh_cells[time])
            torch.mul(o, tanh_cells[time], out=hiddens[time + 1])
        return hiddens[1:], cells[-1].clone(), gates, cells, tanh_cells, hiddens

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_cell: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Run backwards through the positions."""
        tokens, weight, gates, cells, tanh_cells, hiddens = ctx.saved_tensors
        grads, hidden, cell = torch.empty_like(gates), torch.zeros_like(cells[0]), grad_cell.clone()
        product = torch.empty_like(hidden)
        for time in reversed(range(len(grad))):
            (i, f, g, o), (grad_i, grad_f, grad_g, grad_o) = gates[time].chunk(4, 1), grads[time].chunk(4, 1)
            hidden += grad[time]
            _sigmoid_gradient(torch.mul(hidden, tanh_cells[time], out=product), o, grad_o)
            cell += tanh_backward(torch.mul(hidden, o, out=product), tanh_cells[time], grad_input=product)
            _sigmoid_gradient(torch.mul(cell, g, out=product), i, grad_i)
            _sigmoid_gradient(torch.mul(cell, cells[time], out=product), f, grad_f)
            tanh_backward(torch.mul(cell, i, out=product), g, grad_input=grad_g)
            cell *= f
            torch.mm(grads[time], weight, out=hidden)
        inputs, recurrent = _parameter_gradients(grads, hiddens[:-1], tokens, ctx.symbols)
        return inputs, None, recurrent, hidden, cell


class GRUSteps(_Steps):
    """A GRU. Arguments: input products, tokens or None, ``U`` ``[3 D, D]``, its bias ``b'`` ``[3 D]``, ``h_0``."""

    @staticmethod
    def forward(
        projected: Tensor, tokens: Tensor | None, weight: Tensor, bias: Tensor, initial: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the hidden states ``[L, B, D]``, and what the backward needs."""
        length, (rows, width) = len(projected if tokens is None else tokens), initial.shape
        gates, products = (initial.new_empty(length, rows, 3 * width) for _ in range(2))
        hidden = _sequence(initial, length)
        transposed = weight.t().contiguous()
        for time in range(length):
            torch.addmm(bias, hidden[time], transposed, out=products[time])
            inputs = projected[time] if tokens is None else projected.index_select(0, tokens[time])
            reset_update, candidate = gates[time].split((2 * width, width), dim=1)
            torch.add(inputs[:, : 2 * width], products[time, :, : 2 * width], out=reset_update).sigmoid_()
            recurrent = products[time, :, 2 * width :]
            torch.addcmul(inputs[:, 2 * width :], reset_update[:, :width], recurrent, out=candidate).tanh_()
            torch.lerp(candidate, hidden[time], reset_update[:, width:], out=hidden[time + 1])
        return hidden[1:], gates, products, hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Run backwards through the positions; the candidate's two products have gradients of their own."""
        tokens, weight, gates, products, hidden = ctx.saved_tensors
        grads, recurrent_grads, state = torch.empty_like(gates), torch.empty_like(gates), torch.zeros_like(hidden[0])
        width, product = state.shape[1], torch.empty_like(state)
        for time in reversed(range(len(grad))):
            (r, z, n), (grad_r, grad_z, grad_n) = gates[time].chunk(3, 1), grads[time].chunk(3, 1)
            state += grad[time]
            _sigmoid_gradient(torch.sub(hidden[time], n, out=product).mul_(state), z, grad_z)
            tanh_backward(torch.addcmul(state, state, z, value=-1, out=product), n, grad_input=grad_n)
            _sigmoid_gradient(torch.mul(grad_n, products[time, :, 2 * width :], out=product), r, grad_r)
            recurrent_grads[time, :, : 2 * width] = grads[time, :, : 2 * width]
            torch.mul(grad_n, r, out=recurrent_grads[time, :, 2 * width :])
            state *= z
            state.addmm_(recurrent_grads[time], weight)
        flat, states = recurrent_grads.flatten(0, 1), hidden[:-1].flatten(0, 1)
        inputs = grads if tokens is None else _table_gradient(grads, tokens, ctx.symbols)
        return inputs, None, flat.t() @ states, flat.sum(0), state


def _table_gradient(grads: Tensor, tokens: Tensor, symbols: int) -> Tensor:
    return F.one_hot(tokens.flatten(), symbols).to(grads).t() @ grads.flatten(0, 1)
