"""Helpers for tests of architectures with several forms: lengths, tolerances, gradients, populations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.base import Context, Mixer
from architectures.parts.kernels import replicas_ride_along

LENGTHS = [1, 2, 63, 64, 65, 200]
DTYPES = [torch.float64, torch.float32]
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


def assert_close(ours: Sequence[Tensor], theirs: Sequence[Tensor], tolerance: float | None = None) -> None:
    """Compare tensors, with a tolerance relative to the largest entry of all."""
    scale = max(float(tensor.detach().abs().max()) for tensor in theirs)
    for left, right in zip(ours, theirs, strict=True):
        accuracy = tolerance or TOLERANCE[left.real.dtype]
        torch.testing.assert_close(left, right.to(left.dtype), rtol=0, atol=accuracy * scale)


def with_gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output, and the gradients of a fixed random projection of it with respect to the inputs."""
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    out = function(*inputs)
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(out.dtype)
    return out, torch.autograd.grad((out * probe).real.sum(), inputs, materialize_grads=True)


def assert_same(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], inputs: Sequence[Tensor]) -> None:
    """Assert that both functions have the same values and gradients."""
    (out, gradients), (expected, expected_gradients) = with_gradients(ours, inputs), with_gradients(theirs, inputs)
    assert_close([out], [expected])
    assert_close(gradients, expected_gradients)


def context_of(x: Tensor) -> Context:
    """Return a context for vectors ``[B, L, D]``, with dummy tokens."""
    length = x.shape[1]
    positions = torch.arange(length, device=x.device)
    return Context(torch.zeros(x.shape[:2], dtype=torch.long, device=x.device), positions, length)


def run(mixer: Mixer, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return a mixer's output, and gradients with respect to its input and all parameters."""
    names = [name for name, _ in mixer.named_parameters()]

    def forward(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(mixer, dict(zip(names, parameters, strict=True)), (x, context_of(x)))

    return with_gradients(forward, [x, *mixer.parameters()])


def assert_forms_agree(ours: Mixer, theirs: Mixer, x: Tensor, tolerance: float | None = None) -> None:
    """Assert that two mixers with the same weights have the same outputs and gradients."""
    ours.load_state_dict(theirs.state_dict())
    (out, gradients), (expected, expected_gradients) = run(ours, x), run(theirs, x)
    assert_close([out], [expected], tolerance)
    assert_close(gradients, expected_gradients, tolerance)


def assert_steps_equal_forward(mixer: Mixer, x: Tensor) -> None:
    """Assert that stepping through the positions gives the same outputs as the forward pass."""
    context = context_of(x)
    state, out = mixer.start(x.shape[0], x), []
    for time, x_t in enumerate(x.unbind(1)):
        step = Context(context.tokens[:, time : time + 1], context.positions[time : time + 1], context.boundary)
        y_t, state = mixer.step(x_t, state, step)
        out.append(y_t)
    assert_close([torch.stack(out, dim=1)], [mixer(x, context)])


def assert_population_equals_singles(mixers: Sequence[Mixer], x: Tensor) -> None:
    """Assert that ``vmap`` over stacked parameters gives each model's outputs ``[R, B, L, D]`` and gradients."""
    stacked, buffers = stack_module_state(list[nn.Module](mixers))
    with replicas_ride_along():
        out = vmap(lambda p, b, x: functional_call(mixers[0], (p, b), (x, context_of(x))))(stacked, buffers, x)
    (out**2).sum().backward()
    for index, mixer in enumerate(mixers):
        single = mixer(x[index], context_of(x[index]))
        (single**2).sum().backward()
        assert_close([out[index]], [single])
        named = dict(mixer.named_parameters())
        assert_close([stacked[name].grad[index] for name in named], [p.grad for p in named.values()])
