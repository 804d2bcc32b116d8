"""What every model can do: get a gradient everywhere, and learn one batch by heart.

A model that is fitted without gradients has every parameter changed by what it is shown, and does better after it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.check.equivalence import SEEDS, trainer_of
from harness.check.fixtures import ModelSubject, perturb_parameters, tokens
from harness.check.model_invariants import CHUNKED
from harness.check.result import CheckFailed, expect
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Batch

BATCH = Recipe(steps=200, batch_size=8, train_lengths=Span(4, 4), warmup=10, schedule="constant")
RATES = (1e-2, 3e-3)
FITTED = 0.1


class FirstBatch(Batches):
    """The first batch in every step."""

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of step 0."""
        return super().draw(0, length)


def every_parameter_learns(subject: ModelSubject) -> str | None:
    """Every parameter gets a gradient in one batch or another, and all gradients are finite."""
    if subject.model.is_gradient_free():
        return _every_parameter_is_fitted(subject)
    model = perturb_parameters(subject.build()).train()
    named = dict(model.named_parameters())
    missing = set(named)
    for length, width in ((6, 5), (3, 8), (CHUNKED, 5)):
        for fed, positions in ((tokens(4, width), width), (None, length)):
            logits = model(tokens(4, length), fed)
            loss = F.cross_entropy(logits.flatten(0, 1), tokens(4, positions).flatten())
            gradients = torch.autograd.grad(loss, list(named.values()), materialize_grads=True)
            for name, gradient in zip(named, gradients, strict=True):
                finite = bool(gradient.isfinite().all())
                expect(finite, f"the gradient of {name} is not finite (source of {length} tokens)")
            missing -= {name for name, gradient in zip(named, gradients, strict=True) if bool(gradient.any())}
    expect(not missing, f"no batch gives a gradient to {', '.join(sorted(missing))}: unused, or cut off from the loss")
    return None


def _every_parameter_is_fitted(subject: ModelSubject) -> str:
    trainer = trainer_of(subject, SEEDS, (RATES[0],) * len(SEEDS))
    parts = {name: part.clone() for name, part in trainer.population.weights(1).items()}
    trainer.step()
    same = [name for name, part in trainer.population.weights(1).items() if torch.equal(part, parts[name])]
    expect(not same, f"fit left {', '.join(same)} as it was: unused, or not changed in place")
    return "fitted without gradients: one batch must change every parameter"


def learns_one_batch(subject: ModelSubject) -> str | None:
    """Eight strings of four letters are reversed without fault after at most 200 steps on them."""
    if subject.model.is_gradient_free():
        return _profits_from_one_batch(subject)
    losses: dict[float, float] = {}
    for rate in RATES:
        losses[rate] = _losses_on_one_batch(subject, rate)[-1]
        if losses[rate] < FITTED:
            return None
    seen = " and ".join(f"{loss:.2f} at learning rate {rate:g}" for rate, loss in losses.items())
    raise CheckFailed(f"after {BATCH.steps} steps on one batch its loss is {seen}; expected less than {FITTED}")


def _profits_from_one_batch(subject: ModelSubject) -> str:
    first, *_, last = _losses_on_one_batch(subject, RATES[0])
    expect(last < first, f"the loss on a batch is {first:.2f} before it is fitted and {last:.2f} after it")
    return f"fitted without gradients: its loss must fall, and does so from {first:.2f} to {last:.2f}"


def _losses_on_one_batch(subject: ModelSubject, rate: float) -> list[float]:
    """Train on the first batch alone until it is fitted or the steps are used; return the loss of every step."""
    trainer = trainer_of(subject, (0,), (rate,), BATCH, batches=FirstBatch)
    losses = [float("inf")]
    while trainer.done < BATCH.steps and not losses[-1] < FITTED:
        trainer.step()
        losses.append(float(trainer.losses[trainer.done - 1]))
    return losses[1:]
