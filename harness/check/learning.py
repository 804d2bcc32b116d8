"""What every model can do: get a gradient everywhere, and learn one batch by heart."""

import torch
import torch.nn.functional as F

from harness.check.behaviour import CHUNKED
from harness.check.forms import trainer_of
from harness.check.outcome import Broken, expect
from harness.check.subject import ModelSubject, rouse, tokens
from harness.recipe import Recipe

BATCH = Recipe(steps=200, batch_size=8, train_lengths="4:4", warmup=10, schedule="constant")
RATES = (1e-2, 3e-3)
FITTED = 0.1


def every_parameter_learns(subject: ModelSubject) -> None:
    """Every parameter gets a gradient in one batch or another, and all gradients are finite."""
    model = rouse(subject.build()).train()
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


def learns_one_batch(subject: ModelSubject) -> None:
    """Eight strings of four letters are reversed without fault after at most 200 steps on them."""
    losses: dict[float, float] = {}
    for rate in RATES:
        losses[rate] = _loss_after_training(subject, rate)
        if losses[rate] < FITTED:
            return
    seen = " and ".join(f"{loss:.2f} at learning rate {rate:g}" for rate, loss in losses.items())
    raise Broken(f"after {BATCH.steps} steps on one batch its loss is {seen}; expected less than {FITTED}")


def _loss_after_training(subject: ModelSubject, rate: float) -> float:
    """Train on the first batch alone until it is fitted or the steps are used."""
    trainer = trainer_of(subject, (0,), (rate,), BATCH)
    batch, loss = trainer.data(0), float("inf")
    trainer.data = lambda step: batch  # type: ignore[assignment]
    while trainer.done < BATCH.steps and not loss < FITTED:
        trainer.step()
        loss = float(trainer.losses[trainer.done - 1])
    return loss
