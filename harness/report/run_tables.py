"""Tables about the run itself: cost and problems."""

from itertools import groupby
from typing import Any

import pandas as pd

from harness.analysis.statistics import is_tuning
from harness.config.cell import TUNING_SEED
from harness.report import number_format as fmt
from harness.report.captions import Table
from harness.report.results import Results

COSTS = ("parameters", "tokens_per_second", "train_seconds", "short_bytes", "long_bytes")
STATE = "State is the size of the decoding state of one sequence after that many tokens."


def cost_table(results: Results) -> Table:
    """Return the cost of each architecture over all tasks."""
    data = _cost_rows(results)
    rows, states = [], _state_columns(data)
    for architecture in results.architectures:
        own_rows = data[data.architecture == architecture]
        if len(own_rows):
            rows.append({"architecture": architecture, **_cost_texts(own_rows, states)})
    caption = f"Numbers are medians over tasks and seeds. {STATE} {devices(results)}"
    return Table("cost", "Cost", caption, pd.DataFrame(rows), data)


def _state_columns(data: pd.DataFrame) -> tuple[str, str]:
    """Return the titles of the columns of state bytes, which name the lengths in all rows."""
    return f"state at {fmt.span(data.short_length)}", f"state at {fmt.span(data.long_length)}"


def _cost_texts(rows: pd.DataFrame, states: tuple[str, str]) -> dict[str, str]:
    """Return the cost of some rows as text; ``states`` are the titles of the columns of state bytes."""
    short, long = states
    return {
        "parameters": fmt.span_of(fmt.count, rows.parameters),
        "tokens/s": fmt.count(rows.tokens_per_second.median()),
        "time a cell": fmt.seconds(rows.train_seconds.median()),
        short: fmt.size(rows.short_bytes.median()),
        long: fmt.size(rows.long_bytes.median()),
    }


def _cost_rows(results: Results) -> pd.DataFrame:
    """Return the main rows of the summary that have any recorded cost."""
    names = ["architecture", "task", *COSTS, "short_length", "long_length"]
    data = results.summary.reindex(columns=[*names, "variant", "done"])
    return data.loc[(data.variant == "") & (data.done > 0) & data[list(COSTS)].notna().any(axis=1), names]


def devices(results: Results) -> str:
    """Say on which devices speed was measured."""
    names = sorted(set(results.cells.device[results.cells.status == "done"]) - {""})
    warning = " Speeds on different devices cannot be compared." if len(names) > 1 else ""
    return f"Measured on {', '.join(names) or 'an unrecorded device'}.{warning}"


def cost_by_task_table(results: Results) -> Table:
    """Return the cost of each architecture on each task."""
    data = _cost_rows(results)
    done = results.selected[results.selected.status == "done"]
    used = done.groupby(["architecture", "task"]).distinct.median().reset_index()
    data = data.merge(used, how="left")
    rows, states = [], _state_columns(data)
    for task in results.tasks:
        by_name = data[data.task == task].set_index("architecture")
        for name in (name for name in results.architectures if name in by_name.index):
            row = by_name.loc[[name]]
            inputs = {"distinct inputs": fmt.score(row.distinct.iloc[0])}
            rows.append({"task": task, "architecture": name, **_cost_texts(row, states), **inputs})
    caption = (
        "Numbers are medians over seeds. Distinct inputs is the share of distinct inputs among all inputs drawn in "
        f"training. {STATE} {devices(results)}"
    )
    return Table("cost-by-task", "Cost by task", caption, pd.DataFrame(rows), data, ("task",))


def problems_table(results: Results) -> Table:
    """Return what was not trained, failed, ended early or is out of date, with reasons."""
    cells, summary = results.cells, results.summary
    rows: list[tuple[Any, ...]] = [("not applicable", *pair, "", why) for pair, why in results.not_applicable.items()]
    for status in ("failed", "missing"):
        groups = cells[cells.status == status].groupby(["architecture", "task", "reason"], sort=False)
        rows += [(status, *pair, _which(group), why) for (*pair, why), group in groups]
    for pair, group in cells[cells.stale].groupby(["architecture", "task"], sort=False):
        rows.append(("stale", *pair, _which(group), "the code has changed since"))
    if len(summary):
        ended = summary[(summary.status == "ok") & (summary.ended != "")]
        rows += [("ended early", r.architecture, r.task, r.variant, r.ended) for r in ended.itertuples()]
    for key, lengths in results.not_finite.items():
        rows.append(("not finite", *key, f"logits at {', '.join(map(fmt.number, lengths))}"))
    frame = pd.DataFrame(rows, columns=["what", "architecture", "task", "which", "why"])
    caption = (
        "Pairs that are not applicable, cells that failed or are missing, cells trained by an earlier version of the "
        "code, evaluations that ended early, and lengths at which logits were not finite."
    )
    return Table("problems", "Failures and what was not run", caption, frame, frame, ("what",))


def _which(cells: pd.DataFrame) -> str:
    """Name cells by seed and learning rate."""
    seeds_by_rate: dict[str, list[str]] = {}
    for rate, seed, tuning in sorted(zip(cells.learning_rate, cells.seed, is_tuning(cells), strict=True)):
        name = f"tuning seed {seed - TUNING_SEED:.0f}" if tuning else f"seed {seed:.0f}"
        seeds_by_rate.setdefault(fmt.number(rate), []).append(name)
    return "; ".join(f"{_joined(seeds)} at {rate}" for rate, seeds in seeds_by_rate.items())


def _joined(names: list[str]) -> str:
    """Join the names of seeds, with the word in front once for neighbours of one kind."""
    groups = groupby(names, key=lambda name: name.rpartition(" ")[0])
    return ", ".join(f"{word} {', '.join(name.rpartition(' ')[2] for name in same)}" for word, same in groups)
