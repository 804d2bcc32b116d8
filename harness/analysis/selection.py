"""Selection of architectures and tasks by patterns, before anything is computed from the frames.

A pattern such as ``rwkv*`` is compared with the whole label, ``rwkv4:width=32``, and with the name at its beginning.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import pandas as pd

from harness.analysis.schema import ReportMeta
from harness.errors import UserError, suggest

Loaded = tuple[pd.DataFrame, pd.DataFrame, ReportMeta]
"""What ``harness.analysis.load.frames`` returns: cells, scores and meta."""


def select(loaded: Loaded, architectures: Sequence[str], tasks: Sequence[str]) -> Loaded:
    """Return the frames of the architectures and tasks that match any of the patterns; no pattern selects all.

    A selection has no claims of the suites, because they can be about what was not selected.

    Raises:
        UserError: if a pattern matches nothing.
    """
    if not (architectures or tasks):
        return loaded
    cells, scores, meta = loaded
    pairs = [*zip(cells["architecture"], cells["task"], strict=True), *(pair[:2] for pair in meta.not_applicable)]
    chosen_architectures = _matching("architecture", architectures, {architecture for architecture, _ in pairs})
    chosen_tasks = _matching("task", tasks, {task for _, task in pairs})
    kept = cells[cells["architecture"].isin(chosen_architectures) & cells["task"].isin(chosen_tasks)]
    not_applicable = [
        pair for pair in meta.not_applicable if pair[0] in chosen_architectures and pair[1] in chosen_tasks
    ]
    kept_scores = scores[scores["cell"].isin(kept["cell"])]
    return kept.reset_index(drop=True), kept_scores, replace(meta, not_applicable=not_applicable, known=())


def _matching(kind: str, patterns: Sequence[str], labels: Iterable[str]) -> set[str]:
    """Return the labels that match any pattern."""
    labels = set(labels)
    matches = {pattern: {label for label in labels if _matches(label, pattern)} for pattern in patterns}
    for pattern, matched in matches.items():
        if not matched:
            raise UserError(f"no {kind} of this run matches {pattern!r}{suggest(pattern, map(_name, labels))}")
    return set().union(*matches.values()) if patterns else labels


def _matches(label: str, pattern: str) -> bool:
    return fnmatchcase(label, pattern) or fnmatchcase(_name(label), pattern)


def _name(label: str) -> str:
    """Return the name at the beginning of a label."""
    return re.split(r"[: ]", label, maxsplit=1)[0]
