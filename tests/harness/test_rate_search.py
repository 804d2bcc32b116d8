"""Learning rates: chosen for each pair on tuning seeds by validation, and used for the reported seeds only."""

import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from harness.analysis.load import frames
from harness.analysis.statistics import compare_learning_rates
from harness.config.cell import TUNING_SEED
from harness.config.suite import make
from harness.execution.make_plan import make_plan
from harness.execution.plan import Plan
from harness.execution.rate_search import best_rate, with_chosen_rates
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog
from harness.report.results import Results
from harness.storage.folder import RunFolder

RATES = [1e-3, 1e-2]
RECIPE = {"steps": 6, "train_lengths": "1:3", "batch_size": 4, "warmup": 1, "validations": 1}


def plan(architectures: tuple[str, ...] = ("lstm:width=8,depth=1",), **values: Any) -> Plan:
    suite = {"name": "s", "architectures": list(architectures), "tasks": ["parity"], "seeds": 2, "tuning_seeds": 1}
    return make_plan(make(suite | {"samples": 8, "test_lengths": "5", "recipe": RECIPE} | values, "test"), Catalog())


def run(planned: Plan, folder: Path) -> str:
    console = Console(file=io.StringIO(), width=200)
    execute(planned, folder, RunOptions("cpu", 1), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_best_mean_exact_match_wins_then_the_loss_then_the_smaller_rate() -> None:
    assert best_rate({1e-3: [(0.5, 1.0), (0.9, 1.0)], 1e-2: [(0.6, 0.1), (0.7, 0.1)]}) == 1e-3
    assert best_rate({1e-3: [(1.0, 0.2)], 1e-2: [(1.0, 0.1)]}) == 1e-2
    assert best_rate({1e-2: [(1.0, 0.2)], 1e-3: [(1.0, 0.2)]}) == 1e-3
    assert best_rate({1e-3: [(0.1, 2.0)], 1e-2: [(0.0, math.inf)]}) == 1e-3


def test_the_report_chooses_as_the_run_does() -> None:
    """The report chooses from a frame, by the same rule."""
    validations = {
        1e-3: [(0.5, 1.0), (0.9, 1.0)],
        3e-3: [(0.7, 0.5), (0.7, 1.4)],
        1e-2: [(0.7, 0.1)],
        3e-2: [(0.2, 0.0)],
    }
    rows = [
        {"architecture": "a", "task": "t", "status": "done", "learning_rate": rate, "seed": TUNING_SEED + seed}
        | {"validation_exact": exact, "validation_loss": loss}
        for rate, values in validations.items()
        for seed, (exact, loss) in enumerate(values)
    ]
    rates = compare_learning_rates(pd.DataFrame(rows))
    assert rates.learning_rate[rates.chosen].tolist() == [best_rate(validations)] == [1e-2]


def test_tuning_seeds_are_disjoint_from_reported_ones_and_from_those_of_another_first_seed() -> None:
    seeds = {}
    for first in (0, 5):
        planned = plan(learning_rates=RATES, first_seed=first, tuning_seeds=3)
        (pair,) = planned.pairs
        assert planned.reported_cells(pair) == []
        cells = planned.tuning_cells(pair)
        assert Counter(cell.learning_rate for cell in cells) == {1e-3: 3, 1e-2: 3}
        assert all(cell.seed >= TUNING_SEED for cell in cells)
        seeds[first] = {cell.seed for cell in cells}
    assert not seeds[0] & seeds[5]


def test_one_rate_needs_no_tuning() -> None:
    planned = plan(learning_rates=[1e-2])
    assert [(cell.learning_rate, cell.seed) for cell in planned.cells] == [(1e-2, 0), (1e-2, 1)]


def test_a_run_reports_the_seeds_of_the_chosen_rate_and_keeps_the_others(tmp_path: Path) -> None:
    planned, folder = plan(learning_rates=RATES, tuning_seeds=2), RunFolder(tmp_path)
    text = run(planned, tmp_path)
    assert "Learning rates are chosen for 1 of 1 pairs" in text
    assert len(folder.cell_ids()) == 2 * 2 + 2
    after = with_chosen_rates(planned, folder)
    (rate,) = after.chosen_rates.values()
    reported = [folder.cell(cell).training.cell for cell in folder.cell_ids()]  # type: ignore[union-attr]
    assert sorted((c["seed"], c["learning_rate"]) for c in reported if c["seed"] < TUNING_SEED) == [
        (0, rate),
        (1, rate),
    ]
    results = Results.of(*frames([tmp_path], Catalog()))
    assert sorted(results.selected.seed) == [0, 1]
    assert set(results.seeds.seed) == {0, 1}
    assert results.summary.planned.tolist() == [2]
    assert results.rates.set_index("learning_rate").planned.to_dict() == {1e-3: 2, 1e-2: 2}
    assert run(planned, tmp_path).count("6 done") == 1


def test_an_interrupted_search_continues(tmp_path: Path) -> None:
    planned, folder = plan(learning_rates=RATES), RunFolder(tmp_path)
    run(plan(learning_rates=RATES, seeds=1), tmp_path)
    before = {cell: (folder.cells / cell / "training.json").stat().st_mtime_ns for cell in folder.cell_ids()}
    run(planned, tmp_path)
    assert len(folder.cell_ids()) == len(before) + 1
    assert all((folder.cells / cell / "training.json").stat().st_mtime_ns == time for cell, time in before.items())


def test_each_pair_has_its_own_rate(tmp_path: Path) -> None:
    planned = plan(("lstm:width=8,depth=1", "rnn:width=8,depth=1"), learning_rates=RATES)
    run(planned, tmp_path)
    chosen = with_chosen_rates(planned, RunFolder(tmp_path)).chosen_rates
    assert [pair.architecture.name for pair in chosen] == ["lstm", "rnn"]
