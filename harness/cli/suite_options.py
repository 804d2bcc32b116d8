"""Options of the command line that override a suite.

An option also overrides the setting of a single task. Without a suite's name, ``-a`` and ``-t`` together define a suite
called ``custom``.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config.recipe import make_recipe
from harness.config.suite import Suite, load, make
from harness.errors import UserError
from harness.registry.catalog import program_of

DEFAULT, CUSTOM = "quick", "custom"


@dataclass(frozen=True)
class Overrides:
    """Values from the command line. Empty lists, and ``None`` in ``suite``, override nothing.

    Attributes:
        architectures: specs that replace those of the suite.
        tasks: specs that replace those of the suite; ``file.py:function`` is a RASP-L program of that plug-in.
        suite: values of other keys of the suite.
        recipe: values of recipe keys.
        plugins: files in addition to those of the suite.
    """

    architectures: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    suite: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    plugins: list[Path] = field(default_factory=list)


def suite_of(name: str | None, overrides: Overrides) -> Suite:
    """Return the suite of this name, or the default or custom one, with the overrides applied."""
    recipe = make_recipe(overrides.recipe, "--set")
    programs = [program_of(task) for task in overrides.tasks]
    tasks, files = [name for _, name in programs], [file for file, _ in programs if file]
    is_custom = name is None and bool(overrides.architectures and tasks)
    values = _custom(recipe.train_lengths.high) if is_custom else load(name or DEFAULT).model_dump()
    values["architectures"] = overrides.architectures or values["architectures"]

    # An entry keeps its own settings, except those that the command line overrides.
    entries = _chosen(values["tasks"], tasks)
    keys = {key: value for key, value in overrides.suite.items() if value is not None}
    overridden = {*overrides.recipe, *keys, *(["architectures"] if overrides.architectures else [])}
    values["tasks"] = [_without(entry, overridden) for entry in entries]

    # Claims and evaluations can be about architectures, tasks and lengths that the overrides removed.
    if overrides.architectures or tasks or "test_lengths" in keys:
        values["known"] = []
    if tasks:
        evaluations = values.get("evaluation", [])
        values["evaluation"] = [variant for variant in evaluations if any(_concerns(variant, e) for e in entries)]

    values["recipe"] = values.get("recipe", {}) | overrides.recipe
    plugins = [*values.get("plugins", []), *(str(path.resolve()) for path in (*overrides.plugins, *files))]
    return make(values | keys | {"plugins": list(dict.fromkeys(plugins))}, "command line")


def settings(pairs: list[str], **named: Any) -> dict[str, Any]:
    """Return the recipe keys of ``--set key=value``, and those of ``named`` that are not None."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not key:
            raise UserError(f"--set {pair!r}: write key=value, for example --set batch_size=32")
        if not value:
            raise UserError(f"--set {pair!r}: {key} has no value; write key=value, for example --set batch_size=32")
        if key in values:
            raise UserError(f"--set {pair!r}: {key} is also set to {values[key]}; give it once")
        values[key] = None if value == "none" else value
    given = {key: value for key, value in named.items() if value is not None}
    for key, value in given.items():
        if key in values:
            raise UserError(
                f"--{key.replace('_', '-')} {value}: --set {key}={values[key]} is given too; give one of them"
            )
    return values | given


def _custom(longest: int) -> dict[str, Any]:
    """Return a suite without architectures and tasks. It tests up to five times the longest training length."""
    return {"name": CUSTOM, "architectures": [], "tasks": [], "test_lengths": f"{longest + 1}:{5 * longest}"}


def _chosen(entries: list[dict[str, Any]], specs: list[str]) -> list[dict[str, Any]]:
    """Return an entry for each of the tasks ``specs``, a new one where the suite has none; by default all entries."""
    if not specs:
        return entries
    return [
        entry
        for spec in specs
        for entry in [e for e in entries if _parts(e["task"]) == _parts(spec)] or [{"task": spec}]
    ]


def _concerns(evaluation: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Return whether an evaluation is about a task entry. The specs are compared as text, without the catalog."""
    if evaluation.get("of"):
        return _parts(evaluation["of"]) == _parts(entry["task"])
    return _parts(evaluation["task"])[0] == _parts(entry["task"])[0]


def _parts(spec: str) -> tuple[str, list[str]]:
    """Return the name and the sorted options of a spec."""
    name, _, options = spec.partition(":")
    return name.strip(), sorted(option.strip() for option in options.split(","))


def _without(entry: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}
