"""Mirrors the cells of a run folder to trackers, after a run or while it goes on.

During a run, cells are written in a thread of the parent process, so that workers do not wait for a tracker. A tracker
that raises an error is reported once and not used again; the run continues.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType

from harness.errors import UserError
from harness.execution.job import Event, error_text
from harness.storage.folder import RunFolder
from harness.track.tracked_cell import TrackedCell, tracked_cell
from harness.track.tracker import Tracker, open_tracker


class Mirror:
    """Writes each cell that a run finishes to trackers, as a context manager around the run.

    Args:
        names: of the trackers.
        folder: of the run.
        warn: gets one sentence for a tracker that fails.

    Raises:
        UserError: if a tracker's package is not installed, or it cannot start.
    """

    def __init__(self, names: Sequence[str], folder: Path, warn: Callable[[str], object]) -> None:
        self.folder, self.warn = folder, warn
        self.trackers: dict[str, Tracker] = {name: open_tracker(name, folder) for name in dict.fromkeys(names)}
        self.thread = ThreadPoolExecutor(1, "tracker")

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An interrupted run does not wait for cells that are not written yet; lengthwise track adds them.
        self.thread.shutdown(wait=True, cancel_futures=error is not None)
        for name in list(self.trackers):
            self._call(name, lambda tracker: tracker.close())

    def show(self, event: Event) -> None:
        """Write the cell of an event of a worker, if it is finished or has failed."""
        if event.kind in ("cell", "failed") and self.trackers:
            self.thread.submit(self._write, event.cell)

    def _write(self, cell: str) -> None:
        tracked = _read(RunFolder(self.folder), cell, self.warn)  # a run that ends may have packed its records
        if tracked is not None:
            for name in list(self.trackers):
                self._call(name, partial(_write_to, cell=tracked))

    def _call(self, name: str, action: Callable[[Tracker], None]) -> None:
        """Call a tracker; one that fails is given up."""
        try:
            action(self.trackers[name])
        except Exception as error:
            del self.trackers[name]
            again = f"lengthwise track {self.folder} --to {name} writes them later"
            self.warn(f"Tracker {name} {error_text(error)}; it gets no more cells of this run; {again}.")


def _write_to(tracker: Tracker, cell: TrackedCell) -> None:
    tracker.write(cell)


def _read(folder: RunFolder, cell: str, warn: Callable[[str], object]) -> TrackedCell | None:
    """Return what trackers show of a cell; a record that cannot be read is reported."""
    try:
        run = folder.run()
        return tracked_cell(run, cell, folder.cell(cell)) if run else None
    except Exception as error:
        warn(f"Cell {cell} is not tracked: {error}.")
        return None


def mirror(folder: Path, name: str) -> int:
    """Write all cells of a run folder to a tracker and return their number.

    Raises:
        UserError: if the folder holds no run, the tracker's package is not installed, or the tracker fails.
    """
    records = RunFolder(folder)
    run = records.recorded_run()
    tracker, count = open_tracker(name, folder), 0
    try:
        for cell in records.cell_ids():
            tracked = tracked_cell(run, cell, records.cell(cell))
            if tracked is not None:
                tracker.write(tracked)
                count += 1
        tracker.close()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"tracker {name} {error_text(error)}; it has {count} of the cells") from error
    return count
