"""Training from Python: architectures and tasks by name, the settings of a suite as keyword arguments."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.api.frames import Frames, PathLike, load
from harness.config.custom import CUSTOM, custom_test_lengths, default_output
from harness.config.recipe import Recipe, make_recipe
from harness.config.suite import Suite, make
from harness.errors import UserError, suggest
from harness.execution.make_plan import make_plan
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog, split_files


def train(
    architectures: str | Sequence[str],
    tasks: str | Sequence[str],
    *,
    output: PathLike | None = None,
    workers: int = 1,
    device: str = "auto",
    plugins: Iterable[PathLike] = (),
    progress: bool = False,
    **settings: Any,
) -> Frames:
    """Train and evaluate each architecture on each task, and return the results.

    Finished models of the folder are kept, so the same call trains nothing again.

    Args:
        architectures: specs such as ``"lstm"``, ``"transformer:position=alibi"`` or ``"mine.py:width=32"``.
        tasks: specs such as ``"parity"``.
        output: folder for the records; by default one below ``results``, named by a hash of the arguments.
        workers: processes. With more than one, a script needs ``if __name__ == "__main__":`` around the call.
        device: ``auto``, ``cpu`` or ``cuda``.
        plugins: Python files that define architectures or tasks.
        progress: print the progress to standard output.
        settings: keys of a suite (``seeds``, ``learning_rates``, ``samples``, ``test_lengths``, ``model``, ...) and of
            a recipe (``steps``, ``batch_size``, ``train_lengths``, ...), as in a suite's file.

    Raises:
        UserError: if a name, an option or a setting is wrong.
    """
    suite = _suite(_list(architectures), _list(tasks), plugins, settings)
    folder = Path(output) if output is not None else default_output(suite)
    plan = make_plan(suite, Catalog(tuple(map(Path, suite.plugins))))
    execute(plan, folder, RunOptions(device, workers), Console(quiet=not progress))
    return load(folder, plugins=suite.plugins)


def _list(specs: str | Sequence[str]) -> list[str]:
    return [specs] if isinstance(specs, str) else list(specs)


def _suite(architectures: list[str], tasks: list[str], plugins: Iterable[PathLike], settings: dict[str, Any]) -> Suite:
    """Return the suite of a call; raise :class:`UserError` for a setting that neither a suite nor a recipe has."""
    for key in settings:
        if key not in (*Suite.model_fields, *Recipe.model_fields):
            raise UserError(f"train has no setting {key!r}{suggest(key, [*Suite.model_fields, *Recipe.model_fields])}")
    recipe = {key: value for key, value in settings.items() if key in Recipe.model_fields}
    (architectures, models), (tasks, programs) = split_files(architectures), split_files(tasks)
    files = dict.fromkeys((*map(Path, plugins), *models, *programs))
    longest = make_recipe(recipe, "train").train_lengths.high
    values = {"name": CUSTOM, "test_lengths": custom_test_lengths(longest), "recipe": recipe}
    values |= {key: value for key, value in settings.items() if key not in recipe}
    values |= {"architectures": architectures, "tasks": tasks, "plugins": [str(file.resolve()) for file in files]}
    return make(values, "train")
