"""Files of tables: CSV for computation, Markdown for reading, and LaTeX for papers.

A CSV file gives its types back when it is read: whole numbers have no decimal point, a mapping is JSON, and the texts
``n/a`` and the empty variant, which pandas takes for missing values, are written out. An apostrophe is put before a
text that a spreadsheet would take for a formula.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.config.suite import PLAIN
from harness.report.captions import Table
from harness.report.error_frames import KINDS, error_frame
from harness.report.latex import latex
from harness.report.results import Results

WHOLE = {
    *("seed", "steps", "steps_used", "train_low", "train_high", "step", "length", "short_length", "long_length"),
    *("short_bytes", "long_bytes", "parameters", "n", "tokens", "samples", "seeds", "planned", "graded", "fitted"),
    *("fitted_at", "fitted_at_count", "fitted_at_median", "fitted_at_min", "fitted_at_max", "tried"),
    *("left_plateau_count", "left_plateau_median", "left_plateau_min", "left_plateau_max", "pairs"),
    *("low", "high", "reached", "solved_length", "max_of", "done", "failed", "missing", "not applicable", "stale"),
}
"""Columns of whole numbers, unless a value is a median between two of them."""
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
NOT_APPLICABLE = {"n/a": "not applicable"}
"""Texts that pandas reads as a missing value, with their replacement."""
IDENTITY = ["architecture", "task", "seed", "learning_rate"]
CURVE = ["step", "loss", "validation_exact", "validation_loss"]


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write one table in all formats and return the files."""
    texts = {"csv": csv(table.data), "md": markdown(table), "tex": latex(table)}
    files = []
    for suffix, content in texts.items():
        files.append(folder / f"{table.name}.{suffix}")
        files[-1].write_text(content, encoding="utf-8")
    return files


def data_frames(results: Results) -> dict[str, pd.DataFrame]:
    """Return the data of a run by file name: cells, scores, where the errors sit, and the training curves."""
    cells = results.cells
    curves = [
        {name: cell[name] for name in IDENTITY} | {name: point.get(name) for name in CURVE}
        for cell in cells.to_dict("records")
        for point in (cell["curve"] if isinstance(cell["curve"], list) else ())
    ]
    scores = results.all_scores.merge(cells.drop_duplicates("cell")[["cell", *IDENTITY]], on="cell", how="left")
    return {
        "cells": cells.drop(columns="curve"),
        "scores": scores[[*IDENTITY, *results.all_scores.columns]].drop(columns=list(KINDS.values())),
        "errors": error_frame(results),
        "curves": pd.DataFrame(curves, columns=[*IDENTITY, *CURVE]),
    }


def csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV whose types survive reading."""
    columns = {_text(str(name)): _column(str(name), frame[name]) for name in frame}
    return pd.DataFrame(columns).to_csv(index=False)


def _column(name: str, values: pd.Series) -> pd.Series:
    """Return a column with whole numbers as integers and with texts that can be read back."""
    if pd.api.types.is_bool_dtype(values):
        return values
    if pd.api.types.is_numeric_dtype(values):
        is_whole = name in WHOLE and np.isfinite(values.dropna()).all() and (values.dropna() % 1 == 0).all()
        return values.astype("Int64") if is_whole else values
    if name == "variant":
        values = values.replace("", PLAIN)
    return values.map(_text)


def _text(value: Any) -> Any:
    """Return a value of a column of texts: mappings as JSON, formulas as text, other values as they are."""
    if isinstance(value, dict):
        return json.dumps(value)
    if not isinstance(value, str):
        return value
    value = NOT_APPLICABLE.get(value, value)
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value


def markdown(table: Table) -> str:
    """Return a heading, the table and its caption as Markdown."""
    frame = table.frame
    if frame.empty:
        return f"### {table.title}\n\nNothing yet.\n"
    rows = [list(frame.columns), *frame.values.tolist()]
    rows = [[str(value).replace("|", "\\|") for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    body = "\n".join(f"| {line} |" for line in lines)
    return f"### {table.title}\n\n{body}\n\n{table.caption}\n"
