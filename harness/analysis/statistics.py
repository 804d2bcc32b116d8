"""Statistics over seeds: fit, solved to, and scores beyond the training lengths.

A *cell* is one trained model. A cell is ``fit`` when it solved the lengths it was trained on. Undertrained is not "does
not generalize", so everything beyond training is also given for the fitted cells only. ``solved to`` is the last
evaluated length before the first that is clearly unsolved: its Wilson upper bound lies below 99% exact match. A length
that ran out of memory or exceeds the model's maximum length ends the grid; it is missing, not zero. Logits that are not
finite are wrong answers.

Scores beyond training are means over lengths by the trapezoid rule, so that they do not depend on the grid. Over seeds
we give medians and interquartile means (Agarwal et al. 2021), and intervals from five seeds on. A seed whose training
failed counts as zero. Learning rates are chosen by validation at training lengths, never by reported scores.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.estimators import intervals, iqm, mean_over_lengths, wilson
from harness.analysis.schema import CELLS, complete, is_scored
from harness.config.cell import TUNING_SEED

SOLVED = 0.99
"""Exact match from which a length counts as solved."""

FITTED_SHARE = 0.8
"""Share of the reported seeds from which on a pair counts as fitted."""

STATUSES = {"done": "not evaluated", "failed": "failed", "missing": "missing", "not applicable": "not applicable"}
"""Status of a row of the summary without scores, by the status of its cells."""

PAIR = ["architecture", "task"]
MEANS = ["exact", "token", "chance_exact", "chance_token"]


class SolvedTo(NamedTuple):
    """The last solved length, and whether the grid ended before the model failed; prints as ``40`` or ``>=160``."""

    length: int
    end: bool

    def __str__(self) -> str:
        return f">={self.length}" if self.end else str(self.length)


Rows = Mapping[str, np.ndarray]
"""The score rows of one cell, one variant and one checkpoint, by length, as a dict of their columns.

``evaluated`` says which lengths have scores; ``upper`` is the Wilson upper bound of exact match, NaN without scores.
"""


def grade_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (cell, variant, checkpoint): fit, solved to, and mean scores and chance beyond training.

    ``fit`` says whether a cell solved every evaluated training length; ``None`` where none was evaluated.
    ``solved_to`` counts up from the shortest training length. It is ``None`` where nothing was evaluated, and has
    length 0 where the shortest training length is not solved.

    Args:
        scores: the score frame with all columns of ``SCORES``.
    """
    # Groups are cut out of numpy columns, which is faster than a frame for each group.
    keys = ["cell", "variant", "step", "final"]
    scores = scores.sort_values("length")
    columns = {str(name): scores[name].to_numpy() for name in scores}
    columns["evaluated"] = is_scored(columns["status"])
    columns["upper"] = _upper(columns)
    groups: dict[Any, Any] = scores.groupby(keys, sort=False, dropna=False).indices
    graded = [
        dict(zip(keys, key, strict=True)) | _grade({name: column[index] for name, column in columns.items()})
        for key, index in groups.items()
    ]
    names = [*keys, "fit", "solved_to", "solved", "ended", *MEANS, "low", "high", "reached", "n"]
    return pd.DataFrame(graded, columns=names).astype({"final": bool})


def _upper(rows: Rows) -> np.ndarray:
    """Return the Wilson upper bound of exact match at each length; NaN where nothing was evaluated."""
    n, exact = rows["n"], rows["exact"]
    return np.where(rows["evaluated"], wilson(exact * n, n)[1], np.nan)


def _grade(rows: Rows) -> dict[str, Any]:
    """Return the grades of one cell, variant and checkpoint."""
    length, evaluated, in_range = rows["length"], rows["evaluated"], rows["in_range"]
    # Beyond training: evaluated lengths above the longest training length.
    beyond = evaluated & ~in_range & (length > length[in_range].max(initial=-np.inf))
    last, gaps = _solved_to(rows), np.flatnonzero(~evaluated)
    return {
        "fit": _fit(rows),
        "solved_to": last,
        "solved": bool(_fit(rows) and beyond.any() and (rows["upper"][beyond] >= SOLVED).all()),
        "ended": f"{rows['status'][gaps[0]]} at {length[gaps[0]]:g}" if len(gaps) else "",
        **{name: mean_over_lengths(length[beyond], rows[name][beyond]) for name in MEANS},
        "low": length[beyond].min() if beyond.any() else np.nan,
        "high": length[beyond].max() if beyond.any() else np.nan,
        "reached": length[evaluated].max() if evaluated.any() else np.nan,
        "n": rows["n"][evaluated].max(initial=0),
    }


def _fit(rows: Rows) -> bool | None:
    bounds = rows["upper"][rows["in_range"] & rows["evaluated"]]
    return bool((bounds >= SOLVED).all()) if len(bounds) else None


def _solved_to(rows: Rows) -> SolvedTo | None:
    start = int(rows["in_range"].argmax())  # 0 where no training length was evaluated
    last = None
    for length, bound in zip(rows["length"][start:], rows["upper"][start:], strict=True):
        if np.isnan(bound):  # not evaluated: the grid ends here
            break
        if bound < SOLVED:
            return SolvedTo(last or 0, False)
        last = int(length)
    return None if last is None else SolvedTo(last, True)


def errors_that_pass(samples: int) -> int:
    """Return the most errors among ``samples`` answers with which a length still counts as solved."""
    errors = np.arange(samples + 1)
    return int(errors[wilson(samples - errors, samples)[1] >= SOLVED].max(initial=0))


def choose_learning_rate(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the chosen rows of :func:`compare_learning_rates`, one per (architecture, task) with a finished cell."""
    rates = compare_learning_rates(cells)
    return rates[rates.chosen].reset_index(drop=True)


def compare_learning_rates(cells: pd.DataFrame) -> pd.DataFrame:
    """Choose one learning rate for all seeds of an architecture on a task, by validation at training lengths.

    The choice is made on the tuning seeds, as ``execution/rate_search.py`` makes it before a run trains the reported
    seeds; in older records, which have none, on all seeds. Test scores are never used. The best mean exact match wins,
    then the lowest mean loss, then the smaller rate. A failed seed counts as 0 and as an infinite loss; a seed that has
    not been trained does not count.

    Returns:
        One row per (architecture, task, learning rate): ``planned``, ``seeds`` (finished or failed), ``failed``, mean
        ``validation_exact`` and ``validation_loss``, ``chosen``, and ``edge``: chosen at an end of a grid of several.
    """
    cells = complete(cells, CELLS)
    cells = choosing_cells(cells)
    done, failed = cells.status == "done", cells.status == "failed"
    # Failed cells score 0 with infinite loss; cells that were not trained become NaN, which the means leave out.
    table = cells.assign(
        planned=1,
        seeds=done | failed,
        failed=failed,
        validation_exact=cells.validation_exact.where(done).fillna(0.0).where(done | failed),
        validation_loss=cells.validation_loss.where(done).fillna(np.inf).where(done | failed),
    )
    statistics = {
        "planned": "sum",
        "seeds": "sum",
        "failed": "sum",
        "validation_exact": "mean",
        "validation_loss": "mean",
    }
    with np.errstate(invalid="ignore"):  # a mean of infinite losses
        table = table.groupby([*PAIR, "learning_rate"], dropna=False, sort=False).agg(statistics).reset_index()
    # Rank the rates that have a trained seed; the first of each pair is chosen. Rounding makes equal means tie.
    order = table.assign(exact=-table.validation_exact.round(9))
    order = order[order.seeds > 0].sort_values(["exact", "validation_loss", "learning_rate"])
    table["chosen"] = table.index.isin(order.drop_duplicates(PAIR).index)
    # A chosen rate lies at the edge if it is the smallest or largest of several.
    grid = table.groupby(PAIR).learning_rate
    ends = (table.learning_rate == grid.transform("min")) | (table.learning_rate == grid.transform("max"))
    table["edge"] = table.chosen & ends & (grid.transform("nunique") > 1)
    return table


def choosing_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells on which learning rates are chosen: the tuning cells of a pair, or all where it has none."""
    return cells[(cells.status != "not applicable") & (is_tuning(cells) | ~has_tuning(cells))]


def is_tuning(cells: pd.DataFrame) -> pd.Series:
    """Return which cells only choose a learning rate."""
    return cells.seed >= TUNING_SEED


def has_tuning(cells: pd.DataFrame) -> pd.Series:
    """Return which cells belong to a pair with tuning seeds."""
    return is_tuning(cells).groupby([cells[name] for name in PAIR]).transform("any").astype(bool)


def summarize(cells: pd.DataFrame, grades: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (architecture, task, variant), over all seeds at the chosen learning rate.

    ``status`` is ``ok``, ``not evaluated``, ``failed``, ``missing`` or ``not applicable``. ``exact`` and ``token`` are
    medians over seeds of the mean beyond training, with ``_iqm``, ``_low``, ``_high`` (interval of the interquartile
    mean), ``_fit`` (median of the fitted seeds) and ``_max``. The last is selected on test, over the ``max_of`` graded
    cells of all learning rates: for comparison with papers that print it, never a headline. Fractions ``fit`` and
    ``solved`` are of ``graded`` seeds, failed ones included.

    Args:
        cells: the frame of cells; it may lack columns.
        grades: the rows of :func:`grade_cells` for the last checkpoints.
    """
    cells, rows = complete(cells, CELLS), []
    rates = choose_learning_rate(cells)
    names = zip(*(rates[name] for name in (*PAIR, "learning_rate", "edge")), strict=True)
    chosen: dict[Any, Any] = {(name, task): choice for name, task, *choice in names}
    places = grades.groupby("cell", sort=False).indices
    for pair, trials in cells.groupby(PAIR, sort=False):
        # The seeds at the chosen learning rate; all cells of the pair where no rate is recorded.
        rate, edge = chosen.get(pair, (np.nan, False))
        reported = trials[~is_tuning(trials)]
        seeds = reported if np.isnan(rate) else reported[reported.learning_rate == rate]
        counts = dict(zip(PAIR, pair, strict=True))
        counts |= {"learning_rate": rate, "edge": edge} | _run_counts(seeds)
        graded = grades.iloc[sorted({place for cell in trials.cell for place in places.get(cell, ())})]
        # Fit is a property of the main variant; the other variants take it over.
        fits = graded[graded.variant == ""].set_index("cell").fit.to_dict()
        for variant in ["", *sorted(set(graded.variant) - {""})]:
            all_rates = graded[graded.variant == variant]
            all_rates = all_rates.assign(fit=all_rates.cell.map(fits))
            selected = all_rates[all_rates.cell.isin(seeds.cell[seeds.status != "failed"])]
            rows.append({**counts, "variant": variant, **_over_seeds(selected, all_rates, counts)})
    return pd.DataFrame(rows, columns=None if rows else [*PAIR, "variant", "status"])


def _run_counts(seeds: pd.DataFrame) -> dict[str, Any]:
    """Return what is recorded of one pair's cells without any score: counts by status, sizes, speed and state."""
    counts = {name: int((seeds.status == name).sum()) for name in STATUSES}
    sizes = next((sizes for sizes in seeds.state_bytes if isinstance(sizes, dict) and sizes), {np.nan: np.nan})
    by_length = sorted((float(length), size) for length, size in sizes.items())
    (short_length, short_bytes), (long_length, long_bytes) = by_length[0], by_length[-1]
    medians = {name: _median(seeds[name]) for name in ("parameters", "tokens_per_second", "train_seconds")}
    return {
        "planned": len(seeds),
        **counts,
        "stale": int(seeds.stale.sum()),
        **medians,
        "train_low": seeds.train_low.min(),
        "train_high": seeds.train_high.max(),
        "short_length": short_length,
        "short_bytes": short_bytes,
        "long_length": long_length,
        "long_bytes": long_bytes,
    }


def _over_seeds(selected: pd.DataFrame, all_rates: pd.DataFrame, counts: dict[str, Any]) -> dict[str, Any]:
    """Return fit, solved to and scores over the graded seeds ``selected``, and the maximum over ``all_rates``."""
    # A failed seed counts as not fit, as solved to 0 and as score 0, once any seed has been graded.
    failed = counts["failed"] if len(selected) else 0
    seeds, fitted = len(selected) + failed, selected[selected.fit.eq(True)]
    # The lower median of an even number of seeds, so that it is an evaluated length.
    ordered = sorted([*selected.solved_to.dropna(), *(SolvedTo(0, False) for _ in range(failed))])
    median = ordered[(len(ordered) - 1) // 2] if ordered else None
    summary: dict[str, Any] = {
        "status": "ok" if seeds else next((STATUSES[name] for name in STATUSES if counts[name]), "missing"),
        "graded": seeds,
        "fitted": len(fitted),
        "fit": len(fitted) / seeds if selected.fit.notna().any() else np.nan,
        "solved": selected.solved.sum() / seeds if seeds else np.nan,
        "solved_to": "" if median is None else str(median),
        "solved_length": np.nan if median is None else median.length,
        "ended": next((text for text in selected.ended if text), ""),
        "max_of": len(all_rates),
        "n": selected.n.max(),
    }
    summary |= {name: _median(selected[name]) for name in ("chance_exact", "chance_token", "low", "high", "reached")}
    for name in ("exact", "token"):
        scores = selected[name].dropna().tolist()
        if scores:
            scores += [0.0] * failed
        low, high = (float(end[0]) for end in intervals([scores])) if scores else (np.nan, np.nan)
        statistics = {"": _median(scores), "_iqm": iqm(scores), "_low": low, "_high": high}
        statistics |= {"_fit": _median(fitted[name]), "_max": all_rates[name].max()}
        summary |= {name + suffix: value for suffix, value in statistics.items()}
    return summary


def _median(values: Any) -> float:
    """Return the median of the values that are not NaN; NaN if there are none. It is faster than that of pandas."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[~np.isnan(numbers)]
    return float(np.median(numbers)) if len(numbers) else np.nan
