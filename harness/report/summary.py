"""A summary of the run in sentences, warnings about its numbers, and its provenance."""

from typing import Any

import pandas as pd

from harness.analysis.statistics import FITTED_SHARE, PAIR, choosing_cells, is_tuning
from harness.report import number_format as fmt
from harness.report.captions import samples_per_length
from harness.report.results import Results
from harness.report.stale import stale_sentence


def run_summary(results: Results) -> str:
    """Say what was trained and tested, in two or three sentences."""
    cells = results.cells[results.cells.status != "not applicable"]
    if cells.empty:
        return "Nothing has been trained yet."
    architectures = fmt.plural(len(results.architectures), "architecture")
    what = f"{architectures} on {fmt.plural(len(results.tasks), 'task')}, with {_trials(results, cells)}"
    sentences = [f"{what}: {', '.join(_counts_by_status(results, cells))}.", _lengths(results, cells)]
    return " ".join([*sentences, fit_sentence(results)]).strip()


def _trials(results: Results, cells: pd.DataFrame) -> str:
    """Say how many seeds are reported, and with which learning rates."""
    tuning = is_tuning(cells)
    choosing = choosing_cells(cells).groupby(PAIR)
    rates = fmt.span(count for count in choosing.learning_rate.nunique() if count > 1)
    tried = fmt.span(cells[tuning].groupby(PAIR).seed.nunique())
    phrases = {
        "given": "at the learning rate that was given",
        "tuned": f"at a learning rate chosen from {rates} with {tried} tuning seed{'' if tried == '1' else 's'} each",
        "all seeds": f"at each of {rates} learning rates, of which one is chosen",
    }
    seeds, ways = fmt.plural(cells.seed[~tuning].nunique(), "seed"), set(results.selection)
    return seeds if ways == {"given"} else f"{seeds} {' or '.join(phrases[way] for way in phrases if way in ways)}"


def _counts_by_status(results: Results, cells: pd.DataFrame) -> list[str]:
    counts = cells.status.value_counts()
    done, failed, missing = (int(counts.get(status, 0)) for status in ("done", "failed", "missing"))
    parts = [f"{done:,} of {len(cells):,} planned models are trained"]
    tuning = int(is_tuning(cells[cells.status == "done"]).sum())
    if tuning:
        parts.append(f"{tuning:,} of them only to choose learning rates")
    if failed:
        parts.append(f"{failed:,} failed")
    if missing:
        parts.append(f"{missing:,} have not been run")
    pairs = len(results.not_applicable)
    if pairs:
        parts.append(
            f"{fmt.plural(pairs, 'pair')} of architecture and task {'is' if pairs == 1 else 'are'} not applicable"
        )
    return parts


def _lengths(results: Results, cells: pd.DataFrame) -> str:
    trained = fmt.span([*cells.train_low, *cells.train_high])
    tested = [length for result in results.task_results for length in result.lengths]
    if not tested:
        return f"Models are trained on lengths {trained}; none has been evaluated yet."
    evaluated = f"evaluated at lengths {fmt.span(tested)}, with {samples_per_length(results)}"
    return f"Models were trained on lengths {trained} and {evaluated}."


def fit_sentence(results: Results) -> str:
    """Say for each suite of how many pairs at least ``FITTED_SHARE`` of the seeds fit; empty where fit is unknown."""
    runs = results.cells.drop_duplicates(PAIR).set_index(PAIR).run
    shares = results.fit_shares.set_index(PAIR).share
    by_run = shares.groupby(runs.reindex(shares.index).to_numpy(), sort=False)
    texts = [f"{name}: " * (by_run.ngroups > 1) + _share_of_pairs(of_run) for name, of_run in by_run]
    return f"At least {FITTED_SHARE:.0%} of the seeds fit their training lengths in {'; '.join(texts)}." * bool(texts)


def _share_of_pairs(shares: pd.Series) -> str:
    """Return how many pairs fit, of how many; ``shares`` are those of their seeds that fit."""
    fit, pairs = int((shares >= FITTED_SHARE).sum()), fmt.plural(len(shares), "pair")
    return f"{fit:,} of {pairs} of architecture and task ({fit / len(shares):.0%})"


def cost_sentence(results: Results) -> str:
    """Say how long all models took, those that only choose learning rates included; empty where no time is recorded.

    The time of a model is that of its training, validation and evaluation, as a share of its population. On a CPU a
    worker has one thread, so its seconds are those of a core.
    """
    done = results.cells[results.cells.status == "done"]
    hours = done[["train_seconds", "validate_seconds", "evaluate_seconds"]].sum(axis=1) / 3600
    if done.train_seconds.isna().all():
        return ""
    unit = "core-hours" if done.device.str.startswith("cpu").all() else "hours of worker processes"
    text = f"Training, validation and evaluation of all models took {hours.sum():.3g} {unit}"
    tuning = is_tuning(done)
    if tuning.any():
        chosen, reported = hours[tuning].sum(), hours[~tuning].sum()
        text += f": {chosen:.3g} to choose learning rates and {reported:.3g} for the reported models"
    return f"{text}."


def warnings(results: Results) -> list[str]:
    """Return warnings about numbers that are provisional or cannot be compared."""
    cells = results.cells[results.cells.status != "not applicable"]
    lines = list(results.meta.damaged)
    if stale := stale_sentence(results):
        lines.append(stale)
    missing = int((cells.status == "missing").sum())
    if missing:
        lines.append(f"This run is not complete: {missing:,} of {len(cells):,} models are still to be trained.")
    trials = cells[~is_tuning(cells)].groupby(["task", "architecture"]).size().groupby("task").nunique()
    unequal = sorted(trials.index[trials > 1])
    if unequal:
        lines.append(f"Architectures had different numbers of trials on {', '.join(map(str, unequal))}.")
    edges, chosen = int(results.rates.edge.sum()), int(results.rates.chosen.sum())
    if edges:
        lines.append(f"{edges} of {chosen} chosen learning rates lie at the edge of their grid (‡).")
    return lines


def provenance_lines(results: Results) -> list[tuple[str, list[str]]]:
    """Return everything needed to run this again, as (name, lines)."""
    meta, done = results.meta, results.cells[results.cells.status == "done"]
    values_by_name: dict[str, list[Any]] = {
        "created": [meta.created],
        "command": [*meta.command],
        "git": [meta.git, *_differing(done.git, meta.git)],
        "versions": [", ".join(f"{name} {version}" for name, version in meta.versions.items())],
        "devices": _counts(done.device),
        "kernels": _counts(done.kernel),
        "number format": _counts(done.dtype),
        "runs": _counts(done.run),
        "time": [cost_sentence(results), _time(done)],
    }
    lines_by_name = {name: [str(value) for value in values if value] for name, values in values_by_name.items()}
    return [(name, lines) for name, lines in lines_by_name.items() if lines]


def _counts(values: pd.Series) -> list[str]:
    return [f"{value} ({fmt.plural(count, 'model')})" for value, count in values[values != ""].value_counts().items()]


def _differing(values: pd.Series, expected: str) -> list[str]:
    return [line for line in _counts(values) if not expected or not line.startswith(expected)]


def _time(done: pd.DataFrame) -> str:
    if done.train_seconds.isna().all():
        return ""
    train, evaluate = fmt.seconds(done.train_seconds.sum()), fmt.seconds(done.evaluate_seconds.sum())
    return f"{train} of training and {evaluate} of evaluation, summed over models"
