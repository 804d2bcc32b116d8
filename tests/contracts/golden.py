"""Golden losses: the last loss of one small cell of each architecture, trained from a fixed seed.

They reveal changes that no contract check sees: another initialisation, another order of operations, another default.
After an intended change, record them again and commit the file::

    python -m tests.contracts.golden
"""

import json
from pathlib import Path

import torch

from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.models.population import Population, build_seeded
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.training.trainer import Trainer

FILE = Path(__file__).with_name("golden.json")
RECIPE = Recipe(steps=20, batch_size=16, train_lengths="1:8", warmup=5, schedule="constant")
RATE, SEED = 3e-3, 0


def names() -> list[str]:
    """Return the names of the built-in architectures."""
    return [entry.name for entry in Catalog().entries["architecture"].values() if entry.origin == "built-in"]


def recorded() -> dict[str, float]:
    return json.loads(FILE.read_text()) if FILE.is_file() else {}


def last_loss(name: str) -> float:
    """Train one cell on ``reverse`` in float64, which hides rounding, and return the loss of the last step."""
    torch.set_num_threads(1)
    catalog = Catalog()
    task = Spec.parse("task", "reverse", catalog)
    spec = Spec.parse("architecture", name, catalog).with_defaults({"width": 16})
    model = build_model(spec, ("a", "b"))
    presentation = Presentation(build_task(task), "generate" if model.causal else "readout")
    model = build_seeded(spec, presentation.symbols, SEED, name).double()
    group = Group((Cell(spec, task, RECIPE, RATE, SEED),))
    trainer = Trainer(Population([model]), group, presentation, lambda step, loss: None)
    for _ in range(RECIPE.steps):
        trainer.step()
    return float(trainer.losses[-1, 0])


def main() -> None:
    """Record all losses and print old and new ones."""
    old, new = recorded(), {name: round(last_loss(name), 7) for name in names()}
    for name in sorted({*old, *new}):
        print(f"{name:24} {old.get(name, 'new'):>12} -> {new.get(name, 'gone'):>12}")
    FILE.write_text(json.dumps(new, indent=1) + "\n")


if __name__ == "__main__":
    main()
