"""A suite: which architectures meet which tasks, under which recipe. A TOML file, or the command line's options.

::

    name = "mine"
    architectures = ["lstm", "transformer:position=rope"]
    seeds = 3
    learning_rates = [1e-3, 3e-3]
    samples = 256                       # rows of every evaluation set
    test_lengths = "41:200"

    [model]                             # options for every architecture that has them
    width = 64

    [recipe]
    steps = 2000
    train_lengths = "1:40"

    [[tasks]]
    task = "parity"
    test_lengths = "41:500"             # anything but `task` and `test_lengths` overrides the recipe
    steps = 4000
    architectures = ["lstm"]            # these of the suite's alone

    [[tasks]]
    task = "multiplication"

    [[tasks]]
    task = "multiplication:order=reversed"

    [[evaluation]]                      # the same cells on a variant of the task, of one alphabet with it
    name = "two digits"
    task = "multiplication:digits=2,order=reversed"
    of = "multiplication:order=reversed"    # of these cells alone; without it, of all cells of multiplication
    test_lengths = "50"

Claims of the literature may follow, to be looked up in the scores: see :mod:`harness.config.claims`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.config.claims import Claim
from harness.config.recipe import Recipe
from harness.errors import UserError, nearest, unknown
from harness.registry.options import option_error

SUITES = Path(__file__).resolve().parents[1] / "suites"


class TaskEntry(BaseModel):
    """A task of a suite with what differs for it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task: str
    test_lengths: str | None = None
    architectures: list[str] | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """The recipe keys given for this task."""
        return dict(self.model_extra or {})


class Evaluation(BaseModel):
    """A variant on which the cells of a task of the same name are evaluated too: all of them, or those ``of`` one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, MinLen(1)]
    task: str
    test_lengths: str
    of: str = ""


class Suite(BaseModel):
    """Everything a plan is made from.

    Args:
        name: also the default output folder, ``results/<name>``.
        title: one line for the report.
        description: what the suite asks and what it is read for.
        architectures: specs, in the order of the tables.
        tasks: specs or tables with overrides.
        seeds: number of seeds, from 0.
        learning_rates: every architecture gets each of them; one is chosen by validation.
        samples: rows of every evaluation set.
        test_lengths: where nothing else is said.
        model: options for every architecture that has them.
        match: ``parameters:300k`` solves each architecture's width for that many parameters.
        recipe: recipe keys.
        evaluation: variants, each for all entries of its task or ``of`` one of them; they share one alphabet.
        known: results of others, looked up in the scores.
        plugins: files, relative to the suite's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, MinLen(1)]
    title: str = ""
    description: str = ""
    architectures: Annotated[list[str], MinLen(1)]
    tasks: Annotated[list[TaskEntry], MinLen(1)]
    seeds: Annotated[int, Ge(1)] = 3
    learning_rates: Annotated[list[Annotated[float, Gt(0)]], MinLen(1)] = Field(default_factory=lambda: [1e-3])
    samples: Annotated[int, Ge(1)] = 256
    test_lengths: str = "21:100"
    model: dict[str, bool | int | float | str] = Field(default_factory=dict)
    match: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    evaluation: list[Evaluation] = Field(default_factory=list)
    known: list[Claim] = Field(default_factory=list)
    plugins: list[str] = Field(default_factory=list)

    @field_validator("tasks", mode="before")
    @classmethod
    def _entries(cls, value: Any) -> Any:
        return (
            [{"task": each} if isinstance(each, str) else each for each in value] if isinstance(value, list) else value
        )


def names() -> list[str]:
    """Return the names of the shipped suites."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def load(which: str) -> Suite:
    """Load a shipped suite by name or a file by path; plug-in paths become absolute."""
    path = Path(which) if which.endswith(".toml") else SUITES / f"{which}.toml"
    if not path.is_file():
        raise (
            UserError(f"suite file {which!r} does not exist")
            if which.endswith(".toml")
            else unknown("suite", which, names())
        )
    try:
        text = path.read_text()
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = str(error).replace("at end of document", f"at the end, line {text.count(chr(10)) + 1}")
        raise UserError(f"{path}: not valid TOML: {where}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}") from None
    values["plugins"] = [str((path.parent / p).resolve()) for p in values.get("plugins", [])]
    return make(values, str(path))


def make(values: dict[str, Any], where: str) -> Suite:
    """Build a suite from plain values; unknown and ill-typed keys become one clear line."""
    for key in values:
        if key not in Suite.model_fields:
            raise UserError(f"{where}: unknown suite key {key!r}{nearest(key, Suite.model_fields)}")
    tasks = values.get("tasks")
    for entry in tasks if isinstance(tasks, list) else ():
        for key in entry if isinstance(entry, dict) else ():
            if key not in {*TaskEntry.model_fields, *Recipe.model_fields}:
                known = [*TaskEntry.model_fields, *Recipe.model_fields]
                raise UserError(f"{where}: task {entry.get('task', '?')!r} has no key {key!r}{nearest(key, known)}")
    try:
        return Suite(**values)
    except ValidationError as error:
        raise option_error(f"{where}:", error, {}) from None
