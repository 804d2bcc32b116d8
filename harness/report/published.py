"""Published numbers next to those of a run, where the protocol matches in kind, with its differences named.

``published.csv`` has one row for each published number: its source and the place in it, our task and architecture, the
measure, the lengths of training and of the test, the steps of training, how the number was selected, and its value. A
number is matched to the architectures of a run that have the same name and at least its options. Of a run, the median
over seeds is shown over the lengths that were tested in the published range, or over all lengths beyond training where
there are fewer than two.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from harness.analysis.estimators import intervals, mean_over_lengths, median_weights
from harness.analysis.schema import is_scored
from harness.report import number_format as fmt
from harness.report.captions import Table, selection
from harness.report.results import Results, TaskResult

FILE = Path(__file__).with_suffix(".csv")
MEASURES = {"exact": "exact match", "token": "token accuracy"}
CAPTION = (
    "Published numbers of the same task, architecture and measure. None has the protocol of this run, so a difference "
    "is no failure to reproduce: read the differences first. Here is the median over seeds with its 95% bootstrap "
    "interval, in round brackets where fewer than half of the seeds fit. It is a mean over the tested lengths in the "
    "published range, or over all lengths beyond training where fewer than two were tested in that range. "
)


@cache
def published_numbers() -> pd.DataFrame:
    """Return the rows of ``published.csv``."""
    return pd.read_csv(FILE)


def published_table(results: Results) -> Table:
    """Return one row for each published number that the run has a counterpart of; may be empty."""
    data = pd.DataFrame(list(_matches(results)))
    rows = [_texts(row) for row in data.to_dict("records")]
    caption = f"{CAPTION}{selection(results)}"
    return Table("published", "Published numbers", caption, pd.DataFrame(rows), data, ("source",), labels=2)


def _matches(results: Results) -> Iterator[dict[Any, Any]]:
    """Yield each published number with the numbers of this run."""
    by_task = {result.title: result for result in results.main_results}
    for row in published_numbers().to_dict("records"):
        for title, result in by_task.items():
            if _name(title) != row["task"]:
                continue
            for name in results.architectures:
                cell = results.table_cell(name, result)
                if cell.has_scores and any(is_kind(name, pattern) for pattern in row["architecture"].split("|")):
                    numbers = _measured(results, result, name, row)
                    yield {**row, "here_task": title, "here": name, "fits": cell.fits, **numbers}


def is_kind(label: str, pattern: str) -> bool:
    """Whether an architecture has the name and at least the options of a pattern.

    >>> is_kind("transformer:position=none,width=64", "transformer:position=none"), is_kind("lstm", "lstm:depth=1")
    (True, False)
    """
    (name, _, given), (wanted, _, needed) = label.partition(":"), pattern.partition(":")
    return name == wanted and set(filter(None, needed.split(","))) <= set(given.split(","))


def _name(title: str) -> str:
    """Return the catalog's name in the label of a task."""
    return title.partition(" ")[0].partition(":")[0].partition("@")[0]


def _measured(results: Results, result: TaskResult, name: str, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the median over seeds and its interval, the lengths behind it, and how this run was trained."""
    low, high = map(float, row["test_lengths"].split("-"))
    seeds = results.seeds_of(result)
    seeds = seeds[(seeds.architecture == name) & seeds.length.isin(result.beyond) & is_scored(seeds.status)]
    inside = seeds[seeds.length.between(low, high)]
    rows = inside if inside.length.nunique() > 1 else seeds
    by_seed = [
        mean_over_lengths(of_one.length, of_one[row["measure"]])
        for _, of_one in rows.sort_values("length").groupby("cell")
    ]
    cells = results.selected[(results.selected.architecture == name) & (results.selected.task == result.task)]
    by_seed += [0.0] * int((cells.status == "failed").sum()) if by_seed else []
    ends = intervals([by_seed], median_weights) if by_seed else ((float("nan"),), (float("nan"),))
    return {
        "median": float(pd.Series(by_seed, dtype=float).median()),
        "low": float(ends[0][0]),
        "high": float(ends[1][0]),
        "seeds": len(by_seed),
        "here_train": fmt.span(result.train),
        "here_test": fmt.span(rows.length),
        "here_steps": cells.steps_used.max(),
    }


def _texts(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return the texts of one row."""
    here = fmt.score(row["median"])
    return {
        "source": f"{row['source']} ({row['paper']}), {row['place']}",
        "task": row["here_task"],
        "architecture": row["here"],
        "measure": MEASURES[row["measure"]],
        "published": fmt.score(row["value"], 3),
        "here": (here if row["fits"] else f"({here})") + fmt.interval(row["low"], row["high"]),
        "differences": "; ".join(_differences(row)),
    }


def _differences(row: Mapping[Any, Any]) -> Iterator[str]:
    """Yield each difference between the published protocol and that of the run, the run's first."""
    for name in ("train", "test"):
        published = row[f"{name}_lengths"].replace("-", "–")
        if row[f"here_{name}"] != published:
            yield f"{'trained' if name == 'train' else 'tested'} on {row[f'here_{name}']}, not {published}"
    yield f"{fmt.count(row['here_steps'])} steps, not {fmt.count(row['steps'])}"
    yield f"median of {fmt.plural(row['seeds'], 'seed')}, not {row['selection']}"
    if "Transformer encoder" in row["published_name"] and row["here"].partition(":")[0] == "transformer":
        yield "a causal decoder, not an encoder with the best of five position encodings"
