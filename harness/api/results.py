"""Results of runs as two tidy DataFrames, and training from Python."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from harness.analysis.load import frames
from harness.analysis.run_catalog import catalog_for
from harness.config.custom import CUSTOM, custom_test_lengths, default_output
from harness.config.recipe import Recipe, make_recipe
from harness.config.suite import Suite, make
from harness.errors import UserError, suggest
from harness.execution.make_plan import make_plan
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog, split_file
from harness.report.results import Results as Reported

PathLike = str | Path
IDENTITY = ["architecture", "task", "seed", "learning_rate", "reported", "fit"]
"""Columns of the cells that each of their scores repeats."""


class Results(NamedTuple):
    """The results of one or several runs.

    ``cells`` has one row for each model. Its columns:

    - ``cell``: its id, which :func:`load_model` takes; ``run``: name of the suite.
    - ``architecture``, ``task``: specs as tables write them; ``name``, ``family``: of the architecture.
    - ``seed``, ``learning_rate``, ``steps``, ``train_low``, ``train_high``: how it was trained.
    - ``reported``: whether reports show it, a seed at the chosen learning rate; ``False`` for tuning seeds.
    - ``fit``: whether it solved all of its training lengths; ``None`` if that was not evaluated.
    - ``status``: ``done`` or ``failed``, with the ``reason``; ``stale``: whether the code has changed since.
    - ``steps_used``, ``fitted_at``, ``validation_exact``, ``validation_loss``: the training, by step.
    - ``curve``: a list of dicts with step, loss and, at validations, validation_exact and validation_loss.
    - ``parameters``, ``state_bytes`` (by length), ``tokens_per_second``, ``train_seconds``, ``device``: the cost.

    ``scores`` has one row for each model, length, variant of the task and checkpoint. It repeats architecture, task,
    seed, learning_rate, reported and fit of the model. Its own columns:

    - ``length``; ``in_range``: whether it is a training length.
    - ``exact``, ``token``: exact match and token accuracy, from 0 to 1, of ``n`` questions.
    - ``chance_exact``, ``chance_token``, ``shortcut_exact``: what guessing and the best simple reader get.
    - ``variant``: empty for the task itself; ``step``, ``final``: the checkpoint, and whether it is the last one.
    - ``status``: ``ok``, or why there is no score.
    """

    cells: pd.DataFrame
    scores: pd.DataFrame


def load(*folders: PathLike, plugins: Iterable[PathLike] = ()) -> Results:
    """Read the results of runs; a run need not be finished.

    Args:
        folders: output folders of runs, packed or not.
        plugins: Python files of architectures and tasks that are no longer where the run found them.

    Raises:
        UserError: if a folder holds no run.
    """
    paths = [Path(folder) for folder in folders]
    catalog = catalog_for(paths, [Path(plugin) for plugin in plugins])
    reported = Reported.of(*frames(paths, catalog))
    grades = reported.grades[reported.grades.final & (reported.grades.variant == "")]
    fits = dict(zip(grades.cell, grades.fit, strict=True))
    cells = reported.cells.assign(
        reported=reported.cells.cell.isin(reported.selected.cell), fit=reported.cells.cell.map(fits)
    )
    scores = reported.scores.merge(cells.drop_duplicates("cell")[["cell", *IDENTITY]], on="cell", how="left")
    return Results(cells, scores[[*IDENTITY, *reported.scores.columns]])


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
) -> Results:
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
    split = [[split_file(text) for text in texts] for texts in (architectures, tasks)]
    files = [*map(Path, plugins), *(file for specs in split for file, _ in specs if file)]
    longest = make_recipe(recipe, "train").train_lengths.high
    values = {"name": CUSTOM, "test_lengths": custom_test_lengths(longest), "recipe": recipe}
    values |= {key: value for key, value in settings.items() if key not in recipe}
    values |= {kind: [spec for _, spec in specs] for kind, specs in zip(("architectures", "tasks"), split, strict=True)}
    return make(values | {"plugins": [str(file.resolve()) for file in dict.fromkeys(files)]}, "train")
