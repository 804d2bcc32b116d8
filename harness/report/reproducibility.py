"""Tables that compare two runs of one suite with different seeds."""

import pandas as pd

from harness.analysis.reproducibility import compare_tasks
from harness.report import number_format as fmt
from harness.report.captions import Table

CAPTION = (
    "Rank correlation is Spearman's, over architectures, of the median exact match beyond training lengths; equal "
    "scores have their mean rank. It is left out where all architectures of a run score the same. The largest "
    "difference is that of the two medians. The verdict on a pair is 'solved' if at least half of the seeds solve all "
    "evaluated lengths, 'fits but does not generalize' if at least half solve the training lengths, and 'does not fit' "
    "otherwise."
)


def tasks_table(pairs: pd.DataFrame) -> Table:
    """Return agreement by task; ``pairs`` is the frame of ``compare_pairs``."""
    data = compare_tasks(pairs)
    rows = [
        {
            "task": row["task"],
            "rank correlation": fmt.score(row["correlation"]),
            "largest difference": f"{fmt.score(row['difference'])} {row['largest']}".strip(),
            "same verdict": f"{row['same']} of {row['architectures']}",
        }
        for row in data.to_dict("records")
    ]
    return Table("reproducibility", "Agreement of two runs", CAPTION, pd.DataFrame(rows), data)


def changed_table(pairs: pd.DataFrame) -> Table:
    """Return the pairs whose verdict differs; may be empty."""
    changed = pairs[~pairs.same]
    rows = [
        {
            "task": row["task"],
            "architecture": row["architecture"],
            "first run": f"{row['verdict_first']} ({fmt.score(row['exact_first'])})",
            "second run": f"{row['verdict_second']} ({fmt.score(row['exact_second'])})",
        }
        for row in changed.to_dict("records")
    ]
    caption = "In brackets is the median exact match beyond training lengths."
    return Table("changed-verdicts", "Pairs whose verdict differs", caption, pd.DataFrame(rows), changed)


def agreement_sentence(pairs: pd.DataFrame) -> str:
    """Say how many pairs have the same verdict, and give the mean rank correlation over the tasks that have one."""
    same, n = int(pairs.same.sum()), fmt.plural(len(pairs), "pair")
    correlations = compare_tasks(pairs).correlation.dropna()
    mean = f" The mean rank correlation over {fmt.plural(len(correlations), 'task')} is {correlations.mean():.2f}."
    return f"{same:,} of {n} have the same verdict ({same / len(pairs):.0%}).{mean if len(correlations) else ''}"
