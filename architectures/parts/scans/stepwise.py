"""Recurrences with a matrix state, step by step and in place, with gradients by hand: the fast form of a loop on a CPU.

One step of a loop takes about ten small operations, and autograd adds an operation and a stored state for each. Here
the forward pass updates one state in place. The backward pass runs the same recurrence in reverse. It recomputes the
states of :data:`SEGMENT` positions at a time from a stored one, which is faster than reading all of them from memory.

Sequences are the last axis, so that all products and sums are over contiguous vectors: queries and keys ``[L, E, N]``,
values ``[L, V, N]``, states ``[E, V, N]``, for ``N`` sequences (rows times heads). :func:`scan` is the entry for
``[..., L, E]``. What happens to the state in one step is a :class:`Rule`. The state starts from zero and is read after
each step, ``o_t = S_t^T q_t``. With ``G_t`` the gradient of the loss by ``S_t``::

    G_t = q_t g_t^T + (what the rule passes back from G_{t+1})        dq_t = S_t g_t        g_t the gradient by o_t
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SEGMENT = 8
"""Positions between two stored states."""

BLOCK = 1 << 17
"""Numbers in the state of sequences that are computed together: half a megabyte in float32 stays in the cache."""


Positions = list[tuple[Tensor, ...]]
"""For each position, the vectors of all inputs: ``[E, n]`` or ``[V, n]``."""


class Step(NamedTuple):
    """What a rule works with at one position.

    Attributes:
        inputs: a key ``[E, n]``, a value ``[V, n]`` and others.
        memo: ``[V, n]``, stored from ``read`` to the other two methods.
        factor: ``[E, V, n]``, stored from ``write`` to ``back`` for rules with ``keeps_factor``.
        scratch: ``[E, V, n]``, free to use.
    """

    inputs: Sequence[Tensor]
    memo: Tensor
    factor: Tensor
    scratch: Tensor


class Rule:
    """One step of a recurrence, from ``state`` to the next one, ``[E, V, n]`` each."""

    keeps_factor: ClassVar[bool] = False

    def read(self, step: Step, state: Tensor) -> None:
        """Write to the memo what the step reads from the state; nothing by default."""

    def write(self, step: Step, state: Tensor, new: Tensor) -> None:
        """Write the next state to ``new``."""
        raise NotImplementedError

    def back(self, step: Step, state: Tensor, gradient: Tensor, gradients: Sequence[Tensor]) -> None:
        """Write the gradients of the inputs, and turn that of the next state into that of ``state``, in place."""
        raise NotImplementedError


def over_values(x: Tensor, vector: Tensor, scratch: Tensor, out: Tensor) -> None:
    """Multiply ``[E, V, n]`` by a vector ``[V, n]``: ``[E, n]``."""
    torch.sum(torch.mul(x, vector[None], out=scratch), 1, out=out)


def over_keys(x: Tensor, vector: Tensor, scratch: Tensor, out: Tensor) -> None:
    """Multiply ``[E, V, n]`` by a vector ``[E, n]``: ``[V, n]``."""
    torch.sum(torch.mul(x, vector[:, None], out=scratch), 0, out=out)


def scan(rule: Rule, q: Tensor, k: Tensor, v: Tensor, *others: Tensor) -> Tensor:
    """Run a rule on sequences ``[..., L, C]``; batch axes are broadcast. Returns ``[..., L, V]``."""
    batch = torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v, *others)))
    inputs = (
        x.expand(*batch, *x.shape[-2:]).movedim((-2, -1), (0, 1)).flatten(2).contiguous() for x in (q, k, v, *others)
    )
    out = run(rule, *inputs)
    return out.unflatten(2, batch).movedim((0, 1), (-2, -1))


def run(rule: Rule, *inputs: Tensor) -> Tensor:
    """Run a rule on ``q, k, v, ...``, ``[L, C, N]`` each or, for what all positions share, ``[1, E, V, N]``."""
    segment = SEGMENT if torch.is_grad_enabled() else inputs[2].shape[0]
    out, *_ = _Stepwise.apply(rule, segment, *inputs)
    return out


class _Stepwise(torch.autograd.Function):
    """The loop. Its other outputs are those intermediate values that the backward pass needs."""

    @staticmethod
    def forward(rule: Rule, segment: int, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        _, k, v, *_ = inputs
        out, memos = torch.empty_like(v), torch.empty_like(v)
        starts = v.new_empty(math.ceil(len(v) / segment), k.shape[1], *v.shape[1:])
        for block in blocks(starts):
            state, new, scratch = (torch.zeros_like(starts[0, ..., block]) for _ in range(3))
            for t, (out_t, memo, q_t, *inputs_t) in enumerate(by_position(block, out, memos, *inputs)):
                if t % segment == 0:
                    starts[t // segment, ..., block] = state
                step = Step(inputs_t, memo, scratch, scratch)
                rule.read(step, state)
                rule.write(step, state, new)
                over_keys(new, q_t, scratch, out_t)
                state, new = new, state
        return out, memos, starts

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save inputs and intermediate values."""
        ctx.rule, ctx.segment, *tensors = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output[1:], *tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        memos, starts, *inputs = ctx.saved_tensors
        # The gradient of what all positions share is a sum, to which each step adds.
        gradients = [(torch.zeros_like if x.dim() == 4 else torch.empty_like)(x) for x in inputs]
        for block in blocks(starts):
            positions = by_position(block, gradient.contiguous(), memos, *inputs)
            _back(ctx.rule, ctx.segment, positions, by_position(block, memos, *gradients), starts[..., block])
        return None, None, *gradients

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], rule: Rule, segment: int, *tensors: Tensor) -> Any:
        """Replicas are further sequences."""
        size = info.batch_size
        folded = [
            (x[..., None, :].expand(*x.shape[:-1], size, -1) if dim is None else x.movedim(dim, -2)).flatten(-2)
            for x, dim in zip(tensors, in_dims[2:], strict=True)
        ]
        out = _Stepwise.apply(rule, segment, *folded)
        return tuple(x.unflatten(-1, (size, -1)) for x in out), tuple(x.dim() - 1 for x in out)


def _back(rule: Rule, segment: int, positions: Positions, gradients: Positions, starts: Tensor) -> None:
    """Compute the gradients of one block of sequences from the inputs and stored states ``[L / segment, E, V, n]``."""
    states = starts.new_empty(segment + 1, *starts.shape[1:]).unbind(0)
    state_gradient, scratch = torch.zeros_like(states[0]), torch.empty_like(states[0])
    factors = [torch.empty_like(scratch) for _ in range(segment)] if rule.keeps_factor else [scratch] * segment
    for first in reversed(range(0, len(positions), segment)):
        last = min(first + segment, len(positions))
        states[0].copy_(starts[first // segment])
        steps = [
            Step(inputs, memo, factor, scratch)
            for (_, memo, _, *inputs), factor in zip(positions[first:last], factors, strict=False)
        ]
        for step, state, new in zip(steps, states, states[1:], strict=False):
            rule.write(step, state, new)
        for t in reversed(range(first, last)):
            (g, _, q, *_), (_, dq, *to_write) = positions[t], gradients[t]
            over_values(states[t - first + 1], g, scratch, dq)
            state_gradient.addcmul_(q[:, None], g[None])
            rule.back(steps[t - first], states[t - first], state_gradient, to_write)


def by_position(block: slice, *sequences: Tensor) -> Positions:
    """Return the tensors of each position, for one block of sequences."""
    length = len(sequences[0])
    return list(zip(*(x[..., block].expand(length, *x.shape[1:-1], -1).unbind(0) for x in sequences), strict=True))


def blocks(starts: Tensor) -> Iterator[slice]:
    """Return blocks of sequences whose states have about :data:`BLOCK` numbers; at least 64, to have long vectors."""
    columns = starts.shape[-1]
    count = max(64, BLOCK // (starts.shape[1] * starts.shape[2]))
    return (slice(first, first + count) for first in range(0, columns, count))
