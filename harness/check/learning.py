"""Checks of learning: every parameter gets a gradient, and the model overfits one batch.

A model that is fitted without gradients must change every parameter in a fit, and lower its loss by it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.check.equivalence import SEEDS, batching_obstacle, trainer_of
from harness.check.fixtures import ModelSubject, perturb_parameters, random_tokens
from harness.check.model_invariants import CHUNKED
from harness.check.result import CheckFailed, expect
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Batch
from harness.models.tensors import trained_parameters

RECIPE = Recipe(steps=200, batch_size=8, train_lengths=Span(4, 4), warmup=10, schedule="constant")
RATES = (1e-2, 3e-3)
OVERFITTED_LOSS = 0.1


class FirstBatch(Batches):
    """Returns the first batch in every step."""

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of step 0."""
        return super().draw(0, length)


def trains_every_parameter(subject: ModelSubject) -> str | None:
    """Every parameter that is not frozen gets a gradient in at least one batch, and all gradients are finite."""
    if subject.model.is_gradient_free():
        return _fit_changes_every_parameter(subject)
    model = perturb_parameters(subject.build()).train()
    parameters = trained_parameters(model)
    missing = set(parameters)
    for length, width in ((6, 5), (3, 8), (CHUNKED, 5)):
        for prefix, positions in ((random_tokens(4, width), width), (None, length)):
            logits = model(random_tokens(4, length), prefix)
            loss = F.cross_entropy(logits.flatten(0, 1), random_tokens(4, positions).flatten())
            gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
            for name, gradient in zip(parameters, gradients, strict=True):
                is_finite = bool(gradient.isfinite().all())
                expect(is_finite, f"the gradient of {name} must be finite, but is not (source of {length} tokens)")
            missing -= {name for name, gradient in zip(parameters, gradients, strict=True) if bool(gradient.any())}
    names = ", ".join(sorted(missing))
    expect(not missing, f"no batch gives a gradient to {names}; remove what is unused and avoid detach()")
    return None


def _fit_changes_every_parameter(subject: ModelSubject) -> str:
    seeds = SEEDS[:1] if batching_obstacle(subject) else SEEDS
    trainer = trainer_of(subject, seeds, (RATES[0],) * len(seeds))
    before = {name: weight.clone() for name, weight in trainer.population.weights(1).items()}
    trainer.step()
    after = trainer.population.weights(1)
    fitted = trained_parameters(trainer.population.model)
    unchanged = [name for name in fitted if torch.equal(after[name], before[name])]
    expect(not unchanged, f"fit left {', '.join(unchanged)} as it was: unused, or not changed in place")
    return "the model is fitted without gradients: one batch must change every parameter"


def overfits_one_batch(subject: ModelSubject) -> str | None:
    """The model learns to reverse eight strings of four letters in at most 200 steps on this one batch."""
    if subject.model.is_gradient_free():
        return _fit_lowers_the_loss(subject)
    losses: dict[float, float] = {}
    for rate in RATES:
        losses[rate] = _losses_on_one_batch(subject, rate)[-1]
        if losses[rate] < OVERFITTED_LOSS:
            return None
    shown = " and ".join(f"{loss:.2f} at learning rate {rate:g}" for rate, loss in losses.items())
    raise CheckFailed(
        f"after {RECIPE.steps} steps on one batch the loss is {shown}; expected less than {OVERFITTED_LOSS}"
    )


def _fit_lowers_the_loss(subject: ModelSubject) -> str:
    first, *_, last = _losses_on_one_batch(subject, RATES[0])
    expect(last < first, f"fit must lower the loss, which is {first:.2f} before it is fitted and {last:.2f} after it")
    return f"the model is fitted without gradients: its loss must fall, and falls from {first:.2f} to {last:.2f}"


def _losses_on_one_batch(subject: ModelSubject, rate: float) -> list[float]:
    """Train on the first batch until it is overfitted or all steps are used; return the loss of every step."""
    trainer = trainer_of(subject, (0,), (rate,), RECIPE, batches=FirstBatch)
    losses = [float("inf")]
    while trainer.done < RECIPE.steps and not losses[-1] < OVERFITTED_LOSS:
        trainer.step()
        losses.append(float(trainer.losses[trainer.done - 1]))
    return losses[1:]
