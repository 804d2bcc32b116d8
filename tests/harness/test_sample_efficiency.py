"""N* and kappa: the smallest training set that is enough, and what lengths share."""

import math

import pandas as pd
import pytest

from harness.analysis.sample_efficiency import enough_sequences, kappas

RUNS = {
    # (training lengths, size of the set): seeds of three that fit, for two architectures
    ("1:2", 0): (3, 3),
    ("1:2", 8): (0, 1),
    ("1:2", 16): (0, 0),
    ("1:2", 32): (1, 3),
    ("1:2", 64): (3, 3),
    ("1:1", 4): (1, 0),
    ("2:2", 8): (0, 0),
    ("2:2", 60): (2, 0),
}


def thresholds() -> pd.DataFrame:
    rows, recipes = [], {}
    for (lengths, size), fitted in RUNS.items():
        label = f"parity [train_lengths={lengths} distinct={size}]"
        recipes[label] = {"train_lengths": lengths, "distinct": size, "steps": 10}
        pairs = zip("ab", fitted, strict=True)
        rows += [{"architecture": name, "task": label, "seeds": 3, "fitted": count} for name, count in pairs]
    return enough_sequences(pd.DataFrame(rows), recipes)


def test_the_smallest_set_with_a_seed_that_fits_is_enough() -> None:
    found = thresholds().set_index(["architecture", "lengths"])
    assert set(found.task) == {"parity"}
    assert found.sizes["a", "1:2"] == [8, 16, 32, 64]
    assert (found.enough["a", "1:2"], found.too_few["a", "1:2"]) == (32, 16)
    assert found.enough["b", "1:2"] == 8
    assert math.isnan(found.too_few["b", "1:2"])
    assert math.isnan(found.enough["b", "2:2"])
    assert found.too_few["b", "2:2"] == 60


def test_kappa_needs_all_lengths_alone_and_together() -> None:
    (row,) = kappas(thresholds()).to_dict("records")
    assert (row["architecture"], row["lengths"], row["alone"], row["together"]) == ("a", "1:2", 64, 32)
    assert row["kappa"] == pytest.approx(2.0)


def test_runs_without_fixed_sets_have_no_rows() -> None:
    fits = pd.DataFrame([{"architecture": "a", "task": "parity", "seeds": 3, "fitted": 3}])
    assert enough_sequences(fits, {"parity": {"train_lengths": "1:2", "distinct": 0}}).empty
    assert kappas(enough_sequences(fits, {})).empty
