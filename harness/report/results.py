"""The results of a run in the order of the report, with every statistic computed once.

Tables, plots and page all read a :class:`Results`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from harness.analysis.estimators import mean_over_lengths
from harness.analysis.fitting import training_progress
from harness.analysis.learning_rate_windows import add_scores_beyond, rate_windows
from harness.analysis.schema import CELLS, SCORES, ReportMeta, complete, is_scored
from harness.analysis.statistics import PAIR, compare_learning_rates, grade_cells, has_tuning, is_tuning, summarize
from harness.evaluation.shortcuts import SOLVED
from harness.report.table_cell import TableCell
from harness.storage.records import NOT_FINITE

if TYPE_CHECKING:
    from harness.report.style import PlotStyle


class Shortcut(NamedTuple):
    """The strongest simple reader of a task that is not its algorithm: its scores are means beyond training."""

    reader: str
    exact: float
    token: float
    solves: bool


@dataclass(frozen=True, eq=False)
class TaskResult:
    """The evaluation of one task or of one of its variants: training range, evaluated lengths and chance.

    ``beyond`` are the evaluated lengths above the training range. ``chance`` is by measure and length;
    ``chance_exact`` and ``chance_token`` are means beyond training. ``samples`` are the smallest and the largest test
    set of a length beyond training. ``multi_token`` says that answers have several tokens, so that token accuracy
    differs from exact match. ``shortcut`` is ``None`` in older records.
    """

    task: str
    variant: str
    train: tuple[float, float]
    lengths: tuple[float, ...]
    beyond: tuple[float, ...]
    chance: dict[str, dict[float, float]]
    chance_exact: float
    chance_token: float
    shortcut: Shortcut | None
    samples: tuple[float, ...]
    multi_token: bool

    @property
    def title(self) -> str:
        """Task and variant in one label."""
        return f"{self.task} · {self.variant}" if self.variant else self.task


class Results:
    """Everything that is shown of a run.

    Args:
        cells, scores: complete frames, as in ``harness.analysis.schema``. Scores from a carried state are kept apart.
        meta: what the report shows besides the frames.
    """

    def __init__(self, cells: pd.DataFrame, scores: pd.DataFrame, meta: ReportMeta) -> None:
        is_carried = scores.carried > 0
        self.cells, self.meta = cells, meta
        self.all_scores, self.scores, self.carried_scores = scores, scores[~is_carried], scores[is_carried]
        self.grades = grade_cells(self.scores)
        self.rates = add_scores_beyond(compare_learning_rates(cells), cells, self.grades[self.grades.final])
        self.windows = rate_windows(self.rates)
        windows = self.windows.to_dict("records")
        self._windows = {(row["architecture"], row["task"]): row for row in windows}
        self.summary = summarize(cells, self.grades[self.grades.final])
        pairs = cells[cells.status == "not applicable"]
        self.not_applicable: dict[tuple[str, str], str] = {
            **{(a, t): reason for a, t, reason in meta.not_applicable},
            **{(a, t): reason for a, t, reason in zip(pairs.architecture, pairs.task, pairs.reason, strict=True)},
        }
        all_pairs = [*zip(cells.architecture, cells.task, strict=True), *self.not_applicable]
        self.architectures = _ordered(meta.catalog_order, (architecture for architecture, _ in all_pairs))
        self.tasks = _ordered(meta.tasks_order, (task for _, task in all_pairs))
        self._rows = dict(zip(self._keys(self.summary), self.summary.to_dict("records"), strict=True))

    @classmethod
    def of(cls, cells: pd.DataFrame, scores: pd.DataFrame, meta: ReportMeta) -> "Results":
        """Build results from frames that may be empty or lack columns; a cell that is in two runs counts once."""
        cells, scores = complete(cells, CELLS), complete(scores, SCORES)
        identity = ["cell", "architecture", "task", "seed", "learning_rate"]
        # Of duplicates the first is kept; alphabetical order is done, failed, missing, so the best status comes first.
        cells = cells.sort_values("status", kind="stable").drop_duplicates(identity).sort_index()
        scores = scores.drop_duplicates(["cell", "variant", "step", "length"])
        return cls(cells, scores, meta)

    @staticmethod
    def _keys(frame: pd.DataFrame) -> Iterable[tuple[str, str, str]]:
        return zip(frame.architecture, frame.task, frame.variant, strict=True)

    @cached_property
    def families(self) -> dict[str, str]:
        """Family of each architecture."""
        families = self.cells.drop_duplicates("architecture")
        return {name: family or "other" for name, family in zip(families.architecture, families.family, strict=True)}

    @cached_property
    def plot_styles(self) -> "dict[str, PlotStyle]":
        """Colour and marker of each architecture in the static plots."""
        from harness.report.style import plot_styles  # imports matplotlib, which only drawings need

        return plot_styles(
            {
                name: self.families.get(name, "other")
                for name in dict.fromkeys([*self.meta.catalog_order, *self.architectures])
            }
        )

    @cached_property
    def selection(self) -> pd.Series:
        """How the learning rate of each pair was chosen: ``given``, ``tuned`` on other seeds, or over ``all seeds``."""
        cells = self.cells[self.cells.status != "not applicable"]
        groups = cells.assign(tuned=has_tuning(cells)).groupby(PAIR, sort=False)
        tuned, several = groups.tuned.any(), groups.learning_rate.nunique() > 1
        return pd.Series("given", tuned.index).mask(several, "all seeds").mask(tuned, "tuned")

    def window_of(self, architecture: str, task: str) -> dict[Any, Any] | None:
        """Return the row of ``windows`` of a pair; ``None`` where fewer than two learning rates were tried."""
        return self._windows.get((architecture, task))

    @cached_property
    def selected(self) -> pd.DataFrame:
        """The reported cells at the chosen learning rates."""
        chosen = self.rates.loc[self.rates.chosen, ["architecture", "task", "learning_rate"]]
        return self.cells[~is_tuning(self.cells)].merge(chosen, on=["architecture", "task", "learning_rate"])

    @cached_property
    def fit_shares(self) -> pd.DataFrame:
        """One row per pair whose fit is known: ``fitted`` of the reported ``seeds``, and their ``share`` (0 to 1).

        A failed seed counts as not fit. Pairs of which no training length was evaluated are left out.
        """
        columns = [*PAIR, "variant", "status", "graded", "fitted", "failed", "fit"]
        main = self.summary.reindex(columns=columns)
        main = main[(main.variant == "") & (main.fit.notna() | (main.status == "failed"))]
        seeds = main.graded.where(main.graded > 0, main.failed)
        share = (main.fitted / seeds).astype(float)
        return main.assign(seeds=seeds, share=share)[[*PAIR, "seeds", "fitted", "share"]].reset_index(drop=True)

    @cached_property
    def progress(self) -> pd.DataFrame:
        """The finished and failed cells of ``selected`` with ``left_plateau`` and ``final_loss``."""
        return training_progress(self.selected)

    @cached_property
    def seeds(self) -> pd.DataFrame:
        """Final scores at the chosen learning rates, with architecture, task, seed and the cell's ``fit``."""
        grades = self.grades.loc[self.grades.final & (self.grades.variant == ""), ["cell", "fit"]]
        names = self.selected.loc[self.selected.status == "done", ["cell", "architecture", "task", "seed"]]
        return self.scores[self.scores.final].merge(names, on="cell").merge(grades, on="cell", how="left")

    @cached_property
    def carried(self) -> pd.DataFrame:
        """The final scores from carried states, as ``seeds``, with those from an empty state at the same lengths."""
        if self.carried_scores.empty:
            return self.seeds[:0]
        names = self.selected.loc[self.selected.status == "done", ["cell", "architecture", "task", "seed"]]
        carried = self.carried_scores[self.carried_scores.final].merge(names, on="cell")
        carried = carried.assign(variant=[name.partition("carried ")[0].strip() for name in carried.variant])
        keys = ["cell", "variant", "length"]
        empty = self.seeds.merge(carried[keys].drop_duplicates(), on=keys).assign(carried=0.0)
        return pd.concat([empty, carried])

    def seeds_of(self, task_result: TaskResult) -> pd.DataFrame:
        """Return the rows of ``seeds`` for one task and variant."""
        return self.seeds[(self.seeds.task == task_result.task) & (self.seeds.variant == task_result.variant)]

    @cached_property
    def not_finite(self) -> dict[tuple[str, str, str], list[float]]:
        """The lengths at which logits of any seed were not finite, by architecture, task and variant."""
        rows = self.seeds[self.seeds.status == NOT_FINITE]
        lengths: dict[tuple[str, str, str], list[float]] = {}
        for key, length in zip(self._keys(rows), rows.length, strict=True):
            lengths.setdefault(key, []).append(length)
        return {key: sorted(set(of_key)) for key, of_key in lengths.items()}

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """Grades at every checkpoint at the chosen learning rates; empty unless some cell has several."""
        names = self.selected.loc[self.selected.status == "done", ["cell", "architecture", "task", "seed"]]
        graded = self.grades.merge(names, on="cell")
        several = graded.groupby(["cell", "variant"]).step.transform("nunique") > 1
        return graded[several.astype(bool)]

    @cached_property
    def task_results(self) -> list[TaskResult]:
        """Every task in order, each followed by its variants."""
        task_results = []
        for task in self.tasks:
            variants = sorted(set(self.summary.variant[self.summary.task == task]) - {""})
            task_results += [self._task_result(task, variant) for variant in ["", *variants]]
        return task_results

    @property
    def main_results(self) -> list[TaskResult]:
        """The tasks without their variants."""
        return [result for result in self.task_results if not result.variant]

    def _task_result(self, task: str, variant: str) -> TaskResult:
        cells = self.cells[self.cells.task == task]
        rows = self.seeds[(self.seeds.task == task) & (self.seeds.variant == variant)]
        rows = rows[is_scored(rows.status)].sort_values("length")
        # One row per length is enough for chance. Of test sets of several sizes the largest is shown.
        lengths = rows.sort_values("n", ascending=False, kind="stable").drop_duplicates("length").sort_values("length")
        beyond = lengths[~lengths.in_range & ~(lengths.length <= lengths.length[lengths.in_range].max())]
        chance = {
            name: dict(zip(lengths.length, lengths[f"chance_{name}"], strict=True)) for name in ("exact", "token")
        }
        return TaskResult(
            task,
            variant,
            train=(cells.train_low.min(), cells.train_high.max()),
            lengths=tuple(lengths.length),
            beyond=tuple(beyond.length),
            chance=chance,
            chance_exact=mean_over_lengths(beyond.length, beyond.chance_exact),
            chance_token=mean_over_lengths(beyond.length, beyond.chance_token),
            shortcut=_shortcut(beyond if len(beyond) else lengths),
            samples=_ends(beyond.n if len(beyond) else lengths.n),
            multi_token=bool((rows.tokens > rows.n).any()),
        )

    def summary_row(self, architecture: str, task_result: TaskResult) -> dict[Any, Any]:
        """Return the row of ``summary`` of one architecture on one task or variant; empty where there is none."""
        return self._rows.get((architecture, task_result.task, task_result.variant), {})

    def table_cell(self, architecture: str, task_result: TaskResult) -> TableCell:
        """Return the cell of one architecture on one task or variant."""
        pair = (architecture, task_result.task)
        if pair in self.not_applicable:
            return TableCell("not applicable", reason=self.not_applicable[pair])
        key = (*pair, task_result.variant)
        row = self._rows.get(key)
        if row is None:
            return TableCell("not planned")
        return TableCell.of(row, task_result.chance_exact, task_result.chance_token, key not in self.not_finite)


def _shortcut(lengths: pd.DataFrame) -> Shortcut | None:
    """Return the mean score of the strongest simple reader, or ``None`` where no record has one."""
    measured = lengths[lengths.shortcut != ""]
    if measured.empty:
        return None
    exact = mean_over_lengths(measured.length, measured.shortcut_exact)
    token = mean_over_lengths(measured.length, measured.shortcut_token)
    strongest = str(measured.sort_values("shortcut_exact").shortcut.iloc[-1])
    return Shortcut(strongest, exact, token, bool((measured.shortcut_exact >= SOLVED).all()))


def _ends(values: pd.Series) -> tuple[float, ...]:
    return (values.min(), values.max()) if len(values) else ()


def _ordered(order: Iterable[str], names: Iterable[str]) -> list[str]:
    present = dict.fromkeys(names)
    return list(dict.fromkeys([*(name for name in order if name in present), *present]))
