"""A cell is one trained model: architecture, task, recipe, learning rate, seed. Its id is the hash of exactly that.

A group is a set of cells that differ only in seed and learning rate: a population, trained as one program.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.config.recipe import Recipe, make_recipe
from harness.registry.catalog import Catalog
from harness.registry.options import Spec

SCHEMA = 1


@dataclass(frozen=True)
class Cell:
    """What was trained. Device, workers and group size are no part of it."""

    architecture: Spec
    task: Spec
    recipe: Recipe
    learning_rate: float
    seed: int

    def canonical(self) -> dict[str, Any]:
        """Return the cell as plain values, the same for equal cells."""
        return {
            "schema": SCHEMA,
            "architecture": {"name": self.architecture.name, "options": dict(self.architecture.options)},
            "task": {"name": self.task.name, "options": dict(self.task.options)},
            "recipe": self.recipe.model_dump(),
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }

    @cached_property
    def id(self) -> str:
        """Sixteen hexadecimal digits of the hash of the canonical JSON."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def specs(self) -> tuple[Spec, Spec]:
        """Architecture and task."""
        return self.architecture, self.task

    @property
    def group_key(self) -> tuple[Spec, Spec, Recipe]:
        """What the cells of a group have in common."""
        return self.architecture, self.task, self.recipe

    def __str__(self) -> str:
        return f"{self.architecture} / {self.task} lr={self.learning_rate:g} seed={self.seed}"


def cell_of(values: dict[str, Any], catalog: Catalog) -> Cell:
    """Return the cell whose :meth:`Cell.canonical` values these are."""
    specs = [Spec.of(kind, values[kind]["name"], values[kind]["options"], catalog) for kind in ("architecture", "task")]
    return Cell(specs[0], specs[1], make_recipe(values["recipe"]), values["learning_rate"], values["seed"])


@dataclass(frozen=True)
class Group:
    """Cells that are trained at once."""

    cells: tuple[Cell, ...]

    @property
    def first(self) -> Cell:
        """Any of the cells, for what they have in common."""
        return self.cells[0]


def make_groups(cells: Iterable[Cell], size: int) -> list[Group]:
    """Put kindred cells into groups of at most ``size``, in order."""
    kindred: dict[tuple[Spec, Spec, Recipe], list[Cell]] = {}
    for cell in cells:
        kindred.setdefault(cell.group_key, []).append(cell)
    return [Group(tuple(each[i : i + size])) for each in kindred.values() for i in range(0, len(each), size)]
