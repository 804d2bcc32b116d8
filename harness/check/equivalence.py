"""Equal forms: every kernel equals the reference, stepping equals the whole, a population equals its members.

All in double precision; see :data:`harness.check.result.TOLERANCE`.
"""

import torch
from torch import Tensor

from harness.check.fixtures import ModelSubject, perturb_parameters, tokens
from harness.check.model_invariants import CHUNKED, ROWS
from harness.check.result import CheckFailed, Skip, error_location, expect, expect_equal
from harness.config.cell import Cell, Group
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.models.population import Population
from harness.registry.options import Spec
from harness.training.trainer import Trainer
from tasks.strings.reverse import Reverse

LENGTHS = ((1, 1), (5, 2), (CHUNKED, 3))
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2)
RECIPE = Recipe(steps=12, batch_size=4, train_lengths=Span(1, 6), warmup=2, weight_decay=0.01)
POPULATION_TOLERANCE = 1e-7
"""Looser than for one forward: the optimizer divides by gradients, which carries rounding from step to step."""


def kernels_agree(subject: ModelSubject) -> str | None:
    """Every value of the ``kernel`` option gives the logits and gradients of the reference form."""
    if "kernel" not in subject.known:
        raise Skip("has no kernel option")
    auto, *named = subject.known["kernel"].type.split(" | ")
    reference = getattr(subject.entry.cls, "reference", None) or named[0]
    unusable = {}
    expected = _all_values(subject, reference)
    for kernel in (auto, *named):
        try:
            seen = _all_values(subject, kernel)
        except (UserError, ValueError) as error:
            if kernel == auto or f"kernel={kernel} " not in str(error):
                raise
            unusable[kernel] = str(error).rpartition(f"kernel={kernel} ")[2]
            continue
        for (what, value), (_, wanted) in zip(seen, expected, strict=True):
            expect_equal(value, wanted, f"kernel={kernel} and kernel={reference} must agree in {what}")
    return "; ".join(f"kernel={kernel} {why}" for kernel, why in unusable.items()) or None


def _all_values(subject: ModelSubject, kernel: str) -> list[tuple[str, Tensor]]:
    """Return logits and the gradients of all parameters as one row, with and without a prefix, at several lengths."""
    model, found = perturb_parameters(subject.build(kernel=kernel)), []
    torch.manual_seed(0)
    for length, width in LENGTHS:
        for fed in (tokens(ROWS, width), None):
            logits = model(tokens(ROWS, length), fed)
            gradients = torch.autograd.grad(logits.square().sum(), list(model.parameters()), materialize_grads=True)
            at = f"at a source of {length} and {'no prefix' if fed is None else f'a prefix of {width}'}"
            found += [(f"the logits {at}", logits.detach()), (f"the gradients {at}", _row(gradients))]
    return found


def _row(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([each.flatten() for each in tensors])


@torch.no_grad()
def steps_like_the_whole(subject: ModelSubject) -> None:
    """Where the model steps, feeding tokens one by one gives the logits of ``forward``."""
    model = subject.model
    if not model.can_step:
        raise Skip("has no stepping form")
    for length, width in (*LENGTHS, (3, CHUNKED)):
        source, prefix = tokens(ROWS, length), tokens(ROWS, width)
        state, stepped = model.start(source), []
        for token in prefix.unbind(1):
            logits, state = model.step(token, state)
            stepped.append(logits)
        words = f"start and step must give what forward gives (source of {length}, prefix of {width})"
        expect_equal(torch.stack(stepped, dim=1), model(source, prefix), words)


def population_equals_its_members(subject: ModelSubject) -> str | None:
    """Three models trained together, at three learning rates, equal each trained alone."""
    _expect_same_evaluation(subject)
    if draws_in_training(subject):
        return "draws random numbers in training, so that only untrained models were compared"
    together = _train(subject, SEEDS, RATES)
    alone = [_train(subject, (seed,), (rate,)) for seed, rate in zip(SEEDS, RATES, strict=True)]
    for (what, seen), *members in zip(together, *alone, strict=True):
        wanted = torch.cat([value for _, value in members])
        expect_equal(seen, wanted, f"trained together and alone, models must agree in {what}", POPULATION_TOLERANCE)
    return None


def divergence_stays_alone(subject: ModelSubject) -> None:
    """A model that breaks down in a population does not touch the others."""
    if draws_in_training(subject):
        raise Skip("draws random numbers in training")
    healthy, broken = _train(subject, SEEDS, RATES), _train(subject, SEEDS, RATES, broken=1)
    for (what, wanted), (_, seen) in zip(healthy, broken, strict=True):
        expect_equal(seen[[0, 2]], wanted[[0, 2]], f"a member that is not a number changed the others in {what}")


@torch.no_grad()
def _expect_same_evaluation(subject: ModelSubject) -> None:
    """Evaluated together, models must give the logits that each gives alone."""
    models = [subject.build(seed) for seed in SEEDS]
    source, prefix = (tokens(len(SEEDS) * ROWS, width).view(len(SEEDS), ROWS, width) for width in (6, 4))
    alone = torch.stack([model(s, p) for model, s, p in zip(models, source, prefix, strict=True)])
    population = Population(models)
    population.train(False)
    together = _carried(population, source, prefix, subject)
    expect_equal(together, alone, "evaluated together and alone, models must agree")


def _carried(population: Population, source: Tensor, prefix: Tensor, subject: ModelSubject) -> Tensor:
    """Return the logits of a population; a kernel asked for by name may refuse it, the architecture may not."""
    try:
        return population.logits(source, prefix)
    except Exception as error:
        why = error_location(error, subject.entry.path)
        if subject.options.get("kernel", "auto") != "auto":
            raise Skip(f"this kernel carries no population: {why}") from error
        raise CheckFailed(
            f"torch.func.vmap cannot carry a population through it: {why}; "
            "look for in-place writes, .item(), and Python branches on values"
        ) from error


def draws_in_training(subject: ModelSubject) -> bool:
    """Whether a forward in training is another at every call."""
    model, source, prefix = subject.build().train(), tokens(1, 5), tokens(1, 3)
    return not torch.equal(model(source, prefix), model(source, prefix))


def _train(
    subject: ModelSubject, seeds: tuple[int, ...], rates: tuple[float, ...], broken: int | None = None
) -> list[tuple[str, Tensor]]:
    """Train a population on reversing; return its losses ``[R, steps]`` and last logits ``[R, B, T, V]``."""
    trainer = trainer_of(subject, seeds, rates)
    population = trainer.population
    if broken is not None:
        with torch.no_grad():
            population.values[broken] = torch.nan
    for _ in range(RECIPE.steps):
        trainer.step()
    expect(bool(trainer.losses[:, 0].isfinite().all()), f"training losses are not finite: {trainer.losses[:, 0]}")
    drawn = torch.Generator().manual_seed(0)
    source, prefix = (tokens(ROWS, width, drawn).expand(len(seeds), -1, -1) for width in (6, 4))
    with torch.no_grad():
        return [("their losses", trainer.losses.T), ("their last logits", population.logits(source, prefix))]


def trainer_of(
    subject: ModelSubject,
    seeds: tuple[int, ...],
    rates: tuple[float, ...],
    recipe: Recipe = RECIPE,
    population: Population | None = None,
    batches: type[Batches] = Batches,
) -> Trainer:
    """Return a trainer of untrained models on reversing, asked in a way the architecture can answer."""
    population = population or Population([subject.build(seed) for seed in seeds])
    population.train()
    spec = Spec.parse("task", "reverse", subject.spec.catalog)
    cells = tuple(Cell(subject.spec, spec, recipe, rate, seed) for seed, rate in zip(seeds, rates, strict=True))
    presentation = Presentation(Reverse(), "generate" if population.model.causal else "readout")
    return Trainer(population, Group(cells), presentation, lambda step, loss: None, batches=batches)
