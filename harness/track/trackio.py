"""Trackio: one run for each cell in its local store (``TRACKIO_DIR``). ``trackio show`` opens the dashboard.

The store is written directly, without the server that ``trackio.init`` starts.
"""

from pathlib import Path

from trackio import SQLiteStorage

from harness.track.tracked_cell import TrackedCell


class RunTracker:
    """Writes cells to the project of their suite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, cell: TrackedCell) -> None:
        """Write one cell as a run; the run of an earlier call is removed.

        Scores by length are logged at the last step, as ``exact/40``.
        """
        name = f"{cell.name} {cell.id}"
        last = max(cell.curve, default=0)
        scores = {
            f"{measure}/{f'{variant}/' if variant else ''}{length}": value
            for variant, by_length in cell.scores.items()
            for length, values in by_length.items()
            for measure, value in values.items()
        }
        rows = [(step, dict(values)) for step, values in cell.curve.items()]
        rows.append((last, {**scores, **cell.summary}))
        SQLiteStorage.delete_run(cell.project, name)
        SQLiteStorage.bulk_log(
            cell.project,
            name,
            [values for _, values in rows],
            steps=[step for step, _ in rows],
            config=cell.config | {"_Group": cell.group},
        )

    def close(self) -> None:
        """Do nothing: a run is stored when it is written."""
