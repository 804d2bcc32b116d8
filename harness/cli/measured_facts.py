"""What ``lengthwise show`` measures: a task's chance and balance, an architecture's size and kernels."""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import torch

from architectures.base import SequenceModel
from harness.data.presentation import SPECIALS, Presentation
from harness.data.rng import Purpose, Stream
from harness.errors import UserError
from harness.evaluation.chance import ROWS, chance
from harness.models.cost import Growth, measured_state, parameters, training_operations
from harness.registry.options import Spec, build_model, build_task, options_of
from tasks.base import IGNORE, Example, Task, decode, encode

SHORT, LONG = 5, 40
BINARY = ("0", "1", *SPECIALS)


class AtLength(NamedTuple):
    """A task at one length: chance, distinct questions among :data:`ROWS`, and the share of each answer symbol."""

    length: int
    chance_exact: float
    chance_token: float
    distinct: int
    balance: list[tuple[str, float]]


def at_lengths(spec: Spec, task: Task) -> Iterator[AtLength]:
    """Measure a task at a short and at a longer length."""
    presentation = Presentation(task)
    for length in dict.fromkeys(nearest_length(task, wanted) for wanted in (SHORT, LONG)):
        source = task.sample(length, Stream.of([0], str(spec), Purpose.SHOW, length, ROWS, "cpu"))
        answers = task.solve(source)
        distinct = len(source.unique(dim=0))
        yield AtLength(length, *chance(presentation, str(spec), length), distinct, _balance(task, answers))


def nearest_length(task: Task, wanted: int) -> int:
    """Return the length of the task that is nearest to one wanted."""
    place = (wanted - task.lengths[0]) // task.lengths.step
    return task.lengths[min(max(place, 0), len(task.lengths) - 1)]


def _balance(task: Task, answers: torch.Tensor) -> list[tuple[str, float]]:
    asked = answers[answers != IGNORE]
    shares = torch.bincount(asked, minlength=len(task.symbols)) / len(asked)
    order = shares.argsort(descending=True, stable=True).tolist()
    return [(task.symbols[symbol], float(shares[symbol])) for symbol in order if shares[symbol]]


def worked(example: Example, spec: Spec) -> tuple[str, str]:
    """Return an example's question and its answer, computed just now."""
    task = build_task(Spec.parse("task", f"{spec.name}:{example.options}", spec.catalog))
    answer = task.solve(encode(task.symbols, example.source))[0]
    return " ".join(example.source), " ".join(decode(task.symbols, answer))


class Model(NamedTuple):
    """An architecture on a binary alphabet, with what a token costs as functions of length; ``None`` where unknown.

    ``state`` is in bytes, ``operations`` are those of training.
    """

    parameters: int
    causal: bool
    reach: int | None
    state: Growth | None
    operations: Growth | None


PLAIN = ("math", "loop")
"""Kernels whose operations can be counted, where the usual one is fused."""


def model_facts(spec: Spec) -> Model:
    """Build a model and measure it."""
    model = build_model(spec, BINARY)
    state = {int(length): size for length, size in measured_state(model, (16, 256)).items()}
    operations = {} if model.is_gradient_free() else training_operations(_plain(spec))
    grown = [Growth.of(costs) if costs else None for costs in (state, operations)]
    return Model(parameters(model), model.causal, model.reach, *grown)


def _plain(spec: Spec) -> SequenceModel:
    """Build the model with a kernel that hides nothing."""
    option = options_of(spec.entry).get("kernel")
    known = _choices(option.annotation) if option else ()
    plain = {"kernel": next(name for name in PLAIN if name in known)} if set(PLAIN) & set(known) else {}
    return build_model(spec.with_options(plain), BINARY)


def kernels(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Yield (choice, what it resolves to here, why it cannot be used) for each value of the ``kernel`` option."""
    option = options_of(spec.entry).get("kernel")
    for choice in _choices(option.annotation) if option else ():
        try:
            model = build_model(spec.with_options({"kernel": choice}), BINARY)
        except UserError as error:
            yield choice, "", str(error).partition(f"kernel={choice} ")[2] or str(error)
        else:
            yield choice, ", ".join(dict.fromkeys(model.kernels.values())), ""


def _choices(annotation: Any) -> tuple[str, ...]:
    return tuple(str(choice) for choice in get_args(annotation))
