"""The interface of a tracker, and how one is opened by its name."""

from importlib import import_module
from pathlib import Path
from typing import Protocol

from harness.errors import UserError, unknown
from harness.track import TRACKERS
from harness.track.tracked_cell import TrackedCell


class Tracker(Protocol):
    """Shows cells in a tool for experiments. Its constructor takes the folder of the run."""

    def __init__(self, folder: Path) -> None: ...

    def write(self, cell: TrackedCell) -> None:
        """Write one cell. A cell of the same id is replaced, so writing it again changes nothing."""
        ...

    def close(self) -> None:
        """Finish writing."""
        ...


def open_tracker(name: str, folder: Path) -> Tracker:
    """Return the tracker of this name for a run folder, ``RunTracker`` of its module.

    Raises:
        UserError: if there is no such tracker, its package is not installed, or it cannot start.
    """
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    try:
        module = import_module(f"harness.track.{name}")
    except ImportError as error:
        hint = f'install it with pip install "lengthwise[{name}]"'
        raise UserError(f"tracker {name}: a package is missing ({error}); {hint}") from None
    try:
        tracker: Tracker = module.RunTracker(folder)
    except Exception as error:
        raise UserError(f"tracker {name} cannot start: {error}") from error
    return tracker
