"""Checks of what an architecture declares: docstrings, size, kernels, state and inspection."""

import re

import torch

from architectures.base import Mixer, SequenceModel
from harness.check.fixtures import SYMBOLS, ModelSubject, docstring_of, random_tokens
from harness.check.result import Skip, expect, expect_equal, expect_none
from harness.execution import contract
from harness.models.cost import measured_state, parameters
from harness.models.shape_only import shape_only
from harness.registry.options import build_model


def is_documented(subject: ModelSubject) -> None:
    """The class has a docstring, and so has its file, which names the paper if the architecture is built in."""
    year = re.search(r"\b(19|20)\d\d\b", docstring_of(subject.entry.cls))
    documented = year is not None or subject.entry.origin != "built-in"
    expect(documented, "the docstring of the file must name the paper with its year; it has no year")


def declares_valid_attributes(subject: ModelSubject) -> None:
    """The class attributes of the model and of its mixers have a known name and a valid value."""
    expect_none(contract.declaration_problems(subject.entry.cls))
    for part in subject.model.modules():
        if isinstance(part, Mixer | SequenceModel):
            expect_none(contract.declaration_problems(part))


def can_be_built(subject: ModelSubject) -> None:
    """A model with default options can be built, and its parameters can be counted without allocating them."""
    with shape_only():
        default_size = parameters(build_model(subject.requested, SYMBOLS))
        planned = parameters(build_model(subject.spec, SYMBOLS))
    expect(default_size > 0, "the model has no parameters; it needs at least one")
    actual = parameters(subject.build())
    message = f"{actual} parameters on the CPU, but {planned} on torch's meta device, where plans count them"
    expect(actual == planned, f"{message}; create the same parameters on every device")


@torch.no_grad()
def records_its_kernels(subject: ModelSubject) -> None:
    """A model with a ``kernel`` option records which implementation it uses."""
    subject.model(random_tokens(1, 5), random_tokens(1, 3))
    kernels = subject.model.kernels
    are_names = all(isinstance(text, str) and text for text in (*kernels, *kernels.values()))
    expect(are_names, f"kernels must map class names to names of implementations, not {kernels}")
    if "kernel" not in subject.available_options:
        return
    expect(bool(kernels), "it has a kernel option, but no kernel is recorded; set kernel_in_use where it is chosen")
    requested = str(subject.options.get("kernel", "auto"))
    recorded = requested == "auto" or any(requested in text for text in kernels.values())
    expect(recorded, f"kernel={requested} was requested, but {kernels} is recorded; set kernel_in_use to the one used")


@torch.no_grad()
def has_a_measurable_state(subject: ModelSubject) -> None:
    """If the model can be stepped, its state consists of tensors, so that its size can be measured."""
    if not subject.model.can_step:
        raise Skip("the model cannot be stepped")
    sizes = measured_state(subject.model, (4, 16))
    expect(all(sizes.values()), "the state has no bytes; build it from tensors in tuples, lists and dicts")


@torch.no_grad()
def shows_weights(subject: ModelSubject) -> None:
    """The weights that ``inspect`` returns have shape ``[B, (H,) T, S]``, are not negative, and sum to one."""
    source, prefix = random_tokens(2, 5), random_tokens(2, 3)
    shown = {**subject.model.inspect(source, None), **subject.model.inspect(source, prefix)}
    if not shown:
        raise Skip("inspect returns no weights")
    for name, weights in shown.items():
        shape, widths = list(weights.shape), {5, 3, 8}
        is_valid = len(shape) in (3, 4) and shape[0] == 2 and set(shape[-2:]) <= widths
        expect(is_valid, f"inspect: {name!r} is {shape}, not [B, (H,) T, S] for 2 rows, 5 source and 3 prefix tokens")
        expect(bool((weights >= 0).all()), f"inspect: {name!r} has negative weights; return them after the softmax")
        sums = weights.sum(-1)
        expect_equal(sums, torch.ones_like(sums), f"inspect: the rows of {name!r} must sum to one", 1e-6)
