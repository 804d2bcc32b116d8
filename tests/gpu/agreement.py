"""What the tests of kernel packages share: a mixer on a package equals the same mixer's reference in float64."""

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from architectures.base import Context, Mixer
from architectures.parts.kernels import replicas_ride_along

LENGTHS = [1, 2, 63, 64, 65, 200]
ROWS = 3


def context_of(x: Tensor) -> Context:
    """The context of a bare sequence ``[B, L, D]``."""
    return Context(x.new_zeros(x.shape[:2], dtype=torch.long), torch.arange(x.shape[1], device=x.device), x.shape[1])


def gap(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The largest difference, relative to the largest entry."""
    scale = max(float(each.detach().abs().max()) for each in theirs)
    return max(float((a - b).detach().abs().max()) for a, b in zip(ours, theirs, strict=True)) / scale


def reference_run(exact: Mixer, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the reference's output for ``x`` and the gradients of the output's sum by its parameters."""
    out = exact(x.double(), context_of(x))
    return out, list(torch.autograd.grad(out.sum(), list(exact.parameters()), materialize_grads=True))


def assert_equal_reference(fast: Mixer, exact: Mixer, length: int, width: int, tolerance: float) -> None:
    """Compare outputs and gradients; ``exact`` is in float64 and takes the weights of ``fast``."""
    exact.load_state_dict(fast.state_dict())
    x = torch.randn(ROWS, length, width, device="cuda", dtype=next(fast.parameters()).dtype)
    expected, known = reference_run(exact, x)
    out = fast(x, context_of(x))
    assert gap([out], [expected]) < tolerance
    gradients = torch.autograd.grad(out.sum(), list(fast.parameters()), materialize_grads=True)
    assert gap(list(gradients), known) < tolerance


def assert_population_equals_reference(fast: Mixer, exact: Mixer, width: int, tolerance: float) -> None:
    """Compare a population under ``vmap``, whose replicas share weights and differ in data."""
    exact.load_state_dict(fast.state_dict())
    stacked, buffers = stack_module_state([fast] * 3)
    x = torch.randn(3, ROWS, 65, width, device="cuda", dtype=next(fast.parameters()).dtype)
    with replicas_ride_along():
        out = vmap(lambda p, b, x: functional_call(fast, (p, b), (x, context_of(x))))(stacked, buffers, x)
    out.sum().backward()
    for index, each in enumerate(x):
        expected, known = reference_run(exact, each)
        assert gap([out[index]], [expected]) < tolerance
        assert gap([stacked[name].grad[index] for name, _ in exact.named_parameters()], known) < tolerance
