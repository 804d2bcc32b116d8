"""The short form of the fault-injection set: a few random kills of driver and workers."""

import random
from pathlib import Path

from tests.faults import sweep
from tests.faults.kills import KilledSweeps


def test_random_kills_lose_repeat_and_change_nothing(tmp_path: Path) -> None:
    assert sweep.drive(tmp_path / "undisturbed", 4, 1) == 0
    expected = sweep.score_table(tmp_path / "undisturbed")
    figures = KilledSweeps(tmp_path, 4, expected, 3.0, [2], random.Random(1)).run(2, 60.0)
    assert figures.is_clean, figures
    assert figures.kills >= 2
    assert figures.finished == 4 * figures.sweeps
