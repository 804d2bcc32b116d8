"""Rules of recurrences with gradients by hand, for ``stepwise.py``; ``S`` is the state before, ``G`` as there.

===========  =================================================  =====================================================
rule         next state                                         recurrence
===========  =================================================  =====================================================
RowDecay     ``diag(w) S + k v^T``                              ``decay.py``
Delta        ``a S + k (beta (v - a S^T k))^T``                 ``delta.py``
LowRank      ``diag(w) S + b (S^T a)^T + k v^T``                ``dplr.py``
Selective    ``exp(A delta) S + k v^T``, entry by entry         Mamba
===========  =================================================  =====================================================
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from architectures.parts.scans.stepwise import Rule, Step, over_keys, over_values


class RowDecay(Rule):
    """``S' = diag(w) S + k v^T``, with inputs ``k, v, w`` (``[E, n]``)."""

    def write(self, step: Step, state: Tensor, new: Tensor) -> None:
        """Decay, then add."""
        k, v, w = step.inputs
        torch.mul(state, w[:, None], out=new).addcmul_(k[:, None], v[None])

    def back(self, step: Step, state: Tensor, gradient: Tensor, gradients: Sequence[Tensor]) -> None:
        """``dk = G v``, ``dv = G^T k``, ``dw = sum_V G * S``, and ``diag(w) G`` for ``S``."""
        (k, v, w), (dk, dv, dw), scratch = step.inputs, gradients, step.scratch
        over_values(gradient, v, scratch, dk)
        over_keys(gradient, k, scratch, dv)
        torch.sum(torch.mul(gradient, state, out=scratch), 1, out=dw)
        gradient *= w[:, None]


class Delta(Rule):
    """``S' = a S + k u^T`` with ``u = beta e``, ``e = v - a S^T k``; inputs ``k, v, beta``, ``a`` (``[1, n]``).

    ``memo`` is ``e``.
    """

    def read(self, step: Step, state: Tensor) -> None:
        """Compute the correction ``e``."""
        k, v, _, a = step.inputs
        over_keys(state, k, step.scratch, step.memo)
        torch.addcmul(v, step.memo, a, value=-1, out=step.memo)

    def write(self, step: Step, state: Tensor, new: Tensor) -> None:
        """Decay, then correct."""
        k, _, beta, a = step.inputs
        torch.mul(state, a[None], out=new).addcmul_(k[:, None], (beta * step.memo)[None])

    def back(self, step: Step, state: Tensor, gradient: Tensor, gradients: Sequence[Tensor]) -> None:
        """``du = G^T k``, ``dbeta = du . e``, ``dv = beta du``, ``dk = G u - a S dv``.

        With ``H = G - k dv^T``, the gradient by ``a S``: ``da = sum H * S``, and ``a H`` for ``S``.
        """
        (k, _, beta, a), (dk, dv, dbeta, da) = step.inputs, gradients
        memo, scratch = step.memo, step.scratch
        over_keys(gradient, k, scratch, dv)
        torch.sum(dv * memo, 0, keepdim=True, out=dbeta)
        dv *= beta
        over_values(gradient, beta * memo, scratch, dk)
        dk.addcmul_(torch.sum(torch.mul(state, dv[None], out=scratch), 1), a, value=-1)
        gradient.addcmul_(k[:, None], dv[None], value=-1)
        torch.sum(torch.mul(gradient, state, out=scratch), (0, 1), out=da[0])
        gradient *= a[None]


class LowRank(Rule):
    """``S' = diag(w) S + b r^T + k v^T`` with ``r = S^T a``; inputs ``k, v, a, b, w``. ``memo`` is ``r``."""

    def read(self, step: Step, state: Tensor) -> None:
        """Read under ``a``."""
        over_keys(state, step.inputs[2], step.scratch, step.memo)

    def write(self, step: Step, state: Tensor, new: Tensor) -> None:
        """Decay, write back what was read, and add."""
        k, v, _, b, w = step.inputs
        torch.mul(state, w[:, None], out=new).addcmul_(b[:, None], step.memo[None]).addcmul_(k[:, None], v[None])

    def back(self, step: Step, state: Tensor, gradient: Tensor, gradients: Sequence[Tensor]) -> None:
        """As for :class:`RowDecay`, and ``db = G r``, ``dr = G^T b``, ``da = S dr``; ``a dr^T`` is added for ``S``."""
        (k, v, a, b, w), (dk, dv, da, db, dw) = step.inputs, gradients
        dr, scratch = torch.empty_like(v), step.scratch
        over_values(gradient, v, scratch, dk)
        over_keys(gradient, k, scratch, dv)
        over_values(gradient, step.memo, scratch, db)
        over_keys(gradient, b, scratch, dr)
        over_values(state, dr, scratch, da)
        torch.sum(torch.mul(gradient, state, out=scratch), 1, out=dw)
        gradient.mul_(w[:, None]).addcmul_(a[:, None], dr[None])


class Selective(Rule):
    """``S' = exp(A delta) * S + k v^T`` with ``delta`` ``[V, n]`` and ``A`` ``[E, V, n]``; inputs ``k, v, delta, A``.

    ``signed`` uses ``2 exp(A delta) - 1`` instead of ``exp(A delta)``. The factor of the state is kept for ``back``,
    because an exponential takes as long as six products.
    """

    keeps_factor = True

    def __init__(self, signed: bool) -> None:
        self.signed = signed

    def write(self, step: Step, state: Tensor, new: Tensor) -> None:
        """Decay, then add."""
        k, v, delta, A = step.inputs
        factor = torch.mul(A, delta[None], out=step.factor).exp_()
        if self.signed:
            factor.mul_(2).sub_(1)
        torch.mul(factor, state, out=new).addcmul_(k[:, None], v[None])

    def back(self, step: Step, state: Tensor, gradient: Tensor, gradients: Sequence[Tensor]) -> None:
        """``dk = G v``, ``dv = G^T k``, ``ddelta = sum_E X * A`` and ``dA`` adds ``X delta``.

        ``X = G * S * exp(A delta)`` is the gradient by ``A delta``. A signed factor is ``2 exp(A delta) - 1``, whose
        derivative by ``A delta`` is the factor plus one.
        """
        (k, v, delta, A), (dk, dv, ddelta, dA), scratch = step.inputs, gradients, step.scratch
        over_values(gradient, v, scratch, dk)
        over_keys(gradient, k, scratch, dv)
        before = torch.mul(gradient, state) if self.signed else None
        gradient *= step.factor
        torch.mul(gradient, state, out=scratch)
        if before is not None:
            scratch += before
        dA.addcmul_(scratch, delta[None])
        torch.sum(scratch.mul_(A), 0, out=ddelta)
