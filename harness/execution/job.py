"""The desk of one job: what every worker needs to train or to evaluate its cells, and how it tells of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from architectures.base import SequenceModel
from harness.config.cell import Cell
from harness.data.presentation import Presentation
from harness.execution.plan import Variant
from harness.models.population import build_seeded
from harness.models.precision import FLOAT32, Numerics
from harness.registry.options import Spec
from harness.storage.folder import RunFolder


@dataclass(frozen=True)
class Job:
    """Kindred cells to train (or, with ``train`` false, only to evaluate), and where."""

    cells: tuple[Cell, ...]
    variants: tuple[Variant, ...]
    samples: int
    folder: Path
    device: str = "cpu"
    train: bool = True
    numerics: Numerics = FLOAT32

    def __str__(self) -> str:
        return group_text(self.cells)


def group_text(cells: Sequence[Cell]) -> str:
    """Return a group of cells in a few words."""
    return f"{cells[0]} and {len(cells) - 1} more" if len(cells) > 1 else str(cells[0])


@dataclass(frozen=True)
class Event:
    """What a worker tells: ``progress`` in [0, 1] of a job, a finished ``cell``, a ``failed`` one, or a ``note``."""

    job: int
    kind: str
    progress: float = 0.0
    text: str = ""


Emit = Callable[[Event], None]


class JobContext:
    """The tools of one job: presentation, folder, and a voice."""

    def __init__(self, job: Job, number: int, tell: Emit) -> None:
        self.job, self.number, self.emit = job, number, tell
        self.folder = RunFolder(job.folder)
        self.device = torch.device(job.device)
        self.recipe = job.cells[0].recipe
        self.presentation = self.present(job.cells[0].task)
        self.share = 0.8 if job.train else 0.0

    def present(self, task: Spec) -> Presentation:
        """Return how a task is asked under the job's recipe."""
        return Presentation.of(task, self.recipe)

    def build(self, cell: Cell) -> SequenceModel:
        """Return the cell's model with its initial values."""
        return build_seeded(cell.architecture, self.presentation.symbols, cell.seed)

    def progress(self, share: float, text: str) -> None:
        """Tell how much of the job is done."""
        self.emit(Event(self.number, "progress", share, text))

    def note(self, text: str) -> None:
        """Tell what a person should know beside results."""
        self.emit(Event(self.number, "note", text=text))

    def close(self, kind: str, cell: Cell, text: str) -> None:
        """Tell that a cell is finished (``cell``) or ``failed``."""
        self.emit(Event(self.number, kind, 1.0, f"{cell}: {text}"))


def error_text(error: BaseException) -> str:
    """Return an error in one line."""
    message = str(error).strip().splitlines()
    return f"raised {type(error).__name__}: {message[0] if message else ''}"
