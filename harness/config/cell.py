"""A cell is one model to train: architecture, task, recipe, learning rate and seed. Its id is a hash of these values.

A group is a set of cells that differ only in seed and learning rate. It is trained as one population.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from harness.config.recipe import Recipe, make_recipe
from harness.registry.catalog import Catalog
from harness.registry.options import Spec

SCHEMA = 1

TUNING_SEED = 1_000_000
"""Seeds from here on choose learning rates and are never reported."""

GroupKey = tuple[Spec, Spec, Recipe]
"""Architecture, task and recipe. Cells with equal keys can be in one group."""


@dataclass(frozen=True)
class Cell:
    """The settings of one trained model. Device, number of workers and group size are not part of them."""

    architecture: Spec
    task: Spec
    recipe: Recipe
    learning_rate: float
    seed: int

    def canonical(self) -> dict[str, Any]:
        """Return the cell as JSON values. They are equal for equal cells."""
        return {
            "schema": SCHEMA,
            "architecture": {"name": self.architecture.name, "options": dict(self.architecture.options)},
            "task": {"name": self.task.name, "options": dict(self.task.options)},
            "recipe": self.recipe.canonical,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
        }

    @cached_property
    def id(self) -> str:
        """The first sixteen hexadecimal digits of the SHA-256 hash of the canonical JSON."""
        return id_of(self.canonical())

    @property
    def specs(self) -> tuple[Spec, Spec]:
        """The specs of architecture and task."""
        return self.architecture, self.task

    @property
    def group_key(self) -> GroupKey:
        """The key of the groups that the cell can be in."""
        return self.architecture, self.task, self.recipe

    @property
    def has_defaults_written(self) -> bool:
        """Whether an option was given with its default value, so that :meth:`as_written` is another cell."""
        return any(spec.options != spec.written for spec in self.specs)

    def as_written(self) -> "Cell":
        """Return the cell with all options that were given, as older records have it in their ids."""
        return replace(self, architecture=self.architecture.as_written(), task=self.task.as_written())

    def canonical_form(self) -> "Cell":
        """Return the cell without the options that have their default value."""
        return replace(self, architecture=self.architecture.canonical(), task=self.task.canonical())

    def __str__(self) -> str:
        return f"{self.architecture} / {self.task} lr={self.learning_rate:g} seed={self.seed}"


def id_of(values: Mapping[str, Any]) -> str:
    """Return the id of the cell with these JSON values."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cell_of(values: dict[str, Any], catalog: Catalog) -> Cell:
    """Return the cell from the values that :meth:`Cell.canonical` returns, with the same id."""
    specs = [Spec.of(kind, values[kind]["name"], values[kind]["options"], catalog) for kind in ("architecture", "task")]
    recipe = make_recipe(values["recipe"])
    return Cell(specs[0], specs[1], recipe, values["learning_rate"], values["seed"]).as_written()


@dataclass(frozen=True)
class Group:
    """Cells with the same architecture, task and recipe. They are trained as one population."""

    cells: tuple[Cell, ...]

    @property
    def first(self) -> Cell:
        """The first cell. All cells of the group have its architecture, task and recipe."""
        return self.cells[0]


def make_groups(cells: Iterable[Cell], size: int) -> list[Group]:
    """Return groups of at most ``size`` cells with equal ``group_key``, in the order of the cells.

    A cell whose training lengths grow by mastery is a group of its own, because its lengths depend on the model.
    """
    by_key: dict[GroupKey, list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(cell.group_key, []).append(cell)
    groups = []
    for (_, _, recipe), same in by_key.items():
        most = 1 if recipe.length_growth == "mastery" else size
        groups += [Group(tuple(same[i : i + most])) for i in range(0, len(same), most)]
    return groups
