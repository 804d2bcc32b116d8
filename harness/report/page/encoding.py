"""Compact JSON that is safe inside HTML.

Rows are stored by column, so that a name occurs once. Scores are whole ten-thousandths and losses thousandths of their
decimal logarithm, which take half the bytes of decimal fractions.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

SCORE, LOSS = 10_000, 1_000
"""Whole numbers in a score of 1, and in a factor of ten of a loss."""
ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""Letters that could end the element of the JSON or the string of a script."""


def safe_json(value: Any) -> str:
    """Return a value as JSON that no HTML parser can leave; NaN and infinity become ``null``."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(ESCAPES)


def _plain(value: Any) -> Any:
    """Return a value of which JSON knows every part; numbers are rounded to six digits."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if not np.isfinite(value) else int(value) if value.is_integer() else float(f"{value:.6g}")
    return value


def by_column(rows: Sequence[Mapping[str, Any]], names: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Return rows that have the same keys as one list for each key; ``names`` are the keys where there is no row."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else names)}


def whole_scores(values: Any) -> list[int | None]:
    """Return fractions as ten-thousandths, ``None`` for NaN; a score below 1 is not rounded up to 1."""
    scores = np.asarray(values, dtype=float)
    with np.errstate(invalid="ignore"):
        whole = np.where(scores < 1, np.minimum(np.rint(SCORE * scores), SCORE - 1), SCORE)
    return [None if np.isnan(score) else int(number) for score, number in zip(scores, whole, strict=True)]


def log_losses(values: Any) -> list[int]:
    """Return positive losses as thousandths of their decimal logarithm."""
    return np.rint(LOSS * np.log10(np.asarray(values, dtype=float))).astype(int).tolist()


class Shared:
    """Lists that occur many times, such as the steps of a training; each is stored once and named by its place."""

    def __init__(self) -> None:
        self._places: dict[tuple[Any, ...], int] = {}

    def place(self, values: Iterable[Any]) -> int:
        """Return the place of a list, which is added if it is new."""
        return self._places.setdefault(tuple(values), len(self._places))

    @property
    def lists(self) -> list[tuple[Any, ...]]:
        """All lists in the order of their places."""
        return list(self._places)
