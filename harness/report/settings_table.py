"""The table of training settings: how the models of each task were trained."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.config.recipe import LATER_KEYS
from harness.report import number_format as fmt
from harness.report.captions import Table
from harness.report.results import Results

COLUMNS = {
    "lengths": lambda recipe: _lengths(recipe),
    "most steps": lambda recipe: fmt.count(recipe["steps"]),
    "stages": lambda recipe: recipe["stages"] or "right answers",
    "stops": lambda recipe: _stops(recipe),
    "batch": lambda recipe: _batch(recipe),
    "answer": lambda recipe: f"{recipe['answer'] or 'as the task'}{', start token' if recipe['begin'] else ''}",
    "optimizer": lambda recipe: _optimizer(recipe),
    "schedule": lambda recipe: f"{recipe['schedule']}, {fmt.count(recipe['warmup'])} warm-up steps",
    "clip": lambda recipe: f"{recipe['clip']:g}" if recipe["clip"] else "none",
}


def settings_table(results: Results) -> Table:
    """Return the training settings of each task, next to the learning rates that were tried."""
    rows = []
    for task in (task for task in results.tasks if task in results.meta.recipes):
        recipe = LATER_KEYS | dict(results.meta.recipes[task])
        rates = sorted(set(results.rates.learning_rate[results.rates.task == task].dropna()))
        settings = {name: write(recipe) for name, write in COLUMNS.items()}
        rows.append({"task": task, **settings, "learning rates": ", ".join(f"{rate:g}" for rate in rates)})
    caption = (
        "A model that has fitted stops after the grace, a share of the most steps, in which its learning rate falls to "
        "zero. All other models take the most steps."
    )
    frame = pd.DataFrame(rows)
    return Table("settings", "How the models were trained", caption, frame, frame)


def _lengths(recipe: Mapping[str, Any]) -> str:
    ratio = recipe["length_ratio"]
    drawn = "" if ratio == 1 else f", each length {ratio:g} times as often as the one below"
    uniform = ", uniform" if ratio == 1 else ""
    growth = {"none": uniform, "steps": ", growing by steps", "mastery": ", growing by mastery"}
    share = f", {recipe['full_range_share']:.0%} of the steps from all" if recipe["full_range_share"] else ""
    return f"{recipe['train_lengths']}{growth[recipe['length_growth']]}{share}{drawn}"


def _batch(recipe: Mapping[str, Any]) -> str:
    fixed = f", out of {fmt.count(recipe['distinct'])} fixed sequences" if recipe["distinct"] else ""
    return f"{fmt.count(recipe['batch_size'])}{fixed}"


def _stops(recipe: Mapping[str, Any]) -> str:
    return f"fitted, grace {recipe['grace']:.0%}" if recipe["stop_when_fitted"] else "at the end"


def _optimizer(recipe: Mapping[str, Any]) -> str:
    decay = f", weight decay {recipe['weight_decay']:g}" if recipe["weight_decay"] else ""
    return f"{recipe['optimizer']}{decay}"
