"""Rows of the page about architectures over all tasks: mean ranks, groups that cannot be told apart, and pairs."""

from typing import Any, NamedTuple

from harness.analysis.comparisons import rank_groups
from harness.report.captions import Table
from harness.report.results import Results

PAIR_NUMBERS = ("probability", "difference")


class Comparisons(NamedTuple):
    """Rows of the payload; ``a`` and ``b`` are places of architectures."""

    ranks: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]


def comparison_rows(results: Results, tables: list[Table]) -> Comparisons:
    """Return the rows from the data of the tables of ranks and pairs, which are computed once."""
    data = {table.name: table.data for table in tables}
    ranks, pairs = data.get("ranks"), data.get("comparisons")
    places = {name: place for place, name in enumerate(results.architectures)}
    compared = [] if pairs is None else pairs.to_dict("records")
    ranked = [] if ranks is None else ranks.to_dict("records")
    groups = rank_groups(ranks, pairs) if ranked and compared and ranks is not None and pairs is not None else []
    ends = [f"{name}{end}" for name in PAIR_NUMBERS for end in ("", "_low", "_high")]
    return Comparisons(
        [{"a": places[row["architecture"]], "rank": row["rank"], "tasks": row["tasks"]} for row in ranked],
        [{"first": first, "last": last} for first, last in groups],
        [
            {"a": places[row["better"]], "b": places[row["other"]], "tasks": row["tasks"], "p": row["p"]}
            | {name: row[name] for name in ends}
            for row in compared
        ],
    )
