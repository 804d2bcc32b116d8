"""Tables and sentences that compare two runs of one suite."""

import pandas as pd

from harness.analysis.differences import BETTER, SMALLEST, UNJUDGED, WORSE
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

RULE = (
    "Scores are the mean over seeds of the exact match beyond training, over the lengths that both runs have; a failed "
    "seed counts as 0. A pair is worse if the interval of the difference lies below zero and the loss is at least "
    f"{SMALLEST:g}, and better likewise. Intervals are Welch's t intervals that hold together for all pairs with 95 % "
    "confidence (Bonferroni)."
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


def differences_table(differences: pd.DataFrame) -> Table:
    """Return the pairs that got worse or better; ``differences`` is the frame of ``compare_seeds``."""
    changed = differences[differences.change.isin([WORSE, BETTER])].sort_values("difference")
    rows = [
        {
            "task": row["task"],
            "architecture": row["architecture"],
            "first run": fmt.score(row["first"]),
            "second run": fmt.score(row["second"]),
            "difference": f"{row['difference']:+.2f}",
            "its interval": _interval(row["low"], row["high"]),
            "change": row["change"],
        }
        for row in changed.to_dict("records")
    ]
    return Table("differences", "Pairs that got worse or better", RULE, pd.DataFrame(rows), differences)


def worse_sentences(differences: pd.DataFrame) -> list[str]:
    """Return a line for each pair that got worse."""
    rows = differences[differences.change == WORSE].sort_values("difference").to_dict("records")
    return [
        f"worse: {row['architecture']} on {row['task']}: {fmt.score(row['first'])} to {fmt.score(row['second'])}, "
        f"difference {row['difference']:+.2f} {_interval(row['low'], row['high'])}"
        for row in rows
    ]


def changes_sentence(differences: pd.DataFrame) -> str:
    """Say how many pairs got worse, better, or could not be judged."""
    counts = differences.change.value_counts()
    worse, better, unjudged = (int(counts.get(change, 0)) for change in (WORSE, BETTER, UNJUDGED))
    text = f"Of {fmt.plural(len(differences), 'pair')} {worse} got worse and {better} got better"
    few = f"; {unjudged} of them {'has' if unjudged == 1 else 'have'} too few seeds to be judged"
    return f"{text}{few if unjudged else ''}. {RULE}"


def _interval(low: float, high: float) -> str:
    return f"[{low:+.2f}, {high:+.2f}]"
