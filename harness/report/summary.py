"""What was run, in plain words, and what a reader should be warned of."""

from typing import Any

import pandas as pd

from harness.report import number_format as fmt
from harness.report.results import View


def story(view: View) -> str:
    """Tell what was trained and tested, in two or three sentences."""
    cells = view.cells[view.cells.status != "not applicable"]
    if cells.empty:
        return "Nothing has been trained yet."
    rates = cells.learning_rate.nunique()
    who = f"{fmt.plural(len(view.architectures), 'architecture')} on {fmt.plural(len(view.tasks), 'task')}"
    how = f"{fmt.plural(cells.seed.nunique(), 'seed')}" + (f" and {rates} learning rates" if rates > 1 else "")
    states = cells.status.value_counts()
    count = {name: int(states.get(name, 0)) for name in ("done", "failed", "missing")}
    words = [f"{count['done']:,} of {len(cells):,} planned models are trained"]
    words += [f"{count['failed']:,} failed"] * (count["failed"] > 0)
    words += [f"{count['missing']:,} have not been run"] * (count["missing"] > 0)
    pairs = len(view.not_applicable)
    words += [f"{fmt.plural(pairs, 'pair')} of architecture and task cannot be asked"] * (pairs > 0)
    return f"{who}, with {how}: {', '.join(words)}. {_lengths(view, cells)}"


def _lengths(view: View, cells: pd.DataFrame) -> str:
    trained = fmt.span([*cells.train_low, *cells.train_high])
    tested = [length for question in view.questions for length in question.lengths]
    if not tested:
        return f"Models see lengths {trained} in training; none has been evaluated yet."
    samples = fmt.span(question.samples for question in view.questions)
    evaluated = f"were evaluated at lengths {fmt.span(tested)}, {samples} samples each"
    return f"Models saw lengths {trained} in training and {evaluated}."


def warnings(view: View) -> list[str]:
    """Say what makes the numbers provisional or unequal."""
    cells = view.cells[view.cells.status != "not applicable"]
    found = []
    missing, stale = int((cells.status == "missing").sum()), int(cells.stale.sum())
    if missing:
        found.append(f"This run is not complete: {missing:,} of {len(cells):,} models are still to be trained.")
    if stale:
        found.append(f"{fmt.plural(stale, 'model')} (marked *) were trained by an earlier version of the code.")
    trials = cells.groupby(["task", "architecture"]).size().groupby("task").nunique()
    unequal = sorted(trials.index[trials > 1])
    if unequal:
        found.append(f"Architectures had different numbers of trials on {', '.join(map(str, unequal))}.")
    edges, chosen = int(view.rates.edge.sum()), int(view.rates.chosen.sum())
    if edges:
        found.append(f"{edges} of {chosen} chosen learning rates lie at the edge of their grid (‡).")
    return found


def provenance(view: View) -> list[tuple[str, list[str]]]:
    """Return everything needed to run this again, as (name, lines)."""
    meta, done = view.meta, view.cells[view.cells.status == "done"]
    versions = meta.get("versions") or {}
    facts: dict[str, Any] = {
        "created": [meta.get("created")],
        "command": meta.get("command") or [],
        "git": [meta.get("git"), *_differing(done.git, meta.get("git"))],
        "versions": [", ".join(f"{name} {version}" for name, version in versions.items())],
        "devices": _counts(done.device),
        "kernels": _counts(done.kernel),
        "number format": _counts(done.dtype),
        "runs": _counts(done.run),
        "time": [_time(done)],
    }
    return [(name, lines) for name, values in facts.items() if (lines := [str(value) for value in values if value])]


def _counts(values: pd.Series) -> list[str]:
    return [f"{value} ({fmt.plural(count, 'model')})" for value, count in values[values != ""].value_counts().items()]


def _differing(values: pd.Series, expected: str | None) -> list[str]:
    return [line for line in _counts(values) if not expected or not line.startswith(expected)]


def _time(done: pd.DataFrame) -> str:
    if done.train_seconds.isna().all():
        return ""
    train, evaluate = fmt.seconds(done.train_seconds.sum()), fmt.seconds(done.evaluate_seconds.sum())
    return f"{train} of training and {evaluate} of evaluation, summed over models"
