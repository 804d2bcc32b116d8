"""Options of the command line that override a suite.

An option also overrides the setting of a single task. Without a suite's name, ``-a`` and ``-t`` together define a suite
called ``custom``.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cli.set_options import Values, recipe_points, set_options
from harness.config.custom import CUSTOM, custom_test_lengths
from harness.config.recipe import make_recipe
from harness.config.suite import Suite, load, make
from harness.registry.catalog import split_files

DEFAULT = "quick"


@dataclass(frozen=True)
class Overrides:
    """Values from the command line. Empty lists, and ``None`` in ``suite``, override nothing.

    Attributes:
        architectures: specs that replace those of the suite; ``file.py`` and its options are the entry of that plug-in.
        tasks: specs that replace those of the suite; ``file.py:function`` is a RASP-L program of that plug-in.
        suite: values of other keys of the suite.
        recipe: values of recipe keys, and of options that architectures or tasks have.
        plugins: files in addition to those of the suite.
    """

    architectures: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    suite: dict[str, Any] = field(default_factory=dict)
    recipe: Values = field(default_factory=dict)
    plugins: list[Path] = field(default_factory=list)


def suite_of(name: str | None, overrides: Overrides) -> Suite:
    """Return the suite of this name, or the default or custom one, with the overrides applied."""
    fixed, points = recipe_points(overrides.recipe)
    (architectures, models), (tasks, programs) = split_files(overrides.architectures), split_files(overrides.tasks)
    plugins = [str(file.resolve()) for file in (*overrides.plugins, *models, *programs)]
    is_custom = name is None and bool(architectures and tasks)
    values = _custom(fixed, points) if is_custom else load(name or DEFAULT).model_dump()
    keys = {key: value for key, value in overrides.suite.items() if value is not None}
    values["architectures"] = architectures or values["architectures"]
    values["plugins"] = list(dict.fromkeys([*values.get("plugins", []), *plugins]))
    values["recipe"] = values.get("recipe", {}) | fixed
    values["recipes"] = [] if "stages" in overrides.recipe else values.get("recipes", [])

    # An entry keeps its own settings, except those that the command line overrides.
    overridden = {*overrides.recipe, *keys, *(["architectures"] if architectures else [])}
    entries = [_without(entry, overridden) for entry in _chosen(values["tasks"], tasks)]
    values["tasks"] = [entry | point for entry in entries for point in points]
    changed = set_options(values, overrides.recipe)

    # Claims and evaluations can be about architectures, tasks and lengths that the overrides removed.
    if architectures or tasks or changed or "test_lengths" in keys:
        values["known"] = []
    if tasks or "task" in changed:
        evaluations = values.get("evaluation", [])
        values["evaluation"] = [v for v in evaluations if any(_concerns(v, entry) for entry in values["tasks"])]
    return make(values | keys, "command line")


def _custom(fixed: dict[str, Any], points: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a suite without architectures and tasks. It tests up to five times the longest training length."""
    longest = max(make_recipe(fixed | point).train_lengths.high for point in points)
    return {"name": CUSTOM, "architectures": [], "tasks": [], "test_lengths": custom_test_lengths(longest)}


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
