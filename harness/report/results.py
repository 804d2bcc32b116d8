"""A run as the report sees it: frames put in order, every number computed once.

Tables, plots and page all read a :class:`View`; none of them computes a statistic of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from harness.analysis.schema import CELLS, SCORES, complete
from harness.analysis.statistics import compare_learning_rates, grade_cells, mean_over_lengths, summarize
from harness.report.style import Look, looks
from harness.report.table_cell import Entry


@dataclass(frozen=True, eq=False)
class Question:
    """A task as it was asked, or a variant of it: what every table about it has to print.

    ``chance`` is by length, ``chance_exact`` and ``chance_token`` are means beyond training; ``several`` says that
    answers have several tokens, so that token accuracy is a measure of its own.
    """

    task: str
    variant: str
    train: tuple[float, float]
    lengths: tuple[float, ...]
    beyond: tuple[float, ...]
    chance: dict[str, dict[float, float]]
    chance_exact: float
    chance_token: float
    samples: float
    several: bool

    @property
    def title(self) -> str:
        """Task and variant in one label."""
        return f"{self.task} · {self.variant}" if self.variant else self.task


class View:
    """All that is shown of a run.

    Args:
        cells, scores: complete frames, as in ``harness.analysis.schema``.
        meta: what the caller knows besides; see ``write_report``.
    """

    def __init__(self, cells: pd.DataFrame, scores: pd.DataFrame, meta: dict[str, Any]) -> None:
        self.cells, self.scores, self.meta = cells, scores, meta
        self.rates = compare_learning_rates(cells)
        self.summary = summarize(cells, scores)
        pairs = cells[cells.status == "not applicable"]
        self.not_applicable: dict[tuple[str, str], str] = {
            **{(a, t): reason for a, t, reason in meta.get("not_applicable") or []},
            **{(a, t): reason for a, t, reason in zip(pairs.architecture, pairs.task, pairs.reason, strict=True)},
        }
        known = [*zip(cells.architecture, cells.task, strict=True), *self.not_applicable]
        self.architectures = _ordered(meta.get("catalog_order"), (architecture for architecture, _ in known))
        self.tasks = _ordered(meta.get("tasks_order"), (task for _, task in known))
        self.looks: dict[str, Look] = looks(
            [*(meta.get("catalog_order") or []), *self.architectures], meta.get("catalog_places")
        )
        self._rows = dict(zip(self._keys(self.summary), self.summary.to_dict("records"), strict=True))

    @classmethod
    def of(cls, cells: pd.DataFrame, scores: pd.DataFrame, meta: dict[str, Any]) -> "View":
        """Build a view of raw frames; a cell that stands in two runs counts once."""
        cells, scores = complete(cells, CELLS), complete(scores, SCORES)
        identity = ["cell", "architecture", "task", "seed", "learning_rate"]
        cells = cells.sort_values("status", kind="stable")  # done, failed, missing: what is known best comes first
        scores = scores.drop_duplicates(["cell", "variant", "step", "length"])
        return cls(cells.drop_duplicates(identity).sort_index(), scores, meta)

    @staticmethod
    def _keys(frame: pd.DataFrame) -> Iterable[tuple[str, str, str]]:
        return zip(frame.architecture, frame.task, frame.variant, strict=True)

    @cached_property
    def selected(self) -> pd.DataFrame:
        """The cells at the chosen learning rates."""
        chosen = self.rates.loc[self.rates.chosen, ["architecture", "task", "learning_rate"]]
        return self.cells.merge(chosen, on=["architecture", "task", "learning_rate"])

    @cached_property
    def seeds(self) -> pd.DataFrame:
        """Final scores at the chosen learning rates, with architecture, task, seed and the cell's ``fit``."""
        grades = grade_cells(self.scores[self.scores.final & (self.scores.variant == "")])[["cell", "fit"]]
        names = self.selected.loc[self.selected.status == "done", ["cell", "architecture", "task", "seed"]]
        return self.scores[self.scores.final].merge(names, on="cell").merge(grades, on="cell", how="left")

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """Grades at every checkpoint at the chosen learning rates; empty unless some cell has several."""
        names = self.selected.loc[self.selected.status == "done", ["cell", "architecture", "task", "seed"]]
        graded = grade_cells(self.scores).merge(names, on="cell")
        several = graded.groupby(["cell", "variant"]).step.transform("nunique") > 1
        return graded[several.astype(bool)]

    @cached_property
    def questions(self) -> list[Question]:
        """Every task in order, each followed by its variants."""
        found = []
        for task in self.tasks:
            variants = sorted(set(self.seeds.variant[self.seeds.task == task]) - {""})
            found += [self._question(task, variant) for variant in ["", *variants]]
        return found

    @property
    def main(self) -> list[Question]:
        """The tasks themselves, without variants."""
        return [question for question in self.questions if not question.variant]

    def _question(self, task: str, variant: str) -> Question:
        cells = self.cells[self.cells.task == task]
        rows = self.seeds[(self.seeds.task == task) & (self.seeds.variant == variant)]
        rows = rows[rows.status == "ok"].sort_values("length")
        each = rows.drop_duplicates("length")
        above = each[~each.in_range & ~(each.length <= each.length[each.in_range].max())]
        return Question(
            task,
            variant,
            (cells.train_low.min(), cells.train_high.max()),
            tuple(each.length),
            tuple(above.length),
            {name: dict(zip(each.length, each[f"chance_{name}"], strict=True)) for name in ("exact", "token")},
            mean_over_lengths(above.length, above.chance_exact),
            mean_over_lengths(above.length, above.chance_token),
            rows.n.max(),
            bool((rows.tokens > rows.n).any()),
        )

    def entry(self, architecture: str, question: Question) -> Entry:
        """Return what stands in one cell of a table of architectures by tasks."""
        key = (architecture, question.task)
        if key in self.not_applicable:
            return Entry("not applicable", reason=self.not_applicable[key])
        row = self._rows.get((*key, question.variant))
        return Entry.of(row, question.chance_exact, question.chance_token) if row else Entry("not planned")


def _ordered(order: Iterable[str] | None, present: Iterable[str]) -> list[str]:
    there = dict.fromkeys(present)
    return list(dict.fromkeys([*(name for name in order or [] if name in there), *there]))
