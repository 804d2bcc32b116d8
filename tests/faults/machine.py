"""Faults of the machine in the middle of a sweep: a full or read-only disk, a clock set back, a folder that is moved.

The first three are injected by a file ``sitecustomize.py``, which Python imports in every process of the run: writes
fail while a file exists that names the error, and the clock is two days behind if a variable says so.
"""

import errno
from collections.abc import Callable
from pathlib import Path

from tests.faults import sweep

INJECTION = '''
import os, time

flush, now = os.fsync, time.time

def fsync(file):
    """Flush a file, unless the disk is said to be full or read-only."""
    try:
        number = int(open({switch!r}).read())
    except FileNotFoundError:
        return flush(file)
    raise OSError(number, os.strerror(number))

os.fsync = fsync
if "CLOCK_SET_BACK" in os.environ:
    time.time = lambda: now() - 2 * 86400
'''


class Machine:
    """A sweep on a machine whose faults can be switched on.

    Args:
        folder: for its files.
        cells: of the sweep.
        expected: table of the scores of an undisturbed run.
    """

    def __init__(self, folder: Path, cells: int, expected: bytes) -> None:
        self.folder, self.cells, self.expected = folder / "run", cells, expected
        self.switch, self.modules = folder / "disk-error", folder / "modules"
        self.modules.mkdir(parents=True)
        (self.modules / "sitecustomize.py").write_text(INJECTION.format(switch=str(self.switch)))

    def run_until(self, share: float, fault: Callable[[int], object], **environment: str) -> int:
        """Start a driver, inject a fault once a share of the cells is finished, and return the driver's exit code."""
        driver = sweep.start(self.folder, self.cells, PYTHONPATH=str(self.modules), **environment)
        assert sweep.wait_until(lambda: len(sweep.finished(self.folder)) >= share * self.cells, 600)
        fault(driver.pid)
        return driver.wait()

    def resume(self, **environment: str) -> bool:
        """Run the rest; return whether the folder is then that of an undisturbed run."""
        before = sweep.finished(self.folder)
        code = sweep.start(self.folder, self.cells, PYTHONPATH=str(self.modules), **environment).wait()
        after = sweep.finished(self.folder)
        is_kept = all(after.get(cell) == time for cell, time in before.items())
        is_whole = not code and len(after) == self.cells and not sweep.damaged(self.folder)
        return is_kept and is_whole and sweep.score_table(self.folder) == self.expected


def disk(machine: Machine, number: int) -> bool:
    """Let the disk refuse writes; the run ends with one line that names the file, and resumes."""
    code = machine.run_until(0.3, lambda pid: machine.switch.write_text(str(number)))
    machine.switch.unlink()
    line = sweep.log_of(machine.folder).read_text().strip().splitlines()[-1]
    return code != 0 and "cannot be written" in line and str(machine.folder) in line and machine.resume()


def clock(machine: Machine) -> bool:
    """Kill the driver and resume with a clock that is two days behind."""
    machine.run_until(0.3, sweep.kill)
    return machine.resume(CLOCK_SET_BACK="1")


def moved(machine: Machine) -> bool:
    """Kill the driver, move the folder, and resume there."""
    machine.run_until(0.3, sweep.kill)
    machine.folder = machine.folder.rename(machine.folder.with_name("elsewhere"))
    return machine.resume()


FAULTS: dict[str, Callable[[Machine], bool]] = {
    "disk full": lambda machine: disk(machine, errno.ENOSPC),
    "disk read-only": lambda machine: disk(machine, errno.EROFS),
    "clock set back by two days": clock,
    "folder moved": moved,
}
"""Each returns whether the sweep ends as it would without the fault."""
