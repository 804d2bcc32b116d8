"""Subjects of checks: small models of one architecture, or data of one task, the same at every call."""

import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from architectures.base import SequenceModel
from harness.check.result import expect
from harness.data.presentation import SPECIALS
from harness.data.rng import Purpose, Stream
from harness.errors import UserError
from harness.models.population import build_seeded
from harness.models.shape_only import shape_only
from harness.models.tensors import trained_parameters
from harness.registry.catalog import Entry
from harness.registry.options import Option, Spec, Value, build_model, build_task, options_of, signature
from tasks.base import IGNORE, Task

LETTERS = ("a", "b", "c", "d")
SYMBOLS = (*LETTERS, *SPECIALS)
WIDTHS = (16, 32, 64)
DEPTH = 2
NOISE = 0.1


def variants(entry: Entry) -> Iterator[dict[str, Value]]:
    """Yield every value but the default of each option with a closed set of values, one option at a time.

    Options of a task's format are left out.
    """
    options = options_of(entry).values() if entry.kind == "architecture" else signature(entry.cls)
    for option in options:
        choices = (True, False) if option.annotation is bool else typing.get_args(option.annotation)
        is_closed = option.annotation is bool or typing.get_origin(option.annotation) is typing.Literal
        yield from ({option.name: choice} for choice in choices if is_closed and choice != option.default)


def docstring_of(cls: type) -> str:
    """Return the docstring of the file of a class; both must have one."""
    text = (sys.modules[cls.__module__].__doc__ or "").strip()
    expect(bool(text), "the file has no docstring; open it with the idea in one line")
    expect(bool((vars(cls).get("__doc__") or "").strip()), f"class {cls.__name__} has no docstring; add one")
    return text


@dataclass(eq=False)
class ModelSubject:
    """An architecture with options: a mixer within the language model, or a whole model.

    Models have two layers and width 16, or the next width of :data:`WIDTHS` that the architecture allows.
    """

    requested: Spec

    @property
    def entry(self) -> Entry:
        """The entry of the catalog."""
        return self.requested.entry

    @property
    def options(self) -> dict[str, Value]:
        """The options of the requested spec."""
        return dict(self.requested.options)

    @cached_property
    def spec(self) -> Spec:
        """The requested spec with the options of a small model."""
        sizes: list[dict[str, Value]] = [{"width": width, "depth": DEPTH, "dropout": 0.0} for width in WIDTHS]
        specs = [self.requested.with_defaults(size) for size in sizes]
        return next((spec for spec in specs if self._can_build(spec)), specs[0])

    def _can_build(self, spec: Spec) -> bool:
        try:
            with shape_only():
                build_model(spec, SYMBOLS)
        except UserError:
            return False
        return True

    def build(self, seed: int = 0, **options: Value) -> SequenceModel:
        """Return a new model in double precision, in evaluation mode."""
        return in_double_precision(self.build_as_written(seed, **options)).eval()

    def build_as_written(self, seed: int = 0, **options: Value) -> SequenceModel:
        """Return a new model in the number formats of its author, in training mode."""
        return build_seeded(self.spec.with_options(options), SYMBOLS, seed, self.entry.name)

    @cached_property
    def model(self) -> SequenceModel:
        """A model with perturbed parameters, so that no parameter that starts at zero hides a path."""
        return perturb_parameters(self.build())

    @property
    def available_options(self) -> dict[str, Option]:
        """All options of the architecture, by name."""
        return options_of(self.entry)


def in_double_precision(model: SequenceModel) -> SequenceModel:
    """Convert all floating-point and complex tensors of a model to double precision."""
    return model.double()._apply(lambda tensor: tensor.to(torch.complex128) if tensor.is_complex() else tensor)


@torch.no_grad()
def perturb_parameters(model: SequenceModel) -> SequenceModel:
    """Add noise to every trained parameter; a model that fits itself is fitted to random targets instead."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if model.is_gradient_free():
            prefixes = (random_tokens(8, 12), None)
            model.fit([(random_tokens(8, 12), prefix, random_tokens(8, 12)) for prefix in prefixes])
            return model
        for parameter in trained_parameters(model).values():
            parameter.add_(NOISE * torch.randn_like(parameter))
    return model


def random_tokens(rows: int, length: int, generator: torch.Generator | None = None) -> Tensor:
    """Return ids of random letters, long ``[rows, length]``."""
    return torch.randint(len(LETTERS), (rows, length), generator=generator)


@dataclass
class TaskSubject:
    """A task with options."""

    spec: Spec

    @property
    def entry(self) -> Entry:
        """The entry of the catalog."""
        return self.spec.entry

    @cached_property
    def task(self) -> Task:
        """The task."""
        return build_task(self.spec)

    @cached_property
    def lengths(self) -> list[int]:
        """The shortest lengths of the task, and some longer ones."""
        lengths = self.task.lengths
        return [lengths[index] for index in (0, 1, 2, 4, 9, 19, 49) if index < len(lengths)]

    @property
    def middle(self) -> int:
        """A length with many sources: long, but not the longest, which may have few."""
        return self.task.lengths[min(15, len(self.task.lengths) // 2)]

    def stream(self, rows: int = 16, *, seeds: tuple[int, ...] = (0,), step: int = 0) -> Stream:
        """Return a stream of ``rows`` rows for each seed."""
        return Stream.of(seeds, str(self.spec), Purpose.CHECK, step, rows, "cpu")

    def sources(self, length: int, rows: int = 16) -> Tensor:
        """Return sources of one length, long ``[rows, S]``."""
        return self.task.sample(length, self.stream(rows))


def pad_to(target: Tensor, width: int) -> Tensor:
    """Append ``IGNORE`` up to a width: the target of one row may be narrower than that of many rows."""
    return torch.nn.functional.pad(target, (0, max(0, width - target.shape[1])), value=IGNORE)
