"""The data of the page: everything that its scripts show, as one JSON."""

from typing import Any

from harness.analysis.estimators import INTERVAL_SEEDS
from harness.report.captions import Table
from harness.report.page.attention import attention_rows
from harness.report.page.commands import architecture_options, task_options
from harness.report.page.comparisons import comparison_rows
from harness.report.page.costs import cost_rows, state_rows
from harness.report.page.encoding import LOSS, SCORE, Shared, by_column
from harness.report.page.errors import error_rows
from harness.report.page.scores import pair_rows, score_rows, task_rows
from harness.report.page.training import cell_rows, checkpoint_rows, rate_rows
from harness.report.recipe_tables import compared_tasks
from harness.report.results import Results
from harness.report.table_cell import MARKS


def payload(results: Results, tables: list[Table]) -> dict[str, Any]:
    """Return the data of the page; rows are stored by column and name architectures and tasks by their places."""
    steps = Shared()
    cells = cell_rows(results, steps)
    places = {row["cell"]: place for place, row in enumerate(cells)}
    rows = {
        "architectures": architecture_rows(results),
        "tasks": [
            row | {"command": task_options(results, result)}
            for row, result in zip(task_rows(results), results.task_results, strict=True)
        ],
        "pairs": pair_rows(results),
        "cells": cells,
        "scores": score_rows(results, places),
        "rates": rate_rows(results),
        "checkpoints": checkpoint_rows(results),
        "costs": cost_rows(results),
        "states": state_rows(results),
        "attention": attention_rows(results),
        "recipes": recipe_rows(results),
        **comparison_rows(results, tables)._asdict(),
        "errors": error_rows(results),
    }
    constants = {"score": SCORE, "loss": LOSS, "intervalSeeds": INTERVAL_SEEDS, "marks": MARKS, "steps": steps.lists}
    return {
        **{name: by_column(of_name) for name, of_name in rows.items()},
        **constants,
        "tables": {table.name: table_columns(table) for table in tables},
    }


def recipe_rows(results: Results) -> list[dict[str, Any]]:
    """Return the tasks that were trained in several ways: the names of the recipes, and the places of their rows."""
    places = {result.task: place for place, result in enumerate(results.task_results) if not result.variant}
    return [
        {"base": base, "names": list(tasks), "tasks": [places[task] for task in tasks.values()]}
        for (base, _), tasks in compared_tasks(results).items()
    ]


def architecture_rows(results: Results) -> list[dict[str, Any]]:
    """Return name, family, parameters and command of each architecture."""
    cells = results.cells.drop_duplicates("architecture").set_index("architecture")
    names, places = cells.name.to_dict(), results.meta.catalog_places
    families = cells.family.to_dict()
    return [
        {"name": name, "family": families.get(name) or "other", "command": architecture_options(results, name)}
        | {"place": places.get(names.get(name, ""), len(places))}
        for name in results.architectures
    ]


def table_columns(table: Table) -> dict[str, Any]:
    """Return a table as text, by column; a column in which few values recur holds places in the list of its values."""
    columns = []
    for name in table.frame:
        texts = [str(text) for text in table.frame[name]]
        distinct = list(dict.fromkeys(texts))
        places = {text: place for place, text in enumerate(distinct)}
        coded = 2 * len(distinct) < len(texts)
        column: dict[str, Any] = {"name": str(name), "texts": distinct if coded else texts}
        columns.append(column | ({"places": [places[text] for text in texts]} if coded else {}))
    return {"title": table.title, "caption": table.caption, "group": list(table.group), "columns": columns}
