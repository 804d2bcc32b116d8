"""How much data an architecture needs: N*, the smallest training set that is enough, and kappa.

Both measures are those of arXiv 2602.18333. A run counts as successful there if its validation loss is below 1e-4; here
it has to solve every training length. N* is a minimum over runs, so it falls with their number, which is reported.

Kappa compares training on single lengths with training on all of them together: the sum of N* over models that are
trained on one length each, divided by N* of a model that is trained on all these lengths. Kappa above 1 says that what
is learned at one length helps at others, and kappa below 1 that lengths interfere.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from harness.config.lengths import Span


def base_name(task: str) -> str:
    """Return the label of a task without its recipe."""
    return task.partition(" [")[0]


def settings(recipe: Mapping[str, Any], *without: str) -> str:
    """Return the values of a recipe except some keys, to group runs that differ only in these."""
    return str(sorted((key, value) for key, value in recipe.items() if key not in without))


def enough_sequences(fits: pd.DataFrame, recipes: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return N* of each architecture and task that was trained on fixed sets of several sizes.

    Args:
        fits: one row per pair with the columns ``architecture``, ``task``, ``seeds`` and ``fitted`` (seeds that fit).
        recipes: the recipe of each task label.

    Returns:
        One row for each architecture, task and span of training lengths: ``sizes`` that were tried, the smallest one
        with a seed that fits (``enough``, NaN if there is none), the largest one below it without (``too_few``, NaN if
        there is none), and the most ``seeds`` of a size.
    """
    rows = fits.assign(size=[recipes.get(task, {}).get("distinct", 0) for task in fits.task])
    rows = rows[rows["size"] > 0]
    if rows.empty:
        return pd.DataFrame(columns=["architecture", "task", "lengths", "group", "sizes", "enough", "too_few", "seeds"])
    rows = rows.assign(
        base=[base_name(task) for task in rows.task],
        lengths=[str(recipes[task]["train_lengths"]) for task in rows.task],
        group=[settings(recipes[task], "distinct", "train_lengths") for task in rows.task],
    )
    keys = ["architecture", "base", "lengths", "group"]
    found = [dict(zip(keys, key, strict=True)) | _threshold(same) for key, same in rows.groupby(keys, sort=False)]
    return pd.DataFrame(found).rename(columns={"base": "task"})


def _threshold(rows: pd.DataFrame) -> dict[str, Any]:
    enough = rows["size"][rows.fitted > 0].min()
    below = rows["size"][(rows.fitted == 0) & ~(rows["size"] > enough)].max()
    sizes = sorted(set(rows["size"]))
    return {"sizes": sizes, "enough": enough, "too_few": below, "seeds": int(rows.seeds.max())}


def kappas(thresholds: pd.DataFrame) -> pd.DataFrame:
    """Return kappa for each span of lengths of which each single length was trained on too.

    Args:
        thresholds: the frame of :func:`enough_sequences`.

    Returns:
        One row per architecture, task and span: ``alone``, the sum of N* over single lengths, ``together``, N* of the
        span, and ``kappa``. A span is left out where N* of a length or of the span is not known.
    """
    found = []
    for (architecture, task, _), same in thresholds.groupby(["architecture", "task", "group"], sort=False):
        enough = dict(zip(same.lengths, same.enough, strict=True))
        for lengths in enough:
            span = Span.parse(lengths, "train lengths")
            alone = [enough.get(f"{n}:{n}") for n in range(span.low, span.high + 1)]
            if span.low < span.high and _are_known([*alone, enough[lengths]]):
                total = sum(value for value in alone if value is not None)
                row = {"architecture": architecture, "task": task, "lengths": lengths}
                found.append(row | {"alone": total, "together": enough[lengths], "kappa": total / enough[lengths]})
    return pd.DataFrame(found, columns=["architecture", "task", "lengths", "alone", "together", "kappa"])


def _are_known(values: Iterable[float | None]) -> bool:
    return all(value is not None and value == value for value in values)
