"""Published numbers: the data name what exists, and each is shown next to the run with its differences."""

import doctest
import re

import pytest
from factories import made_run

import harness.report.published
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.report.published import published_numbers, published_table
from harness.report.results import Results


def test_the_data_name_tasks_and_architectures_of_the_catalog() -> None:
    catalog, numbers = Catalog(), published_numbers()
    for row in numbers.to_dict("records"):
        Spec.parse("task", row["task"], catalog)
        for pattern in row["architecture"].split("|"):
            Spec.parse("architecture", pattern, catalog)
        assert 0 <= row["value"] <= 1
        assert row["measure"] in ("exact", "token")
        assert re.fullmatch(r"arXiv \d{4}\.\d{5}", row["paper"])
        assert all(re.fullmatch(r"\d+-\d+", row[f"{name}_lengths"]) for name in ("train", "test"))
    assert not numbers.duplicated(["source", "task", "architecture", "test_lengths"]).any()
    assert not numbers.isna().any().any()


def test_a_number_stands_next_to_the_run_with_the_differences() -> None:
    results = Results.of(*made_run(("lstm", "mamba"), ("parity", "reverse"), 5, (0.001,), (1000,)))
    table = published_table(results)
    assert table.frame.architecture.tolist() == ["lstm", "lstm"]
    row = table.frame.set_index("task").loc["parity"]
    assert row.published == "1.000"
    seeds = results.seeds[(results.seeds.architecture == "lstm") & (results.seeds.task == "parity")]
    inside = seeds[seeds.length.between(41, 500)].pivot(index="cell", columns="length", values="token")
    lengths = inside.columns.to_numpy()
    means = ((inside.to_numpy()[:, 1:] + inside.to_numpy()[:, :-1]) / 2 @ (lengths[1:] - lengths[:-1])) / (
        lengths[-1] - lengths[0]
    )
    assert table.data["median"].iloc[0] == pytest.approx(sorted(means)[2])
    for words in ("trained on 1–20, not 1–40", "tested on 80–320, not 41–500", "median of 5 seeds, not the best of 10"):
        assert words in row.differences
    assert published_table(Results.of(*made_run(("mamba",), ("addition@long",), 1))).frame.empty
    assert doctest.testmod(harness.report.published).failed == 0
