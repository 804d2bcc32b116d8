"""Tables of runs on fixed training sets of several sizes: the scores by size, and the smallest size that is enough."""

from math import isnan, nan
from typing import Any

import pandas as pd

from harness.analysis.sample_efficiency import base_name, enough_sequences, kappas, settings
from harness.analysis.statistics import PAIR
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results


def sizes_table(results: Results) -> Table:
    """Return the scores of every architecture by the size of its training set; new sequences in each step come last."""
    recipes, rows = results.meta.recipes, []
    sizes = {task: recipes.get(task, {}).get("distinct", 0) for task in results.tasks}
    groups = {task: (base_name(task), settings(recipes[task], "distinct")) for task in results.tasks if task in recipes}
    swept = {groups[task] for task, size in sizes.items() if size}
    ordered = sorted((task for task in groups if groups[task] in swept), key=lambda task: sizes[task] or float("inf"))
    for architecture in results.architectures:
        for result in (result for task in ordered for result in results.main_results if result.task == task):
            cell = results.table_cell(architecture, result)
            if cell.has_scores:
                size = fmt.count(sizes[result.task]) if sizes[result.task] else "new in each step"
                row = {"task": groups[result.task][0], "lengths": f"{recipes[result.task]['train_lengths']}"}
                row |= {"architecture": architecture, "sequences": size, "fit": cell.fit_text}
                rows.append(row | {"exact match beyond": cell.score_text("exact")})
    caption = (
        "Sequences is the size of the fixed set of sequences that the rows of all batches are drawn from. Whether a "
        f"model fits is measured on other sequences. {selection(results)}"
    )
    frame = pd.DataFrame(rows)
    return Table("training-set-sizes", "Scores by the size of the training set", caption, frame, frame, ("task",))


def enough_table(results: Results) -> Table:
    """Return N* of every architecture and task, and kappa where all single lengths were trained on too."""
    thresholds = enough_sequences(results.fit_shares[[*PAIR, "seeds", "fitted"]], results.meta.recipes)
    known = {(row["architecture"], row["task"], row["lengths"]): row["kappa"] for row in _rows(kappas(thresholds))}
    rows = [
        {
            "task": row["task"],
            "lengths": row["lengths"],
            "architecture": row["architecture"],
            "N*": _count(row["enough"], "more"),
            "not enough": _count(row["too_few"], fmt.NOTHING),
            "sizes": ", ".join(map(fmt.count, row["sizes"])),
            "seeds": fmt.count(row["seeds"]),
            "kappa": fmt.score(known.get((row["architecture"], row["task"], row["lengths"]), nan)),
        }
        for row in _rows(thresholds)
    ]
    caption = (
        "N* is the smallest training set with which at least one seed fits, among the sizes that were tried; it falls "
        "with the number of seeds. Not enough is the largest smaller size with which none does. Kappa is the sum of N* "
        "over models trained on one length each, divided by N* of the model trained on all of them (arXiv 2602.18333): "
        "above 1, lengths help each other."
    )
    frame = pd.DataFrame(rows)
    return Table("enough-sequences", "How many training sequences are enough", caption, frame, frame, ("task",))


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.to_dict("records")


def _count(value: float, otherwise: str) -> str:
    return otherwise if isnan(value) else fmt.count(value)
