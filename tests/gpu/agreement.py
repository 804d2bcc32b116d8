"""Shared by tests of kernel packages: compare a mixer that uses a package with its reference kernel in float64."""

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from architectures.base import Context, Mixer
from architectures.parts.kernels import replicas_ride_along

LENGTHS = [1, 2, 63, 64, 65, 200]
ROWS = 3


def context_of(x: Tensor) -> Context:
    """Return the context of a sequence ``[B, L, D]`` without a source."""
    return Context(x.new_zeros(x.shape[:2], dtype=torch.long), torch.arange(x.shape[1], device=x.device), x.shape[1])


def relative_difference(actual: list[Tensor], expected: list[Tensor]) -> float:
    """Return the largest difference, relative to the largest expected entry."""
    scale = max(float(tensor.detach().abs().max()) for tensor in expected)
    return max(float((a - b).detach().abs().max()) for a, b in zip(actual, expected, strict=True)) / scale


def reference_run(exact: Mixer, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the reference's output for ``x`` and the gradients of the output's sum by its parameters."""
    out = exact(x.double(), context_of(x))
    return out, list(torch.autograd.grad(out.sum(), list(exact.parameters()), materialize_grads=True))


def assert_equal_reference(fast: Mixer, exact: Mixer, length: int, width: int, tolerance: float) -> None:
    """Compare outputs and gradients; ``exact`` is in float64 and gets the weights of ``fast``."""
    exact.load_state_dict(fast.state_dict())
    x = torch.randn(ROWS, length, width, device="cuda", dtype=next(fast.parameters()).dtype)
    expected, expected_gradients = reference_run(exact, x)
    out = fast(x, context_of(x))
    assert relative_difference([out], [expected]) < tolerance
    gradients = torch.autograd.grad(out.sum(), list(fast.parameters()), materialize_grads=True)
    assert relative_difference(list(gradients), expected_gradients) < tolerance


def assert_population_equals_reference(fast: Mixer, exact: Mixer, width: int, tolerance: float) -> None:
    """Compare a population under ``vmap``, whose models have equal weights and different inputs."""
    exact.load_state_dict(fast.state_dict())
    stacked, buffers = stack_module_state([fast] * 3)
    x = torch.randn(3, ROWS, 65, width, device="cuda", dtype=next(fast.parameters()).dtype)
    with replicas_ride_along():
        out = vmap(lambda p, b, x: functional_call(fast, (p, b), (x, context_of(x))))(stacked, buffers, x)
    out.sum().backward()
    for index, inputs in enumerate(x):
        expected, expected_gradients = reference_run(exact, inputs)
        assert relative_difference([out[index]], [expected]) < tolerance
        gradients = [stacked[name].grad[index] for name, _ in exact.named_parameters()]
        assert relative_difference(gradients, expected_gradients) < tolerance
