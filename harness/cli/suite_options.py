"""The command line's say over a suite.

Options replace what the suite says, for its tasks too where these have recipe keys of their own. Without a suite's
name, ``-a`` and ``-t`` together make one of their own, called ``custom``.
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
    """What the command line says; ``None`` and what is empty say nothing. ``suite`` holds keys of the suite.

    Of the tasks, ``file.py:function`` is a RASP-L program of that plug-in.
    """

    architectures: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    suite: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    plugins: list[Path] = field(default_factory=list)


def suite_of(name: str | None, overrides: Overrides) -> Suite:
    """Return the suite that was asked for, with the overrides in it."""
    recipe = make_recipe(overrides.recipe, "--set")
    programs = [program_of(task) for task in overrides.tasks]
    tasks, files = [name for _, name in programs], [file for file, _ in programs if file]
    custom = name is None and bool(overrides.architectures and tasks)
    values = _custom(recipe.train_lengths.high) if custom else load(name or DEFAULT).model_dump()
    values["architectures"] = overrides.architectures or values["architectures"]
    chosen = _chosen(values["tasks"], tasks)
    given = {key: value for key, value in overrides.suite.items() if value}
    replaced = {*overrides.recipe, *given, *(["architectures"] if overrides.architectures else [])}
    values["tasks"] = [_without(entry, replaced) for entry in chosen]
    if overrides.architectures or tasks or "test_lengths" in given:
        values["known"] = []  # claims about models and lengths that may not be there any more
    if tasks:
        found = values.get("evaluation", [])
        values["evaluation"] = [each for each in found if any(_concerns(each, entry) for entry in chosen)]
    values["recipe"] = values.get("recipe", {}) | overrides.recipe
    plugins = [*values.get("plugins", []), *(str(path.resolve()) for path in (*overrides.plugins, *files))]
    return make(values | given | {"plugins": list(dict.fromkeys(plugins))}, "command line")


def settings(pairs: list[str], **named: Any) -> dict[str, Any]:
    """Return recipe keys: those of ``--set key=value`` and the ``named`` ones that are not None."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not key:
            raise UserError(f"--set {pair!r}: write key=value, for example --set batch_size=32")
        found[key] = None if value == "none" else value
    return found | {key: value for key, value in named.items() if value is not None}


def _custom(longest: int) -> dict[str, Any]:
    return {"name": CUSTOM, "architectures": [], "tasks": [], "test_lengths": f"{longest + 1}:{5 * longest}"}


def _chosen(entries: list[dict[str, Any]], specs: list[str]) -> list[dict[str, Any]]:
    """Return the entries of these tasks; one that the suite has too keeps what the suite says of it."""
    if not specs:
        return entries
    return [entry for spec in specs for entry in [e for e in entries if e["task"] == spec] or [{"task": spec}]]


def _concerns(evaluation: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether an evaluation is one of this entry, as far as that can be seen without the catalog."""
    if evaluation.get("of"):
        return _parts(evaluation["of"]) == _parts(entry["task"])
    return _parts(evaluation["task"])[0] == _parts(entry["task"])[0]


def _parts(spec: str) -> tuple[str, list[str]]:
    name, _, options = spec.partition(":")
    return name.strip(), sorted(option.strip() for option in options.split(","))


def _without(entry: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}
