"""Pairs that did not fit: a table that shows what training they were given.

A low score beyond training says nothing about a pair that did not learn its training lengths. So the report lists the
best validation score at any learning rate, the window of rates, the budget and the loss of each such pair.
"""

from math import isnan

import pandas as pd

from harness.analysis.statistics import FITTED_SHARE, PAIR
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.rate_tables import explained_window, pair_window
from harness.report.results import Results

FEW = f"fewer than {FITTED_SHARE:.0%} of the reported seeds fit their training lengths"


def unfitted_table(results: Results) -> Table:
    """Return a row for each pair of which fewer than ``FITTED_SHARE`` of the reported seeds fit; may be empty."""
    data = unfitted_pairs(results)
    by_pair = {(row["architecture"], row["task"]): row for row in data.to_dict("records")}
    rows = []
    for task in results.tasks:
        for name in (name for name in results.architectures if (name, task) in by_pair):
            row = by_pair[name, task]
            best = f"{fmt.score(row['best'], 3)} at {fmt.number(row['best_rate'])}"
            texts = {"fit": f"{row['fitted']:g}/{row['seeds']:g}", "best validation": best}
            if len(results.windows):
                texts["window"] = pair_window(results, name, task)
            texts |= {"budget in steps": fmt.count(row["steps"]), "final loss": _loss(row["final_loss"])}
            rows.append({"task": task, "architecture": name, **texts})
    caption = (
        f"Pairs of architecture and task of which {FEW}. Best validation is the highest mean exact match at training "
        "lengths over the learning rates that were tried, with its rate; the budget is the number of steps of a seed "
        f"that does not fit; the final loss is the median over seeds. {explained_window(results)}{selection(results)}"
    )
    return Table("unfitted", "Pairs that did not fit", caption, pd.DataFrame(rows), data, ("task",))


def _loss(value: float) -> str:
    return fmt.NOTHING if isnan(value) else f"{value:.2g}"


def unfitted_pairs(results: Results) -> pd.DataFrame:
    """Return one row per pair that did not fit.

    Columns: ``seeds`` that were evaluated or failed, ``fitted`` of them, the ``best`` mean exact match in validation,
    its ``best_rate``, the budget ``steps`` and the median ``final_loss``.
    """
    shares = results.fit_shares
    few = shares[shares.share < FITTED_SHARE]
    rates = results.rates[results.rates.seeds > 0].sort_values("learning_rate", kind="stable")
    best = rates.sort_values("validation_exact", ascending=False, kind="stable").drop_duplicates(PAIR)
    best = best[[*PAIR, "validation_exact", "learning_rate"]].set_axis([*PAIR, "best", "best_rate"], axis=1)
    trained = results.progress.groupby(PAIR).agg(steps=("steps", "max"), final_loss=("final_loss", "median"))
    return few.merge(best, on=PAIR, how="left").merge(trained.reset_index(), on=PAIR, how="left")
