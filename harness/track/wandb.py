"""Weights & Biases: one run for each cell, with the cell's id. ``WANDB_MODE=offline`` keeps them in ``DIR/wandb``.

A cell that is written again resumes its run. The service ignores steps that it has already;
offline, the earlier files of the cell are replaced. The key of the service is asked for before the training.
"""

import os
import shutil
from pathlib import Path

import wandb

from harness.track.tracked_cell import TrackedCell


class RunTracker:
    """Writes cells to the project of their suite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if os.environ.get("WANDB_MODE") not in ("offline", "disabled"):
            wandb.login()

    def write(self, cell: TrackedCell) -> None:
        """Write one cell as a run."""
        for earlier in (self.folder / "wandb").glob(f"offline-run-*-{cell.id}"):
            shutil.rmtree(earlier)
        names = {"project": cell.project, "group": cell.group, "name": cell.name, "id": cell.id}
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        run = wandb.init(**names, config=cell.config, resume="allow", dir=str(self.folder), settings=settings)
        run.define_metric("by length/*", step_metric="length")
        for step, values in cell.curve.items():
            run.log(dict(values), step=step)
        # Scores follow the training, because the steps of a run must ascend.
        last = max(cell.curve, default=0)
        for place, row in enumerate(score_rows(cell), 1):
            run.log(row, step=last + place)
        run.summary.update(dict(cell.summary))
        run.finish()

    def close(self) -> None:
        """Do nothing: each run is finished when it is written."""


def score_rows(cell: TrackedCell) -> list[dict[str, float]]:
    """Return a row for each length, with the scores of all variants."""
    lengths = sorted({length for by_length in cell.scores.values() for length in by_length})
    return [
        {"length": length}
        | {
            f"by length/{name}{f' ({variant})' if variant else ''}": value
            for variant, by_length in cell.scores.items()
            for name, value in by_length.get(length, {}).items()
        }
        for length in lengths
    ]
