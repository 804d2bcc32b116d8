"""Everything that a run has recorded as one tidy table in a Parquet file, for pandas, polars, DuckDB or R.

There is a row for each score, each point of a training curve, and each model that has neither. Each row repeats what
identifies its model, so that no join is needed. Texts that recur are stored once (dictionary encoding).
"""

import json
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.report.error_frames import KINDS
from harness.report.export import WHOLE
from harness.report.results import Results

NEEDS = "--parquet needs the package pyarrow, which is not installed: pip install 'lengthwise[parquet]'"
SCORE, TRAINING, MODEL = "score", "training", "model"
"""Kinds of rows: a score at a length, a point of a training curve, and a model that has neither."""

IDENTITY = ["kind", "run", "cell", "architecture", "name", "family", "task", "task_family", "seed", "learning_rate"]
OF_MODEL = ["reported", "fit", "stale", "status", "reason"]
POINT = ["step", "loss", "validation_exact", "validation_loss"]
"""Columns of a point of a curve; the last two are null where nothing was validated."""

FLAGS = {"reported", "fit", "stale", "final", "in_range"}
"""Columns of truth values."""

SCORE_NAMES = {"status": "score_status"}
"""Columns of scores that would be confused with columns of models."""


def require_pyarrow() -> None:
    """Raise a ``UserError`` if pyarrow is not installed."""
    if not find_spec("pyarrow"):
        raise UserError(NEEDS)


def write_parquet(results: Results, file: Path) -> Path:
    """Write :func:`tidy` into a file, whose folder is created if it does not exist; return the path."""
    require_pyarrow()
    file.parent.mkdir(parents=True, exist_ok=True)
    tidy(results).to_parquet(file, engine="pyarrow", index=False)
    return file


def tidy(results: Results) -> pd.DataFrame:
    """Return all scores, training curves and models of a run as rows of one frame.

    ``kind`` says what a row is. ``reported`` is true for the seeds at the chosen learning rate. ``recipe`` and
    ``state_bytes`` are JSON. Other columns are those of ``cells`` and ``scores`` in ``harness.analysis.schema``; a
    column that a kind does not have is null in its rows.
    """
    models = _models(results)
    scores = results.scores.drop(columns=list(KINDS.values())).rename(columns=SCORE_NAMES).assign(kind=SCORE)
    curves = _curves(results.cells)
    rest = models[["cell"]][~models.cell.isin([*scores.cell, *curves.cell])].assign(kind=MODEL)
    rows = pd.concat([frame for frame in (scores, curves, rest) if len(frame)], ignore_index=True)
    frame = rows.merge(models, on="cell", how="left", validate="many_to_one")
    first = [*IDENTITY, *OF_MODEL]
    frame = frame[[*first, *(name for name in frame if name not in first)]]
    return pd.DataFrame({name: _typed(str(name), frame[name]) for name in frame})


def _typed(name: str, column: pd.Series) -> pd.Series:
    """Return a column as whole numbers, truth values that may be null, or recurring texts."""
    if name in FLAGS:
        return column.astype("boolean")
    if not pd.api.types.is_numeric_dtype(column):
        return column.astype("category")
    is_whole = name in WHOLE and (column.dropna() % 1 == 0).all()
    return column.astype("Int64") if is_whole else column


def _models(results: Results) -> pd.DataFrame:
    """Return one row for each model: its identity, its outcome, its cost and its recipe."""
    cells = results.cells.drop(columns="curve").drop_duplicates("cell")
    grades = results.grades[results.grades.final & (results.grades.variant == "")]
    families, recipes = results.meta.task_families, results.meta.recipes
    by_task = {task: json.dumps(recipes.get(task, {}), default=str) for task in results.tasks}
    return cells.assign(
        reported=cells.cell.isin(results.selected.cell),
        fit=cells.cell.map(dict(zip(grades.cell, grades.fit, strict=True))),
        task_family=[families.get(task, "") for task in cells.task],
        recipe=cells.task.map(by_task),
        state_bytes=[json.dumps(sizes) if isinstance(sizes, dict) else "" for sizes in cells.state_bytes],
    ).rename(columns={name: f"model_{name}" for name in ("validation_exact", "validation_loss")})


def _curves(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each point of each training curve."""
    cells = cells.drop_duplicates("cell")
    points = [
        (cell, TRAINING, *(point.get(name) for name in POINT))
        for cell, curve in zip(cells.cell, cells.curve, strict=True)
        if isinstance(curve, list)
        for point in curve
    ]
    return pd.DataFrame(points, columns=["cell", "kind", *POINT]).astype(dict.fromkeys(POINT, float))
