"""The tables of what a run took and what went wrong: cost, learning rates, problems."""

from collections.abc import Mapping
from math import isinf
from typing import Any

import pandas as pd

from harness.report import number_format as fmt
from harness.report.captions import SELECTION, Table
from harness.report.results import View

COSTS = ("parameters", "tokens_per_second", "train_seconds", "short_bytes", "long_bytes")
STATE = "State is what one sequence carries while decoding, after that many tokens."


def cost_table(view: View) -> Table:
    """Return what each architecture costs, over all tasks."""
    data = _ran(view)
    rows = []
    for architecture in view.architectures:
        own = data[data.architecture == architecture]
        if len(own):
            rows.append({"architecture": architecture, **_costs(own, data)})
    return Table("cost", "Cost", f"Medians over tasks and seeds. {STATE} {devices(view)}", pd.DataFrame(rows), data)


def _costs(own: pd.DataFrame, data: pd.DataFrame) -> dict[str, str]:
    """Write what some rows cost; all of ``data`` names the lengths at which state was measured."""
    short, long = (f"state at {fmt.span(data[f'{end}_length'])}" for end in ("short", "long"))
    return {
        "parameters": fmt.span_of(fmt.count, own.parameters),
        "tokens/s": fmt.count(own.tokens_per_second.median()),
        "time a cell": fmt.seconds(own.train_seconds.median()),
        short: fmt.size(own.short_bytes.median()),
        long: fmt.size(own.long_bytes.median()),
    }


def _ran(view: View) -> pd.DataFrame:
    """The main rows of the summary with some cost in them."""
    names = ["architecture", "task", *COSTS, "short_length", "long_length"]
    data = view.summary.reindex(columns=[*names, "variant", "done"])
    return data.loc[(data.variant == "") & (data.done > 0) & data[list(COSTS)].notna().any(axis=1), names]


def devices(view: View) -> str:
    """Say where speeds were measured."""
    names = sorted(set(view.cells.device[view.cells.status == "done"]) - {""})
    several = " Speeds on different devices cannot be compared." if len(names) > 1 else ""
    return f"Measured on {', '.join(names) or 'an unrecorded device'}.{several}"


def cost_by_task_table(view: View) -> Table:
    """Return what each architecture cost on each task."""
    data = _ran(view)
    done = view.selected[view.selected.status == "done"]
    used = done.groupby(["architecture", "task"])[["steps_used", "steps", "distinct"]].median().reset_index()
    data = data.merge(used, how="left")
    rows = []
    for task in view.tasks:
        own = data[data.task == task].set_index("architecture")
        for name in (name for name in view.architectures if name in own.index):
            row = own.loc[[name]]
            steps = f"{fmt.count(row.steps_used.iloc[0])} of {fmt.count(row.steps.iloc[0])}"
            inputs = {"steps used": steps, "distinct inputs": fmt.score(row.distinct.iloc[0])}
            rows.append({"task": task, "architecture": name, **_costs(row, data), **inputs})
    caption = f"Medians over seeds. Distinct inputs: as a share of all drawn in training. {STATE} {devices(view)}"
    return Table("cost-by-task", "Cost by task", caption, pd.DataFrame(rows), data, ("task",))


def rates_table(view: View) -> Table:
    """Return validation at every learning rate, the chosen one marked."""
    data = view.rates.dropna(subset="learning_rate")
    rates, rows = sorted(data.learning_rate.unique()), []
    for task in view.tasks:
        for architecture in view.architectures:
            own = data[(data.task == task) & (data.architecture == architecture)]
            if len(own):
                cells = {row["learning_rate"]: _rate(row) for row in own.to_dict("records")}
                named = {f"{rate:g}": cells.get(rate, "") for rate in rates}
                rows.append({"task": task, "architecture": architecture, **named})
    caption = (
        "Mean exact match (and loss) on validation data at training lengths, over seeds, by learning rate. ▸ chosen; "
        f"‡ at the edge of its grid, so a better rate may lie outside. A failed seed counts as 0. {SELECTION}"
    )
    return Table("learning-rates", "Learning rates", caption, pd.DataFrame(rows), view.rates, ("task",))


def _rate(row: Mapping[Any, Any]) -> str:
    if not row["seeds"]:
        return "not run"
    mark = ("▸ " if row["chosen"] else "") + fmt.score(row["validation_exact"], 3) + ("‡" if row["edge"] else "")
    loss = "" if isinf(row["validation_loss"]) else f" (loss {row['validation_loss']:.2g})"
    return mark + loss + (f", {row['failed']:g} failed" if row["failed"] else "")


def problems_table(view: View) -> Table:
    """Return what was not trained, failed, ended early or is out of date, with reasons."""
    cells, summary = view.cells, view.summary
    found: list[tuple[Any, ...]] = [("not applicable", *pair, "", why) for pair, why in view.not_applicable.items()]
    for status in ("failed", "missing"):
        rows = cells[cells.status == status]
        for (*pair, why), own in rows.groupby(["architecture", "task", "reason"], sort=False):
            found.append((status, *pair, _which(own), why))
    for (a, t), own in cells[cells.stale].groupby(["architecture", "task"], sort=False):
        found.append(("stale", a, t, _which(own), "the code has changed since"))
    if len(summary):
        ended = summary[(summary.status == "ok") & (summary.ended != "")]
        found += [("ended early", r.architecture, r.task, r.variant, r.ended) for r in ended.itertuples()]
    frame = pd.DataFrame(found, columns=["what", "architecture", "task", "which", "why"])
    caption = "Pairs that cannot be asked, cells that failed or are missing, evaluations that ended early."
    return Table("problems", "Failures and what was not run", caption, frame, frame, ("what",))


def _which(cells: pd.DataFrame) -> str:
    """Name cells by seed and learning rate."""
    named: dict[str, list[str]] = {}
    for rate, seed in sorted(zip(cells.learning_rate, cells.seed, strict=True)):
        named.setdefault(fmt.number(rate), []).append(fmt.number(seed))
    return "; ".join(f"seed {', '.join(seeds)} at {rate}" for rate, seeds in named.items())
