"""Counts of errors by place, added up over seeds: the frame behind the heat maps and ``tables/errors.csv``."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.report.results import Results
from harness.storage.records import ErrorCounts

KINDS = {"position": "by_position", "events": "by_events"}
"""Columns of the score frame, by the kind of place."""
IDENTITY = ["architecture", "task", "variant", "length", "in_range"]
VALUES = ["start", "end", "n", "token", "loss", "exact"]


def error_frame(results: Results) -> pd.DataFrame:
    """Return one row for each pair, variant, length and bin of places, over the seeds that the report shows.

    ``start`` and ``end`` are the first place of the bin and the first after it, ``n`` the graded tokens. ``token`` is
    the share of them that is right, ``loss`` their mean loss. ``exact`` is the share of rows that are right up to and
    including this bin, NaN for events, which have no order.
    """
    rows: list[dict[str, Any]] = []
    seeds = results.seeds
    for kind, column in KINDS.items():
        counted = seeds[np.array([isinstance(counts, ErrorCounts) for counts in seeds[column]], dtype=bool)]
        for key, group in counted.groupby(IDENTITY, sort=False):
            identity = dict(zip(IDENTITY, key, strict=True)) | {"kind": kind}
            rows += [identity | values for values in _pooled(list(group[column]), kind, float(group.n.sum()))]
    return pd.DataFrame(rows, columns=[*IDENTITY, "kind", *VALUES])


def _pooled(counts: list[ErrorCounts], kind: str, rows: float) -> Iterator[dict[str, Any]]:
    """Yield the values of each bin, from the counts of all seeds at one length."""
    starts = max((of_seed.starts for of_seed in counts), key=len)
    n, right, first = (_sum((getattr(c, name) for c in counts), len(starts)) for name in ("n", "right", "first"))
    losses = _sum((np.multiply(c.n, c.loss) for c in counts), len(starts))
    ends = [*starts[1:], _end(starts, kind)]
    exact = 1 - first.cumsum() / rows if kind == "position" else np.full(len(starts), np.nan)
    with np.errstate(invalid="ignore"):
        token, loss = right / n, losses / n
    for values in zip(starts, ends, n, token, loss, exact, strict=True):
        yield dict(zip(VALUES, values, strict=True))


def _end(starts: list[int], kind: str) -> int:
    """Return the first place after the last bin: bins of positions are equally wide, those of events double."""
    if kind == "events":
        return max(1, 2 * starts[-1])
    return 2 * starts[-1] - starts[-2]


def _sum(parts: Iterable[Any], size: int) -> np.ndarray:
    """Add up lists of counts; shorter ones have no counts in the last bins."""
    arrays = [np.asarray(part, dtype=float) for part in parts]
    return np.sum([np.pad(array, (0, size - len(array))) for array in arrays], axis=0)
