"""Measurements of ``lengthwise show``: chance and answer shares of a task, size and kernels of an architecture."""

from collections.abc import Iterator
from typing import NamedTuple, get_args

import torch

from architectures.base import SequenceModel
from harness.data.presentation import SPECIALS, Presentation
from harness.data.rng import Purpose, Stream
from harness.errors import UserError
from harness.evaluation.chance import ROWS, chance
from harness.models.cost import Growth, measured_state, parameters, training_operations
from harness.registry.options import Spec, build_model, build_task, options_of
from tasks.base import IGNORE, Example, Task, decode, encode, worked_examples

SHORT, LONG = 5, 40
BINARY = ("0", "1", *SPECIALS)
"""The alphabet on which architectures are measured."""


class AtLength(NamedTuple):
    """Measurements of a task at one length.

    Attributes:
        chance_exact: exact match of guessing.
        chance_token: token accuracy of guessing.
        distinct: number of distinct sources among :data:`ROWS`.
        balance: share of each symbol in the answers, largest first.
    """

    length: int
    chance_exact: float
    chance_token: float
    distinct: int
    balance: list[tuple[str, float]]


def at_lengths(spec: Spec, task: Task) -> Iterator[AtLength]:
    """Measure a task at a short and at a longer length."""
    presentation = Presentation(task)
    for length in dict.fromkeys(available_length(task, length) for length in (SHORT, LONG)):
        source = task.sample(length, Stream.of([0], str(spec), Purpose.SHOW, length, ROWS, "cpu"))
        answers = task.solve(source)
        distinct = len(source.unique(dim=0))
        yield AtLength(length, *chance(presentation, str(spec), length), distinct, _balance(task, answers))


def available_length(task: Task, length: int) -> int:
    """Return the longest length of the task up to ``length``, or its shortest one where all are longer."""
    index = (length - task.lengths[0]) // task.lengths.step
    return task.lengths[min(max(index, 0), len(task.lengths) - 1)]


def _balance(task: Task, answers: torch.Tensor) -> list[tuple[str, float]]:
    counted = answers[answers != IGNORE]
    shares = torch.bincount(counted, minlength=len(task.symbols)) / len(counted)
    order = shares.argsort(descending=True, stable=True).tolist()
    return [(task.symbols[symbol], float(shares[symbol])) for symbol in order if shares[symbol]]


def examples(spec: Spec) -> list[tuple[str, str, str]]:
    """Return (options, source, answer) of the worked examples; of a RASP-L program, which has none, three samples."""
    rows = [(example.options, *worked(example, spec)) for example in worked_examples(spec.entry.cls)]
    if rows or not spec.entry.function:
        return rows
    task = build_task(spec)
    source = task.sample(available_length(task, SHORT), Stream.of([0], str(spec), Purpose.SHOW, 0, 3, "cpu"))
    pairs = zip(source, task.solve(source), strict=True)
    return [("", " ".join(decode(task.symbols, s)), " ".join(decode(task.symbols, a[a != IGNORE]))) for s, a in pairs]


def worked(example: Example, spec: Spec) -> tuple[str, str]:
    """Return the source of an example and its answer, which the task computes now."""
    task = build_task(Spec.parse("task", f"{spec.name}:{example.options}".removesuffix(":"), spec.catalog))
    answer = task.solve(encode(task.symbols, example.source))[0]
    return " ".join(example.source), " ".join(decode(task.symbols, answer))


class Model(NamedTuple):
    """Measurements of an architecture on a binary alphabet.

    Attributes:
        reach: maximum length of its input; ``None`` where there is no limit.
        state: bytes of the state of one sequence by length; ``None`` where the model cannot be stepped.
        operations: training operations per token by length; ``None`` where the model is not trained by gradients.
    """

    parameters: int
    causal: bool
    reach: int | None
    state: Growth | None
    operations: Growth | None


PLAIN = ("math", "loop")
"""Kernels whose operations can be counted. Fused kernels hide theirs."""


def model_facts(spec: Spec) -> Model:
    """Build a model and measure it."""
    model = build_model(spec, BINARY)
    state = {int(length): size for length, size in measured_state(model, (16, 256)).items()}
    operations = {} if model.is_gradient_free() else training_operations(_plain(spec))
    growths = [Growth.of(costs) if costs else None for costs in (state, operations)]
    return Model(parameters(model), model.causal, model.reach, *growths)


def _plain(spec: Spec) -> SequenceModel:
    """Build the model with a kernel whose operations can be counted, where it has one."""
    plain = [name for name in PLAIN if name in _kernel_choices(spec)]
    return build_model(spec.with_options({"kernel": plain[0]} if plain else {}), BINARY)


def kernels(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Yield (choice, selected kernels, reason it cannot be used) for each value of the option ``kernel``."""
    for choice in _kernel_choices(spec):
        try:
            model = build_model(spec.with_options({"kernel": choice}), BINARY)
        except UserError as error:
            yield choice, "", str(error).partition(f"kernel={choice} ")[2] or str(error)
        else:
            yield choice, ", ".join(dict.fromkeys(model.kernels.values())), ""


def _kernel_choices(spec: Spec) -> tuple[str, ...]:
    """Return the values of the option ``kernel``; empty where the architecture has no such option."""
    option = options_of(spec.entry).get("kernel")
    return tuple(str(choice) for choice in get_args(option.annotation)) if option else ()
