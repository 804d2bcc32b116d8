"""What an architecture declares about itself: docstrings, size, kernels, state, what can be inspected."""

import re

import torch

from harness.check.fixtures import SYMBOLS, ModelSubject, docstring_of, tokens
from harness.check.result import Skip, expect, expect_equal
from harness.models.cost import measured_state, parameters
from harness.registry.options import build_model


def is_documented(subject: ModelSubject) -> None:
    """The file opens with what the architecture is and, if built in, with its paper; the class has a docstring."""
    named = re.search(r"\b(19|20)\d\d\b", docstring_of(subject.entry.cls))
    told = named is not None or subject.entry.origin != "built-in"
    expect(told, "the docstring of the file names no paper with its year")


def builds(subject: ModelSubject) -> None:
    """A model with default options can be built, and its size known without allocating it."""
    spec = subject.asked
    with torch.device("meta"):
        size = parameters(build_model(spec, SYMBOLS))
        planned = parameters(build_model(subject.spec, SYMBOLS))
    expect(size > 0, "the model has no parameters")
    real = parameters(subject.build())
    expect(real == planned, f"{real} parameters, but {planned} when built on torch's meta device, as plans do")


@torch.no_grad()
def records_its_kernels(subject: ModelSubject) -> None:
    """What has a ``kernel`` option says which implementation is in use."""
    subject.model(tokens(1, 5), tokens(1, 3))
    kernels = subject.model.kernels
    named = all(isinstance(text, str) and text for text in (*kernels, *kernels.values()))
    expect(named, f"kernels must map names to names, but is {kernels}")
    if "kernel" not in subject.known:
        return
    expect(bool(kernels), "a kernel option, but no kernel is recorded: set kernel_in_use where it is resolved")
    asked = str(subject.options.get("kernel", "auto"))
    told = asked == "auto" or any(asked in text for text in kernels.values())
    expect(told, f"kernel={asked} was asked for, but {kernels} is recorded")


@torch.no_grad()
def has_a_measurable_state(subject: ModelSubject) -> None:
    """Where the model steps, its state holds tensors, so that its size can be measured."""
    if not subject.model.can_step:
        raise Skip("has no stepping form")
    sizes = measured_state(subject.model, (4, 16))
    expect(all(sizes.values()), "the state has no bytes: it must be a nest of tuples, lists and dicts of tensors")


@torch.no_grad()
def shows_weights(subject: ModelSubject) -> None:
    """What ``inspect`` shows are weights ``[B, (H,) T, S]``, none negative, that sum to one."""
    source, prefix = tokens(2, 5), tokens(2, 3)
    seen = {**subject.model.inspect(source, None), **subject.model.inspect(source, prefix)}
    if not seen:
        raise Skip("shows nothing")
    for name, weights in seen.items():
        shape, sides = list(weights.shape), {5, 3, 8}
        fits = len(shape) in (3, 4) and shape[0] == 2 and set(shape[-2:]) <= sides
        expect(fits, f"inspect: {name!r} is {shape}, not [B, (H,) T, S] for 2 rows, 5 source and 3 prefix tokens")
        expect(bool((weights >= 0).all()), f"inspect: {name!r} has negative weights")
        total = weights.sum(-1)
        expect_equal(total, torch.ones_like(total), f"inspect: the rows of {name!r} must sum to one", 1e-6)
