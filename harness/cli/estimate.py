"""How long a plan takes: measured by taking a few real training steps of every pair at its mean training length."""

import time
from collections.abc import Iterator
from statistics import median

import torch

from harness.batches import train_lengths
from harness.catalog import Catalog
from harness.cell import Cell, Group
from harness.numerics import FLOAT32, Numerics
from harness.options import Spec, build_model, build_task
from harness.plan import Question
from harness.population import Population, build_seeded
from harness.present import Presentation
from harness.train import Trainer

STEPS = 4


def seconds_per_step(
    spec: Spec, question: Question, catalog: Catalog, device: str, numerics: Numerics = FLOAT32
) -> float:
    """Return the median seconds of a step after the first."""
    task, recipe = build_task(question.task, catalog), question.recipe
    presentation = Presentation(task, recipe.answer, recipe.think)
    known = train_lengths(task, recipe)
    typical = min(known, key=lambda length: abs(length - sum(known) / len(known)))
    short = recipe.model_copy(update={"steps": STEPS, "train_lengths": f"{typical}:{typical}"})
    model = build_seeded(lambda: build_model(spec, presentation.symbols, catalog), 0, str(spec))
    group = Group((Cell(spec, question.task, short, 1e-3, 0),))
    trainer = Trainer(Population([model], device, numerics), group, presentation, lambda step, loss: None)
    trainer.step()
    return median(_timed(trainer, device))


def _timed(trainer: Trainer, device: str) -> Iterator[float]:
    for _ in range(STEPS - 1):
        began = time.perf_counter()
        trainer.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        yield time.perf_counter() - began
