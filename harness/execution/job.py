"""Jobs: the units of work of a worker process, and the events by which a worker reports on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

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
    """The cells of a group to train and evaluate, or only to evaluate if ``train`` is false."""

    cells: tuple[Cell, ...]
    variants: tuple[Variant, ...]
    samples: int
    folder: RunFolder
    device: str = "cpu"
    train: bool = True
    numerics: Numerics = FLOAT32

    def __str__(self) -> str:
        return group_text(self.cells)


def group_text(cells: Sequence[Cell]) -> str:
    """Return a short name for a group of cells."""
    return f"{cells[0]} and {len(cells) - 1} more" if len(cells) > 1 else str(cells[0])


@dataclass(frozen=True)
class Event:
    """A report of a worker.

    ``kind`` is ``progress`` (a share of the job, from 0 to 1), ``cell`` (a cell is finished), ``failed`` (a cell has
    failed) or ``note`` (a message for the user). ``cell`` is the id of the cell that is finished or has failed.
    """

    job: int
    kind: str
    progress: float = 0.0
    text: str = ""
    cell: str = ""


Emit = Callable[[Event], None]
"""Passes an event on to the launcher."""


def ignore(event: Event) -> None:
    """Do nothing with an event."""


class JobContext:
    """Common base of evaluator and worker: a job with its folder, device and presentation, and methods to report.

    Attributes:
        number: position of the job in the launcher's list.
        share: share of the job that is training; the rest is evaluation.
    """

    def __init__(self, job: Job, number: int, emit: Emit) -> None:
        self.job, self.number, self.emit = job, number, emit
        self.folder = job.folder
        self.device = torch.device(job.device)
        self.recipe = job.cells[0].recipe
        self.share = 0.8 if job.train else 0.0

    @cached_property
    def presentation(self) -> Presentation:
        """The presentation of the job's task. A task whose constructor raises an error fails when it is trained."""
        return self.present(self.job.cells[0].task)

    def present(self, task: Spec) -> Presentation:
        """Return the presentation of a task under the job's recipe."""
        return Presentation.of(task, self.recipe)

    def build(self, cell: Cell) -> SequenceModel:
        """Return the cell's model with its initial values."""
        return build_seeded(cell.architecture, self.presentation.symbols, cell.seed)

    def progress(self, share: float, text: str) -> None:
        """Report which share of the job is done."""
        self.emit(Event(self.number, "progress", share, text))

    def note(self, text: str) -> None:
        """Report a message for the user."""
        self.emit(Event(self.number, "note", text=text))

    def finish_cell(self, kind: str, cell: Cell, text: str) -> None:
        """Report that a cell is finished; ``kind`` is ``cell`` or ``failed``."""
        self.emit(Event(self.number, kind, 1.0, f"{cell}: {text}", cell.id))


def error_text(error: BaseException) -> str:
    """Return an error in one line."""
    message = str(error).strip().splitlines()
    return f"raised {type(error).__name__}: {message[0] if message else ''}"
