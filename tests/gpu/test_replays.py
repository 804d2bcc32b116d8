"""Steps replayed as CUDA graphs equal steps whose kernels are launched one by one, for every architecture."""

import pytest
import torch

from harness.check import ModelSubject, subject_of
from harness.check.equivalence import SEEDS, trainer_of
from harness.config.recipe import Recipe
from harness.models.population import Population
from harness.models.precision import FLOAT32, Numerics
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.training.trainer import Trainer

pytestmark = pytest.mark.gpu

CATALOG = Catalog()
NAMES = [
    entry.name
    for entry in CATALOG.entries["architecture"].values()
    if entry.origin == "built-in" and not (hasattr(entry.cls, "is_gradient_free") and entry.cls.is_gradient_free())
]
RECIPE = Recipe(steps=12, batch_size=8, train_lengths="2:3", warmup=2)
RATE, TOLERANCE = 1e-4, 1e-4
"""A GPU sums float32 in any order, and AdamW turns tiny gradients into full updates; so the learning rate is small."""
PARTS = ("draw", "learn")


def losses(subject: ModelSubject, *, capture: bool) -> tuple[torch.Tensor, Trainer]:
    """Train a small population on a GPU in float32; return its losses and the trainer."""
    models = [subject.build(seed).float() for seed in SEEDS]
    population = Population(models, "cuda", Numerics(capture=capture))
    trainer = trainer_of(subject, SEEDS, (RATE,) * len(SEEDS), RECIPE, population)
    for _ in range(RECIPE.steps):
        trainer.step()
    return trainer.losses.cpu(), trainer


@pytest.mark.parametrize("name", NAMES)
def test_replayed_steps_equal_launched_steps(name: str) -> None:
    subject = subject_of(Spec.parse("architecture", name, CATALOG))
    assert isinstance(subject, ModelSubject)
    with FLOAT32.applied():
        plain, _ = losses(subject, capture=False)
        replayed, trainer = losses(subject, capture=True)
    assert {part: str(program) for part, program in trainer.graphed.items()} == dict.fromkeys(PARTS, "CUDA graph")
    torch.testing.assert_close(replayed, plain, rtol=TOLERANCE, atol=TOLERANCE)


def test_dropout_differs_between_replays() -> None:
    subject = subject_of(Spec.parse("architecture", "transformer:dropout=0.5", CATALOG))
    assert isinstance(subject, ModelSubject)
    training_losses, trainer = losses(subject, capture=True)
    assert str(trainer.graphed["learn"]) == "CUDA graph"
    assert training_losses.isfinite().all()
    with torch.no_grad():
        trainer.optimizer.freeze(torch.ones(len(SEEDS), dtype=torch.bool, device="cuda"))
    trainer.step_index.zero_()
    first_losses = []
    for _ in range(2):
        length = trainer.batches.lengths[0]
        trainer.graphed["learn"](length, *trainer.graphed["draw"](length))
        trainer.step_index.zero_()
        first_losses.append(trainer.losses[0].clone())
    assert not torch.equal(*first_losses)
