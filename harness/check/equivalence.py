"""Checks of equal forms: kernels and the reference, steps and forward or prefill, a population and its members.

All are compared in double precision; see :data:`harness.check.result.TOLERANCE`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from architectures.base import Context, Mixer, State
from architectures.language_model import LanguageModel
from harness.check.fixtures import ModelSubject, perturb_parameters, random_tokens
from harness.check.model_invariants import CHUNKED, ROWS
from harness.check.result import CheckFailed, Skip, error_location, expect, expect_equal
from harness.config.cell import Cell, Group
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.models.population import Population
from harness.models.tensors import trained_parameters
from harness.registry.options import Spec
from harness.training.trainer import Trainer
from tasks.strings.reverse import Reverse

LENGTHS = ((1, 1), (5, 2), (CHUNKED, 3))
"""Tokens of source and prefix."""
PROMPTS = (1, 2, 7, 33, CHUNKED)
"""Lengths of prompts; most are no multiple of a chunk."""
SEEDS = (0, 1)
RATES = (1e-3, 1e-2)
RECIPE = Recipe(steps=3, batch_size=4, train_lengths=Span(1, 6), warmup=1, weight_decay=0.01)
POPULATION_TOLERANCE = 1e-7
"""Looser than for one forward: the optimizer divides by gradients, which carries rounding from step to step."""


NO_BATCHING_RULE = re.compile(
    r"atching rule not implemented|not yet have a batching rule|does not have vmap support|with functorch transforms"
)
"""Parts of torch's messages for operators and autograd functions that vmap cannot batch."""


def kernels_agree(subject: ModelSubject) -> str | None:
    """Every value of the ``kernel`` option gives the logits and gradients of the reference kernel."""
    if "kernel" not in subject.available_options:
        raise Skip("the architecture has no kernel option")
    auto, *kernels = subject.available_options["kernel"].type.split(" | ")
    reference = getattr(subject.entry.cls, "reference", None) or kernels[0]
    unusable = {}
    expected = _logits_and_gradients(subject, reference)
    for kernel in (auto, *kernels):
        try:
            actual = _logits_and_gradients(subject, kernel)
        except (UserError, ValueError) as error:
            if kernel == auto or f"kernel={kernel} " not in str(error):
                raise
            unusable[kernel] = str(error).rpartition(f"kernel={kernel} ")[2]
            continue
        for (name, value), (_, reference_value) in zip(actual, expected, strict=True):
            expect_equal(value, reference_value, f"kernel={kernel} and kernel={reference} must agree in {name}")
    return "; ".join(f"kernel={kernel} {reason}" for kernel, reason in unusable.items()) or None


def _logits_and_gradients(subject: ModelSubject, kernel: str) -> list[tuple[str, Tensor]]:
    """Return logits and the gradients of all parameters as one row, with and without a prefix, at several lengths."""
    model, named_values = perturb_parameters(subject.build(kernel=kernel)), []
    parameters = list(trained_parameters(model).values())
    torch.manual_seed(0)
    for length, width in LENGTHS:
        for prefix in (random_tokens(ROWS, width), None):
            logits = model(random_tokens(ROWS, length), prefix)
            gradients = torch.autograd.grad(logits.square().sum(), parameters, materialize_grads=True)
            inputs = f"a source of {length} and {'no prefix' if prefix is None else f'a prefix of {width}'}"
            named_values.append((f"the logits at {inputs}", logits.detach()))
            named_values.append((f"the gradients at {inputs}", _as_row(gradients)))
    return named_values


def _as_row(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


@torch.no_grad()
def steps_equal_forward(subject: ModelSubject) -> None:
    """If the model can be stepped, feeding tokens one by one gives the logits of ``forward``."""
    model = subject.model
    if not model.can_step:
        raise Skip("the model cannot be stepped")
    for length, width in (*LENGTHS, (3, CHUNKED)):
        source, prefix = random_tokens(ROWS, length), random_tokens(ROWS, width)
        state, step_logits = model.start(source), []
        for token in prefix.unbind(1):
            logits, state = model.step(token, state)
            step_logits.append(logits)
        message = f"start and step must give the logits of forward (source of {length}, prefix of {width})"
        expect_equal(torch.stack(step_logits, dim=1), model(source, prefix), message)


@torch.no_grad()
def prefill_equals_steps(subject: ModelSubject) -> None:
    """Reading a prompt with ``prefill`` gives the outputs and the state of ``start`` and ``step``."""
    model = subject.model
    if not isinstance(model, LanguageModel):
        raise Skip("the model is not a stack of mixers")
    if not model.can_step:
        raise Skip("the model cannot be stepped")
    x, context = model.begin(random_tokens(ROWS, max(PROMPTS)), None)
    steps, prompts = replace(context, shared={}).steps(), {length: _cut(context, length) for length in PROMPTS}
    for layer in model.layers:
        inner = layer.mixing.prepare(x)  # type: ignore[union-attr, operator]
        stepped = dict(enumerate(_states(layer.mixer, inner, steps), 1))  # type: ignore[arg-type]
        for length, prompt in prompts.items():
            message = f"after a prompt of {length}, prefill must equal start and step in"
            outputs, state = layer.mixer.prefill(inner[:, :length], prompt)  # type: ignore[union-attr, operator]
            expect_equal(outputs, stepped[length][0], f"{message} its outputs")
            _expect_same_state(state, stepped[length][1], message)
        x = layer(x, context)


def _cut(context: Context, length: int) -> Context:
    """Return the context of the first positions, without what layers share."""
    return replace(context, tokens=context.tokens[:, :length], positions=context.positions[:length], shared={})


def _states(mixer: Mixer, x: Tensor, steps: list[Context]) -> Iterator[tuple[Tensor, State]]:
    """Step through ``[B, L, D]``; yield all outputs so far and the state, after each position."""
    state, outputs = mixer.start(len(x), x), []
    for x_t, step in zip(x.unbind(1), steps, strict=True):
        y, state = mixer.step(x_t, state, step)
        outputs.append(y)
        yield torch.stack(outputs, dim=1), state


def _expect_same_state(actual: State, expected: State, message: str) -> None:
    """Expect two nested states to have the same tensors at the same places."""
    tensors, expected_tensors = (dict(_named_tensors(x)) for x in (actual, expected))
    kinds, expected_kinds = ({name: x.dtype for name, x in each.items()} for each in (tensors, expected_tensors))
    expect(kinds == expected_kinds, f"{message} the tensors of its state: {kinds}, not {expected_kinds}")
    for name, tensor in expected_tensors.items():
        if tensor.numel():
            expect_equal(tensors[name].to(torch.complex128), tensor.to(torch.complex128), f"{message} its {name}")


def _named_tensors(state: State, name: str = "state") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a nested state with their places."""
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, dict | list | tuple):
        for key, part in state.items() if isinstance(state, dict) else enumerate(state):
            yield from _named_tensors(part, f"{name}[{key}]")


def population_equals_its_members(subject: ModelSubject) -> str | None:
    """Two models trained as one population, at two learning rates, equal each trained alone."""
    if obstacle := batching_obstacle(subject):
        return obstacle
    _expect_same_evaluation(subject)
    if draws_in_training(subject):
        return "the model draws random numbers in training, so only untrained models were compared"
    together = _trained_together(subject)
    alone = [_train(subject, (seed,), (rate,)) for seed, rate in zip(SEEDS, RATES, strict=True)]
    for (name, actual), *members in zip(together, *alone, strict=True):
        expected = torch.cat([value for _, value in members])
        message = f"models trained together must equal models trained alone in {name}"
        expect_equal(actual, expected, message, POPULATION_TOLERANCE)
    return None


def divergence_does_not_spread(subject: ModelSubject) -> None:
    """A model of a population whose parameters become NaN does not change the other models."""
    if draws_in_training(subject):
        raise Skip("the model draws random numbers in training")
    if obstacle := batching_obstacle(subject):
        raise Skip(obstacle)
    healthy, broken = _trained_together(subject), _train(subject, SEEDS, RATES, broken=1)
    for (name, expected), (_, actual) in zip(healthy, broken, strict=True):
        message = f"a model whose parameters are NaN must not change the other models of the population in {name}"
        expect_equal(actual[0], expected[0], message)


@torch.no_grad()
def _expect_same_evaluation(subject: ModelSubject) -> None:
    """Expect the logits of a population to be those of its models evaluated alone."""
    models = [subject.build(seed) for seed in SEEDS]
    source, prefix = (random_tokens(len(SEEDS) * ROWS, width).view(len(SEEDS), ROWS, width) for width in (6, 4))
    alone = torch.stack([model(s, p) for model, s, p in zip(models, source, prefix, strict=True)])
    population = Population(models)
    population.train(False)
    together = _population_logits(population, source, prefix, subject)
    expect_equal(together, alone, "models evaluated together must give the logits that each gives alone")


def _population_logits(population: Population, source: Tensor, prefix: Tensor, subject: ModelSubject) -> Tensor:
    """Return the logits of a population; only a kernel requested by name may be unable to compute them."""
    try:
        return population.logits(source, prefix)
    except Exception as error:
        reason = error_location(error, subject.entry.path)
        if subject.options.get("kernel", "auto") != "auto":
            raise Skip(f"this kernel cannot compute a population: {reason}") from error
        raise CheckFailed(
            f"torch.func.vmap cannot batch the model over a population: {reason}; "
            "avoid in-place writes, .item(), and Python branches on values"
        ) from error


@lru_cache(maxsize=1)
def batching_obstacle(subject: ModelSubject) -> str | None:
    """Return why the models of a group are trained one by one, or None if they are trained together.

    It is a limit of torch: an operator of the model has no rule for vmap. Other errors are mistakes of the model, and
    are raised by the check that trains it. Raises the model's error if it cannot be trained alone either.
    """
    try:
        trainer_of(subject, SEEDS, RATES).step()
    except Exception as error:
        if not NO_BATCHING_RULE.search(str(error)):
            return None
        reason = error_location(error, subject.entry.path)
    else:
        return None
    trainer_of(subject, SEEDS[:1], RATES[:1]).step()
    return f"trained one by one: torch cannot batch the model over a population: {reason}"


def draws_in_training(subject: ModelSubject) -> bool:
    """Whether two forwards in training mode differ, because the model draws random numbers."""
    model, source, prefix = subject.build().train(), random_tokens(1, 5), random_tokens(1, 3)
    return not torch.equal(model(source, prefix), model(source, prefix))


@lru_cache(maxsize=1)
def _trained_together(subject: ModelSubject) -> list[tuple[str, Tensor]]:
    """Return what :func:`_train` returns for a population; two checks of one subject need it."""
    return _train(subject, SEEDS, RATES)


def _train(
    subject: ModelSubject, seeds: tuple[int, ...], rates: tuple[float, ...], broken: int | None = None
) -> list[tuple[str, Tensor]]:
    """Train a population on ``reverse``; return its losses ``[R, steps]`` and last logits ``[R, B, T, V]``.

    The logits are those in training mode and in evaluation mode, because buffers may act in one of them only.

    The parameters of the model with index ``broken`` start as NaN.
    """
    trainer = trainer_of(subject, seeds, rates)
    population = trainer.population
    if broken is not None:
        with torch.no_grad():
            population.values[broken] = torch.nan
    for _ in range(RECIPE.steps):
        trainer.step()
    expect(bool(trainer.losses[:, 0].isfinite().all()), f"training losses are not finite: {trainer.losses[:, 0]}")
    logits = [("last logits", last_logits(population)), ("last logits in evaluation", evaluated_logits(population))]
    return [("their losses", trainer.losses.T), *((f"their {name}", value) for name, value in logits)]


@torch.no_grad()
def last_logits(population: Population) -> Tensor:
    """Return the logits of all models for the same random tokens."""
    generator = torch.Generator().manual_seed(0)
    source, prefix = (random_tokens(ROWS, width, generator).expand(population.size, -1, -1) for width in (6, 4))
    return population.logits(source, prefix)


def evaluated_logits(population: Population) -> Tensor:
    """Return the logits of :func:`last_logits` in evaluation mode."""
    population.train(False)
    logits = last_logits(population)
    population.train()
    return logits


def trainer_of(
    subject: ModelSubject,
    seeds: tuple[int, ...],
    rates: tuple[float, ...],
    recipe: Recipe = RECIPE,
    population: Population | None = None,
    batches: type[Batches] = Batches,
) -> Trainer:
    """Return a trainer of untrained models on ``reverse``, in an answer mode that the architecture supports."""
    population = population or Population([subject.build(seed) for seed in seeds])
    population.train()
    spec = Spec.parse("task", "reverse", subject.spec.catalog)
    cells = tuple(Cell(subject.spec, spec, recipe, rate, seed) for seed, rate in zip(seeds, rates, strict=True))
    presentation = Presentation(Reverse(), "generate" if population.model.causal else "readout")
    return Trainer(population, Group(cells), presentation, lambda step, loss: None, batches=batches)
