"""``--set KEY=VALUE``: a key of the recipe, or an option of architectures and tasks. Several values are swept.

``--set width=32,64 --set batch_size=16,32`` compares each architecture in two widths, trained with two batch sizes. A
key of the recipe changes the tasks. Another key is added to each spec that has an option of that name. A spec that
gives the option itself keeps it.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from harness.config.recipe import Recipe, make_recipe
from harness.errors import UserError, suggest
from harness.registry.catalog import Catalog, Kind
from harness.registry.option_types import COMMA
from harness.registry.options import options_of

WHOLE = ("optimizer_options",)
"""Keys whose value may have commas, so they cannot be swept."""

Values = dict[str, list[Any]]
"""The values of each key; one value sets the key, several are swept."""


def settings(pairs: Sequence[str], **named: Any) -> Values:
    """Return the values of ``--set key=value,value``, and those of ``named`` that are not None."""
    values: Values = {}
    for pair in pairs:
        key, sign, text = (part.strip() for part in pair.partition("="))
        if not sign or not key:
            raise UserError(f"--set {pair!r}: write key=value, for example --set batch_size=32")
        if key in values:
            raise UserError(f"--set {pair!r}: {key} is also set to {_text(values[key])}; give it once")
        values[key] = [text] if _is_whole(key, text) else [word.strip() for word in COMMA.split(text)]
        if not all(values[key]):
            raise UserError(f"--set {pair!r}: {key} has no value; write key=value, for example --set batch_size=32")
    for key, value in named.items():
        if value is not None and key in values:
            option = f"--{key.replace('_', '-')} {value}"
            raise UserError(f"{option}: --set {key}={_text(values[key])} is given too; give one of them")
    texts = {key: [None if text == "none" else text for text in words] for key, words in values.items()}
    return texts | {key: [value] for key, value in named.items() if value is not None}


def _is_whole(key: str, text: str) -> bool:
    """Whether commas in a value do not separate values of a sweep: those of stages with options belong to these."""
    return key in WHOLE or (key == "stages" and ":" in text)


def _text(values: Iterable[Any]) -> str:
    return ",".join(map(str, values))


def recipe_points(values: Values) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the recipe keys with one value, and each point of the sweep over the others; all are checked."""
    known = {key: values[key] for key in values if key in Recipe.model_fields}
    fixed = {key: words[0] for key, words in known.items() if len(words) == 1}
    swept = {key: words for key, words in known.items() if len(words) > 1}
    points = [dict(zip(swept, point, strict=True)) for point in product(*swept.values())]
    for point in points:
        make_recipe(fixed | point, "--set")
    return fixed, points


def set_options(suite: dict[str, Any], values: Values) -> set[Kind]:
    """Add the options among the values to the specs of a suite; return the kinds of specs that changed.

    Raises:
        UserError: if a key is neither of the recipe nor an option of any architecture or task of the suite.
    """
    keys = [key for key in values if key not in Recipe.model_fields]
    catalog = Catalog(tuple(map(Path, suite["plugins"]))) if keys else None
    return {kind for key in keys if catalog for kind in _set_option(suite, key, values[key], catalog)}


def _set_option(suite: dict[str, Any], key: str, values: list[Any], catalog: Catalog) -> set[Kind]:
    """Add one option to the specs that have it; return their kinds."""
    architectures = {text: _swept("architecture", text, key, values, catalog) for text in _named(suite)}
    tasks = {entry["task"]: _swept("task", entry["task"], key, values, catalog) for entry in suite["tasks"]}
    by_kind: dict[Kind, dict[str, list[str]]] = {"architecture": architectures, "task": tasks}
    changed = {kind for kind, swept in by_kind.items() if any(swept.values())}
    if not changed:
        raise _unknown_key(suite, key, values, catalog)
    suite["architectures"] = [new for text in suite["architectures"] for new in architectures[text] or [text]]
    suite["tasks"] = [
        {**entry, "task": text} | _chosen(entry, architectures)
        for entry in suite["tasks"]
        for text in tasks[entry["task"]] or [entry["task"]]
    ]
    return changed


def _named(suite: dict[str, Any]) -> list[str]:
    """Return the specs of all architectures that a suite names, for all tasks or for some."""
    return [*suite["architectures"], *(text for entry in suite["tasks"] for text in entry.get("architectures") or ())]


def _chosen(entry: dict[str, Any], architectures: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the architectures of a task that is only for some of them."""
    chosen = entry.get("architectures") or ()
    return {"architectures": [new for text in chosen for new in architectures[text] or [text]]} if chosen else {}


def _swept(kind: Kind, text: str, key: str, values: list[Any], catalog: Catalog) -> list[str]:
    """Return a spec with each value of an option; nothing where the entry has no such option, or the spec gives it."""
    name, colon, options = text.partition(":")
    given = {pair.partition("=")[0].strip() for pair in options.split(",")}
    if key not in options_of(catalog.find(kind, name.strip())) or key in given:
        return []
    return [f"{text}{',' if colon else ':'}{key}={'none' if value is None else value}" for value in values]


def _unknown_key(suite: dict[str, Any], key: str, values: list[Any], catalog: Catalog) -> UserError:
    """Return the error for a key that nothing has; the closest key of the recipe or option is suggested."""
    specs: list[tuple[Kind, str]] = [("architecture", text) for text in _named(suite)]
    specs += [("task", entry["task"]) for entry in suite["tasks"]]
    options = {name: kind for kind, text in specs for name in options_of(catalog.find(kind, text.partition(":")[0]))}
    if key in options:
        return UserError(f"--set {key}={_text(values)}: each {options[key]} with this option gives it in its spec")
    if key in ("learning_rate", "learning_rates"):
        return UserError(f"--set has no key {key!r}: use --learning-rate")
    return UserError(f"--set has no key {key!r}{suggest(key, {*Recipe.model_fields, *options})}")
