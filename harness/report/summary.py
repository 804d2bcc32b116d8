"""A summary of the run in sentences, warnings about its numbers, and its provenance."""

from typing import Any

import pandas as pd

from harness.report import number_format as fmt
from harness.report.captions import samples_per_length
from harness.report.results import Results


def run_summary(results: Results) -> str:
    """Say what was trained and tested, in two or three sentences."""
    cells = results.cells[results.cells.status != "not applicable"]
    if cells.empty:
        return "Nothing has been trained yet."
    architectures = fmt.plural(len(results.architectures), "architecture")
    trials = fmt.plural(cells.seed.nunique(), "seed")
    rates = cells.learning_rate.nunique()
    if rates > 1:
        trials += f" and {rates} learning rates"
    what = f"{architectures} on {fmt.plural(len(results.tasks), 'task')}, with {trials}"
    return f"{what}: {', '.join(_counts_by_status(results, cells))}. {_lengths(results, cells)}"


def _counts_by_status(results: Results, cells: pd.DataFrame) -> list[str]:
    counts = cells.status.value_counts()
    done, failed, missing = (int(counts.get(status, 0)) for status in ("done", "failed", "missing"))
    parts = [f"{done:,} of {len(cells):,} planned models are trained"]
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


def warnings(results: Results) -> list[str]:
    """Return warnings about numbers that are provisional or cannot be compared."""
    cells = results.cells[results.cells.status != "not applicable"]
    lines = []
    missing, stale = int((cells.status == "missing").sum()), int(cells.stale.sum())
    if missing:
        lines.append(f"This run is not complete: {missing:,} of {len(cells):,} models are still to be trained.")
    if stale:
        lines.append(f"An earlier version of the code trained {fmt.plural(stale, 'model')} (marked *).")
    trials = cells.groupby(["task", "architecture"]).size().groupby("task").nunique()
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
        "time": [_time(done)],
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
