"""The results of runs as two tidy DataFrames."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from harness.analysis.load import frames
from harness.registry.catalog import Catalog
from harness.report.results import Results

PathLike = str | Path
IDENTITY = ["architecture", "family", "task", "seed", "learning_rate", "reported", "fit"]
"""Columns of the cells that each of their scores repeats."""


class Frames(NamedTuple):
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

    ``scores`` has one row for each model, length, variant of the task and checkpoint. It repeats architecture, family,
    task, seed, learning_rate, reported and fit of the model. Its own columns:

    - ``length``; ``in_range``: whether it is a training length.
    - ``exact``, ``token``: exact match and token accuracy, from 0 to 1, of ``n`` questions.
    - ``chance_exact``, ``chance_token``, ``shortcut_exact``: what guessing and the best simple reader get.
    - ``carried``: tokens of other questions that the model read before each question (``evaluate --carried``).
    - ``variant``: empty for the task itself from an empty state.
    - ``step``, ``final``: the checkpoint, and whether it is the last one.
    - ``status``: ``ok``, or why there is no score.
    """

    cells: pd.DataFrame
    scores: pd.DataFrame


def load(*folders: PathLike, plugins: Iterable[PathLike] = ()) -> Frames:
    """Read the results of runs; a run need not be finished.

    Args:
        folders: output folders of runs, packed or not.
        plugins: Python files of the runs' own architectures and tasks; without them ``stale`` is not known for these.

    Raises:
        UserError: if a folder holds no run.
    """
    paths = [Path(folder) for folder in folders]
    reported = Results.of(*frames(paths, Catalog(tuple(map(Path, plugins)))))
    grades = reported.grades[reported.grades.final & (reported.grades.variant == "")]
    fits = dict(zip(grades.cell, grades.fit, strict=True))
    cells = reported.cells.assign(
        reported=reported.cells.cell.isin(reported.selected.cell), fit=reported.cells.cell.map(fits)
    )
    scores = reported.all_scores.merge(cells.drop_duplicates("cell")[["cell", *IDENTITY]], on="cell", how="left")
    return Frames(cells, scores[[*IDENTITY, *reported.all_scores.columns]])
