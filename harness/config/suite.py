"""A suite names the architectures, the tasks and the recipe of a comparison.

It is read from a TOML file or made from options of the command line::

    name = "mine"
    architectures = ["lstm", "transformer:position=rope"]
    seeds = 3
    learning_rates = [1e-3, 3e-3]
    samples = 256                       # sequences in each test set
    test_lengths = "41:200"

    [model]                             # options for each architecture that has them
    width = 64

    [recipe]
    steps = 2000
    train_lengths = "1:40"

    [[tasks]]
    task = "parity"
    test_lengths = "41:500"
    steps = 4000                        # recipe keys override the recipe for this task
    architectures = ["lstm"]            # only these of the suite's architectures

    [[tasks]]
    task = "multiplication"

    [[tasks]]
    task = "multiplication:order=reversed"

    [[evaluation]]                      # also evaluates trained cells on a variant with the same alphabet
    name = "two digits"
    task = "multiplication:digits=2,order=reversed"
    of = "multiplication:order=reversed"    # only cells of this task; default: all cells of multiplication
    test_lengths = "50"

A suite can also list claims of the literature, which are checked against its scores: see :mod:`harness.config.claims`.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, Interval, Le, MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.config.cell import TUNING_SEED
from harness.config.claims import Claim
from harness.config.recipe import Recipe
from harness.config.suite_files import is_suite_file, names, path_of, read_toml
from harness.errors import UserError, suggest, unknown
from harness.registry.limits import GREATEST_RATE, MOST_SAMPLES, MOST_SEEDS
from harness.registry.option_types import option_error

PLAIN = "plain"
"""The name that tables for machines give to the evaluation of a task itself, next to its variants."""

Rate = Annotated[float, Gt(0), Le(GREATEST_RATE)]


class TaskEntry(BaseModel):
    """A task of a suite, with the settings that differ from the suite's. Further keys belong to the recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task: str
    test_lengths: str | None = None
    architectures: list[str] | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """The recipe keys that are set for this task."""
        return dict(self.model_extra or {})


class Evaluation(BaseModel):
    """A variant of a task, on which cells of the task with the same name are also evaluated.

    ``of`` limits it to the cells of one task entry; empty means all entries with that name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, MinLen(1)]
    task: str
    test_lengths: str
    of: str = ""

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value == PLAIN:
            raise ValueError(f"{PLAIN} is the name of the task itself in tables; choose another name")
        return value


class Suite(BaseModel):
    """Input of a plan.

    Args:
        name: letters, digits, ``-``, ``_`` and ``.``; the default output folder is ``results/<name>``.
        title: one line, shown in the report.
        takes: the time that the suite took on two CPU cores, for ``lengthwise list suites``.
        description: paragraphs, shown in the report.
        architectures: specs, in the order of the tables.
        tasks: specs, or tables with settings for one task.
        seeds: number of reported seeds.
        first_seed: the first of them.
        learning_rates: of several rates, validation chooses one for each architecture on each task.
        tuning_seeds: number of other seeds, never reported, with which each of several rates is tried.
        samples: sequences in each test set.
        test_lengths: of tasks that do not set their own.
        model: options for each architecture that has them.
        match: ``parameters:300k`` solves each architecture's width for that many parameters.
        recipe: recipe keys of all tasks.
        recipes: pipelines of stages (:mod:`harness.config.stages`); each task is trained with each of them.
        evaluation: variants on which trained cells are also evaluated; a variant has the alphabet of its task.
        known: published claims, checked against the scores.
        plugins: Python files, relative to the suite file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, MinLen(1)]
    title: str = ""
    takes: str = ""
    description: str = ""
    architectures: Annotated[list[str], MinLen(1)]
    tasks: Annotated[list[TaskEntry], MinLen(1)]
    seeds: Annotated[int, Interval(ge=1, le=MOST_SEEDS)] = 3
    first_seed: Annotated[int, Interval(ge=0, le=TUNING_SEED - MOST_SEEDS)] = 0
    learning_rates: Annotated[list[Rate], MinLen(1)] = Field(default_factory=lambda: [1e-3])
    tuning_seeds: Annotated[int, Interval(ge=1, le=MOST_SEEDS)] = 2
    samples: Annotated[int, Interval(ge=1, le=MOST_SAMPLES)] = 256
    test_lengths: str = "21:100"
    model: dict[str, bool | int | float | str] = Field(default_factory=dict)
    match: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    recipes: list[str] = Field(default_factory=list)
    evaluation: list[Evaluation] = Field(default_factory=list)
    known: list[Claim] = Field(default_factory=list)
    plugins: list[str] = Field(default_factory=list)

    @property
    def entries(self) -> list[TaskEntry]:
        """The tasks, each with every pipeline of ``recipes``; a task that sets its own ``stages`` has only that."""
        return [
            entry.model_copy(update={"stages": stages}) if stages is not None else entry
            for entry in self.tasks
            for stages in (self.recipes if self.recipes and "stages" not in entry.overrides else [None])
        ]

    @field_validator("name")
    @classmethod
    def _is_folder_name(cls, value: str) -> str:
        if not re.fullmatch(r"[\w-][\w.-]*", value):
            valid = re.sub(r"[^\w.-]+", "-", value).strip(".-") or "custom"
            raise ValueError(f"use letters, digits, -, _ and . only, and do not begin with a dot, as in {valid!r}")
        return value

    @field_validator("learning_rates")
    @classmethod
    def _distinct(cls, value: list[float]) -> list[float]:
        twice = next((rate for place, rate in enumerate(value) if rate in value[:place]), None)
        if twice is not None:
            raise ValueError(f"{twice:g} is given twice; give each learning rate once")
        return value

    @field_validator("tasks", mode="before")
    @classmethod
    def _entries(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"task": entry} if isinstance(entry, str) else entry for entry in value]


def load(which: str) -> Suite:
    """Load a shipped suite by name, or a file by a path that ends in ``.toml``. Plug-in paths become absolute."""
    is_file = is_suite_file(which)
    path = Path(which) if is_file else path_of(which)
    if not path.is_file():
        raise UserError(f"suite file {which!r} does not exist") if is_file else unknown("suite", which, names())
    values = _read(path)
    values["plugins"] = [str((path.parent / plugin).resolve()) for plugin in values.get("plugins", [])]
    return make(values, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except tomllib.TOMLDecodeError as error:
        end = f"at the end, line {path.read_bytes().count(10) + 1}"
        raise UserError(f"{path}: not valid TOML: {str(error).replace('at end of document', end)}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}") from None


def make(values: dict[str, Any], where: str) -> Suite:
    """Build a suite from plain values; raise :class:`UserError` for the first key that is unknown or has a wrong type.

    ``where`` names the origin of the values in errors.
    """
    for key in values:
        if key not in Suite.model_fields:
            raise UserError(f"{where}: unknown suite key {key!r}{suggest(key, Suite.model_fields)}")
    _check_task_keys(values.get("tasks"), where)
    try:
        return Suite(**values)
    except ValidationError as error:
        raise option_error(f"{where}:", error, {}) from None


def _check_task_keys(tasks: Any, where: str) -> None:
    """Raise :class:`UserError` for an unknown key of a task entry; pydantic reports entries of a wrong type."""
    keys = [*TaskEntry.model_fields, *Recipe.model_fields]
    for entry in tasks if isinstance(tasks, list) else ():
        for key in entry if isinstance(entry, dict) else ():
            if key not in keys:
                raise UserError(f"{where}: task {entry.get('task', '?')!r} has no key {key!r}{suggest(key, keys)}")
