"""TensorBoard: event files in ``DIR/tensorboard``, one folder for each cell. ``tensorboard --logdir DIR`` shows them.

Scores have the length on the axis that TensorBoard calls step.
"""

import re
import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from harness.track.tracked_cell import TrackedCell


class RunTracker:
    """Writes event files below the folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tensorboard"

    def write(self, cell: TrackedCell) -> None:
        """Write the events of one cell; those of an earlier call are removed."""
        folder = self.folder / f"{re.sub(r'[^A-Za-z0-9.=+-]+', '_', cell.name)} {cell.id}"
        shutil.rmtree(folder, ignore_errors=True)
        with SummaryWriter(str(folder)) as writer:
            for step, values in cell.curve.items():
                for name, value in values.items():
                    writer.add_scalar(f"training/{name}", value, step)
            for variant, by_length in cell.scores.items():
                for length, values in by_length.items():
                    for name, value in values.items():
                        writer.add_scalar(f"{name} by length/{variant or 'plain'}", value, length)
            writer.add_text("config", "\n".join(f"    {key}: {value}" for key, value in cell.config.items()))
            for summary in hparams(cell.config, dict(cell.summary)):
                writer._get_file_writer().add_summary(summary)

    def close(self) -> None:
        """Do nothing: each cell is flushed when it is written."""
