"""What the numbers of a run say: fit, solved to, and scores beyond the training lengths, over seeds.

A *cell* is one trained model. It is ``fit`` when it solved the lengths it was trained on: undertrained is not "does
not generalize", so everything beyond training is also given for the fitted cells alone. ``solved to`` is the last
evaluated length before the first that is clearly unsolved: its Wilson upper bound lies below 99% exact match. A length
that ran out of memory or lies beyond the model's reach ends the grid; it is missing, not zero.

Scores beyond training are means over lengths by the trapezoid rule, so that they do not depend on the grid. Over seeds
we give medians and interquartile means (Agarwal et al. 2021), and intervals from five seeds on. A seed whose training
failed counts as zero. Learning rates are chosen by validation at training lengths, never by what is reported.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from harness.analysis.schema import CELLS, SCORES, complete

SOLVED = 0.99
INTERVAL_SEEDS = 5
STATUSES = {"done": "not evaluated", "failed": "failed", "missing": "missing", "not applicable": "not applicable"}
PAIR = ["architecture", "task"]
MEANS = ["exact", "token", "chance_exact", "chance_token"]


def wilson(successes: Any, n: Any, confidence: float = 0.95) -> tuple[Any, Any]:
    """Return the ends of the Wilson score interval (Wilson 1927) as arrays; arguments broadcast, (0, 1) at n = 0."""
    z, known = ndtri((1 + confidence) / 2), np.greater(n, 0)
    trials = np.where(known, n, 1)
    share = successes / trials
    center = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(np.maximum(share * (1 - share), 0) / trials + (z / (2 * trials)) ** 2)
    return np.where(known, np.maximum(center - half, 0), 0.0), np.where(known, np.minimum(center + half, 1), 1.0)


def iqm(values: Any, axis: int = -1) -> Any:
    """Return the mean of the middle half along an axis; a value on its edge counts by the fraction that lies inside."""
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=float), axis, -1))
    n, place = (~np.isnan(ordered)).sum(-1, keepdims=True), np.arange(ordered.shape[-1])
    inside = np.clip(np.minimum(place + 1, 0.75 * n) - np.maximum(place, 0.25 * n), 0, None)
    return np.nansum(ordered * inside, axis=-1) / np.where(n[..., 0] > 0, n[..., 0] / 2, np.nan)


def interval(values: Sequence[float], statistic: Callable[..., Any] = iqm) -> tuple[float, float] | None:
    """Return a seeded 95% percentile bootstrap interval over seeds; ``None`` below five, where it would mislead."""
    known = [value for value in values if not np.isnan(value)]
    if len(known) < INTERVAL_SEEDS:
        return None
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (known,), statistic, n_resamples=2000, vectorized=True, method="percentile", rng=np.random.default_rng(0)
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def mean_over_lengths(lengths: Any, values: Any) -> float:
    """Return the mean of a score over lengths by the trapezoid rule (lengths ascend); NaN where nothing is known."""
    x, y = np.asarray(lengths, dtype=float), np.asarray(values, dtype=float)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if len(x) < 2:
        return float(y[0]) if len(y) else np.nan
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / (x[-1] - x[0]))


class SolvedTo(NamedTuple):
    """The last solved length, and whether the grid ended there rather than the model; prints as ``40`` or ``>=160``."""

    length: int
    end: bool

    def __str__(self) -> str:
        return f">={self.length}" if self.end else str(self.length)


Rows = Mapping[str, Any]
"""The score rows of one cell, one variant and one checkpoint, by length: a frame, or a dict of its columns."""


def upper(rows: Rows) -> np.ndarray:
    """Return the Wilson upper bound of exact match at each length; NaN where nothing was evaluated."""
    n, exact = np.asarray(rows["n"]), np.asarray(rows["exact"])
    return np.where(np.asarray(rows["status"]) == "ok", wilson(exact * n, n)[1], np.nan)


def fit(rows: Rows) -> bool | None:
    """Whether a cell solved every evaluated training length; ``None`` where none was evaluated."""
    bounds = upper(rows)[np.asarray(rows["in_range"])]
    known = bounds[~np.isnan(bounds)]
    return bool((known >= SOLVED).all()) if len(known) else None


def solved_to(rows: Rows) -> SolvedTo | None:
    """Walk up from the shortest training length; ``None`` if nothing was evaluated, 0 if not even that is solved."""
    lengths, within = np.asarray(rows["length"]), np.asarray(rows["in_range"])
    start = int(within.argmax())  # 0 where no training length was evaluated
    last = None
    for length, bound in zip(lengths[start:], upper(rows)[start:], strict=True):
        if np.isnan(bound):
            break
        if bound < SOLVED:
            return SolvedTo(last or 0, False)
        last = int(length)
    return None if last is None else SolvedTo(last, True)


def grade_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (cell, variant, checkpoint): fit, solved to, and mean scores and chance beyond training.

    Args:
        scores: the score frame, complete.
    """
    keys = ["cell", "variant", "step", "final"]
    scores = scores.sort_values("length")
    columns = {str(name): scores[name].to_numpy() for name in scores}
    groups: dict[Any, Any] = scores.groupby(keys, sort=False, dropna=False).indices
    graded = [
        dict(zip(keys, key, strict=True)) | _grade({name: column[place] for name, column in columns.items()})
        for key, place in groups.items()
    ]
    names = [*keys, "fit", "solved_to", "solved", "ended", *MEANS, "low", "high", "reached", "n"]
    return pd.DataFrame(graded, columns=names)


def _grade(rows: Rows) -> dict[str, Any]:
    length, known, within = rows["length"], rows["status"] == "ok", rows["in_range"]
    above = known & ~within & (length > length[within].max(initial=-np.inf))
    last, stop = solved_to(rows), np.flatnonzero(~known)
    return {
        "fit": fit(rows),
        "solved_to": last,
        "solved": bool(above.any() and last and last.end),
        "ended": f"{rows['status'][stop[0]]} at {length[stop[0]]:g}" if len(stop) else "",
        **{name: mean_over_lengths(length[above], rows[name][above]) for name in MEANS},
        "low": length[above].min() if above.any() else np.nan,
        "high": length[above].max() if above.any() else np.nan,
        "reached": length[known].max() if known.any() else np.nan,
        "n": rows["n"][known].max(initial=0),
    }


def choose_learning_rate(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the chosen rows of :func:`compare_learning_rates`, one per (architecture, task) with a finished cell."""
    rates = compare_learning_rates(cells)
    return rates[rates.chosen].reset_index(drop=True)


def compare_learning_rates(cells: pd.DataFrame) -> pd.DataFrame:
    """Choose once for all seeds of an architecture on a task, by validation at training lengths; never by test scores.

    The best mean exact match wins, then the lowest mean loss, then the smaller rate. A failed seed counts as 0 and as
    an infinite loss; a seed that has not been trained does not count.

    Returns:
        One row per (architecture, task, learning rate): ``planned``, ``seeds`` (finished or failed), ``failed``, mean
        ``validation_exact`` and ``validation_loss``, ``chosen``, and ``edge``: chosen at an end of a grid of several.
    """
    cells = complete(cells, CELLS)
    cells = cells[cells.status != "not applicable"]
    done, failed = cells.status == "done", cells.status == "failed"
    table = cells.assign(
        planned=1,
        seeds=done | failed,
        failed=failed,
        validation_exact=cells.validation_exact.where(done).fillna(0.0).where(done | failed),
        validation_loss=cells.validation_loss.where(done).fillna(np.inf).where(done | failed),
    )
    how = {"planned": "sum", "seeds": "sum", "failed": "sum", "validation_exact": "mean", "validation_loss": "mean"}
    with np.errstate(invalid="ignore"):
        table = table.groupby([*PAIR, "learning_rate"], dropna=False, sort=False).agg(how).reset_index()
    order = table.assign(exact=-table.validation_exact.round(9))
    order = order[order.seeds > 0].sort_values(["exact", "validation_loss", "learning_rate"])
    table["chosen"] = table.index.isin(order.drop_duplicates(PAIR).index)
    grid = table.groupby(PAIR).learning_rate
    ends = (table.learning_rate == grid.transform("min")) | (table.learning_rate == grid.transform("max"))
    table["edge"] = table.chosen & ends & (grid.transform("nunique") > 1)
    return table


def summarize(cells: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (architecture, task, variant), over all seeds at the chosen learning rate.

    ``status`` is ``ok``, ``not evaluated``, ``failed``, ``missing`` or ``not applicable``. ``exact`` and ``token`` are
    medians over seeds of the mean beyond training, with ``_iqm``, ``_low``, ``_high`` (interval of the interquartile
    mean), ``_fit`` (median of the fitted seeds) and ``_max``. The last is selected on test, over the ``max_of`` graded
    cells of all learning rates: for comparison with papers that print it, never a headline. Fractions ``fit`` and
    ``solved`` are of ``graded`` seeds, failed ones included.
    """
    cells, scores = complete(cells, CELLS), complete(scores, SCORES)
    rates, grades, rows = choose_learning_rate(cells), grade_cells(scores[scores.final]), []
    for pair, trials in cells.groupby(PAIR, sort=False):
        facts = dict(zip(PAIR, pair, strict=True))
        chosen = rates[(rates[PAIR] == list(pair)).all(axis=1)]
        rate = float(chosen.learning_rate.max())
        seeds = trials if np.isnan(rate) else trials[trials.learning_rate == rate]
        facts |= {"learning_rate": rate, "edge": bool(chosen.edge.any())} | _facts(seeds)
        graded = grades[grades.cell.isin(trials.cell)]
        fits = graded[graded.variant == ""].set_index("cell").fit.to_dict()
        for variant in ["", *sorted(set(graded.variant) - {""})]:
            best = graded[graded.variant == variant]
            best = best.assign(fit=best.cell.map(fits))
            own = best[best.cell.isin(seeds.cell[seeds.status != "failed"])]
            rows.append({**facts, "variant": variant, **_over_seeds(own, best, facts)})
    return pd.DataFrame(rows, columns=None if rows else [*PAIR, "variant", "status"])


def _facts(seeds: pd.DataFrame) -> dict[str, Any]:
    """What is known of one pair's cells without any score."""
    counts = {name: int((seeds.status == name).sum()) for name in STATUSES}
    sizes = next((sizes for sizes in seeds.state_bytes if isinstance(sizes, dict) and sizes), {np.nan: np.nan})
    by_length = sorted((float(length), size) for length, size in sizes.items())
    (short, least), (long, most) = by_length[0], by_length[-1]
    medians = {name: seeds[name].median() for name in ("parameters", "tokens_per_second", "train_seconds")}
    ends = {"train_low": seeds.train_low.min(), "train_high": seeds.train_high.max()}
    state = {"short_length": short, "short_bytes": least, "long_length": long, "long_bytes": most}
    return {"planned": len(seeds), **counts, "stale": int(seeds.stale.sum()), **medians, **ends, **state}


def _over_seeds(own: pd.DataFrame, trials: pd.DataFrame, facts: dict[str, Any]) -> dict[str, Any]:
    """Fit, solved to and scores over the graded seeds ``own``; the best over all graded ``trials``."""
    lost = facts["failed"] if len(own) else 0
    seeds, fitted = len(own) + lost, own[own.fit.eq(True)]
    reached = sorted([*own.solved_to.dropna(), *[SolvedTo(0, False)] * lost])
    median = reached[(len(reached) - 1) // 2] if reached else None  # the lower one, so that it is an evaluated length
    found: dict[str, Any] = {
        "status": "ok" if seeds else next((STATUSES[name] for name in STATUSES if facts[name]), "missing"),
        "graded": seeds,
        "fitted": len(fitted),
        "fit": len(fitted) / seeds if own.fit.notna().any() else np.nan,
        "solved": own.solved.sum() / seeds if seeds else np.nan,
        "solved_to": "" if median is None else str(median),
        "solved_length": np.nan if median is None else median.length,
        "ended": next((text for text in own.ended if text), ""),
        "max_of": len(trials),
        "n": own.n.max(),
    }
    found |= {name: own[name].median() for name in ("chance_exact", "chance_token", "low", "high", "reached")}
    for name in ("exact", "token"):
        known = own[name].dropna().tolist()
        values = known + [0.0] * lost if known else []
        low, high = interval(values) or (np.nan, np.nan)
        middle = float(np.median(values)) if values else np.nan
        spread = {"": middle, "_iqm": float(iqm(values)), "_low": low, "_high": high}
        spread |= {"_fit": fitted[name].median(), "_max": trials[name].max()}
        found |= {name + end: value for end, value in spread.items()}
    return found
