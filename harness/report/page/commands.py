"""The commands that train one cell again, in parts: the page joins those of an architecture, a task and a seed."""

import shlex
from collections.abc import Mapping
from typing import Any

from harness.config.recipe import LATER_KEYS, Recipe
from harness.report.results import Results, TaskResult

NAMED = {"steps": "--steps", "train_lengths": "--train-lengths"}
"""Keys of the recipe that have an option of their own."""


def task_options(results: Results, result: TaskResult) -> str:
    """Return the options of ``lengthwise run`` for a task: its recipe, its test lengths and its plug-ins."""
    recipe = LATER_KEYS | dict(results.meta.recipes.get(result.task, {}))
    defaults = Recipe().model_dump()
    options = ["-t", spec(results, result.task)]
    for key, value in recipe.items():
        if key in NAMED:
            options += [NAMED[key], str(value)]
        elif value != defaults.get(key, value):
            options += ["--set", f"{key}={_written(value)}"]
    if result.beyond:
        options += ["--test-lengths", ",".join(f"{length:g}" for length in result.beyond)]
    if result.samples:
        options += ["--samples", f"{max(result.samples):g}"]
    for plugin in results.meta.plugins:
        options += ["--plugin", str(plugin)]
    return shlex.join(options)


def architecture_options(results: Results, name: str) -> str:
    """Return the options of ``lengthwise run`` for an architecture."""
    return shlex.join(["-a", spec(results, name)])


def spec(results: Results, label: str) -> str:
    """Return the whole spec of a label; the label itself where no record has it."""
    return results.meta.specs.get(label, label)


def _written(value: Any) -> str:
    """Return the value of a recipe key as ``--set`` reads it."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_written(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value).replace(" ", "")
