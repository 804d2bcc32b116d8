"""Maps of the page that say where errors sit; each value is a letter, as in the attention maps."""

from typing import Any

import numpy as np
import pandas as pd

from harness.report.error_frames import error_frame
from harness.report.page.attention import LEVELS
from harness.report.results import Results

MEASURES = ("wrong", "begun", "loss")
NO_VALUE = " "
"""The letter of a bin without graded tokens."""


def error_rows(results: Results) -> list[dict[str, Any]]:
    """Return one row for each pair, length and kind of place.

    ``starts`` are the first places of the bins, and the first place after the last. ``wrong`` is the share of wrong
    tokens, ``begun`` the share of rows with an error up to this bin, and ``loss`` the mean loss, as letters of which
    the last stands for ``top``.
    """
    frame = error_frame(results)
    architectures = {name: a for a, name in enumerate(results.architectures)}
    tasks = {(result.task, result.variant): t for t, result in enumerate(results.task_results)}
    frame = frame.assign(wrong=1 - frame.token, begun=1 - frame.exact)
    keys = ["architecture", "task", "variant", "kind", "length"]
    return [
        {"a": architectures[str(key[0])], "t": tasks[str(key[1]), str(key[2])], "kind": key[3], "length": key[4]}
        | {"starts": [*map(int, bins.start), int(bins.end.iloc[-1])], "top": _top(bins)}
        | {name: _letters(bins[name], _top(bins) if name == "loss" else 1.0) for name in MEASURES}
        for key, bins in frame.groupby(keys, sort=False)
    ]


def _top(bins: pd.DataFrame) -> float:
    return float(max(bins.loss.max(), 1e-9))


def _letters(values: pd.Series, top: float) -> str:
    levels = np.rint(values.to_numpy(dtype=float) / top * (len(LEVELS) - 1))
    return "".join(NO_VALUE if np.isnan(level) else LEVELS[int(level)] for level in levels)
