"""Random kills of driver and workers over a sweep, until it is complete; then again with a new folder.

After each kill, every cell that was finished still is, with the record that it had, and no file is damaged. After the
driver was killed, all its processes end within seconds.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import sweep

DRIVER_SHARE = 0.3
"""Share of the kills that hit the driver; the others hit one of its processes."""
EARLY_SHARE = 0.1
"""Share of the drivers that may be killed before they have started a process."""
ORPHAN_SECONDS = 20.0


UNDISTURBED = 3
"""Runs without kills after which all must be finished. A cell that was killed too often waits for the next run."""


@dataclass
class Figures:
    """What random kills have done: all but ``kills``, ``sweeps`` and ``finished`` must stay 0."""

    kills: int = 0
    of_driver: int = 0
    sweeps: int = 0
    finished: int = 0
    lost: int = 0
    duplicated: int = 0
    damaged: int = 0
    orphans: int = 0
    different_tables: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, trained twice, damaged, left behind or changed."""
        return not any((self.lost, self.duplicated, self.damaged, self.orphans, self.different_tables))


class KilledSweeps:
    """Sweeps whose processes are killed at random times.

    Args:
        folder: in which each sweep gets a folder.
        cells: of each sweep.
        expected: table of the scores of an undisturbed run.
        pace: the most seconds between two kills.
        arguments: of the driver, see :func:`tests.faults.sweep.drive`.
        generator: of the times and victims.
    """

    def __init__(
        self, folder: Path, cells: int, expected: bytes, pace: float, arguments: list[object], generator: random.Random
    ) -> None:
        self.folder, self.cells, self.expected, self.pace = folder, cells, expected, pace
        self.arguments, self.random, self.figures = arguments, generator, Figures()

    def run(self, kills: int, seconds: float) -> Figures:
        """Kill until there were so many kills, or so much time has passed, and let the last sweep finish."""
        until = time.monotonic() + seconds
        while self.figures.kills < kills and time.monotonic() < until:
            self._sweep(self.folder / f"sweep-{self.figures.sweeps}", kills, until)
        return self.figures

    def _sweep(self, folder: Path, kills: int, until: float) -> None:
        code, undisturbed = None, 0
        while code != 0:
            may_kill = self.figures.kills < kills and time.monotonic() < until
            before = sweep.finished(folder)
            code = self._session(folder) if may_kill else sweep.start(folder, self.cells, *self.arguments).wait()
            self._check(folder, before)
            undisturbed += not may_kill
            if code and undisturbed == UNDISTURBED:
                self.figures.notes.append(f"the last run of {folder} ended with exit code {code}")
                break
        self.figures.sweeps += 1
        self.figures.finished += len(sweep.finished(folder))
        self.figures.lost += self.cells - len(sweep.finished(folder))
        self.figures.different_tables += sweep.score_table(folder) != self.expected

    def _session(self, folder: Path) -> int:
        """Start a driver and kill its processes, until it has ended; return its exit code."""
        driver = sweep.start(folder, self.cells, *self.arguments)
        if self.random.random() >= EARLY_SHARE:
            sweep.wait_until(lambda: driver.poll() is not None or self._workers(folder, driver.pid), 600)
        while driver.poll() is None:
            time.sleep(self.random.uniform(0, self.pace))
            before, victims = sweep.finished(folder), self._workers(folder, driver.pid)
            is_driver = self.random.random() < DRIVER_SHARE or not victims
            if driver.poll() is None and sweep.kill(driver.pid if is_driver else self.random.choice(victims)):
                self.figures.kills += 1
                self.figures.of_driver += is_driver
                self._check(folder, before)
            if is_driver:
                break
        driver.wait()
        if not sweep.wait_until(lambda: not sweep.processes(folder), ORPHAN_SECONDS):
            left = sweep.processes(folder)
            self.figures.orphans += len(left)
            self.figures.notes += left.values()
            for pid in left:
                sweep.kill(pid)
        return driver.returncode

    def _workers(self, folder: Path, driver: int) -> list[int]:
        """Return the processes of a run that are not its driver."""
        return sorted(sweep.processes(folder).keys() - {driver})

    def _check(self, folder: Path, before: dict[str, int]) -> None:
        after = sweep.finished(folder)
        self.figures.lost += len(before.keys() - after.keys())
        self.figures.duplicated += sum(before[cell] != after[cell] for cell in before.keys() & after.keys())
        self.figures.damaged += sweep.damaged(folder)
