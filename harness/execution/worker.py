"""The worker: does one job at a time, and leaves a record of everything it finishes.

A job is a group of cells that are trained at once and evaluated, or only evaluated. Whatever goes wrong with one model
is written down as that cell's failure; the worker goes on.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from harness.config.cell import Cell, Group
from harness.execution.evaluator import Evaluator
from harness.execution.job import Emit, Event, Job, JobContext, error_text, group_text
from harness.models.cost import measured_state, parameters
from harness.models.population import Population, init_seed
from harness.registry.fingerprint import fingerprints_of
from harness.storage.provenance import provenance
from harness.storage.records import Failure, TrainingRecord
from harness.storage.snapshots import SnapshotError
from harness.training.cuda_graphs import CaptureError
from harness.training.memory import check_fits_in_memory, is_out_of_memory, release_memory, split_in_half
from harness.training.snapshot import Snapshot
from harness.training.trainer import Trained, Trainer, Training


def run_job(job: Job, number: int, tell: Callable[[Event], None]) -> None:
    """Do a job from beginning to end."""
    with job.numerics.applied():
        if not job.train:
            Evaluator(job, number, tell).evaluate(job.cells)
            return
        worker = Worker(job, number, tell)
        for cells in worker.parts():
            worker.train_all(cells)


class Worker(JobContext):
    """Trains the cells of a job.

    Attributes:
        numerics: the job's, but that steps are no longer captured once a capture has failed.
    """

    def __init__(self, job: Job, number: int, tell: Emit) -> None:
        super().__init__(job, number, tell)
        self.numerics = job.numerics

    def parts(self) -> list[tuple[Cell, ...]]:
        """Return the job's cells cut along the snapshots there are of some of them, which go on by themselves."""
        left = {cell.id: cell for cell in self.job.cells}
        found = [ids for ids in self.folder.snapshots.groups() if left.keys() >= set(ids)]
        begun = [tuple(left.pop(cell) for cell in ids) for ids in found if left.keys() >= set(ids)]
        return [*begun, tuple(left.values())] if left else begun

    def train_all(self, cells: tuple[Cell, ...]) -> None:
        """Train, record and evaluate; a group that cannot be trained at once is trained in parts."""
        release_memory(self.device)
        try:
            healthy = self._train_and_record(cells)
        except Exception as error:
            parts = self._instead(cells, error)
        else:
            Evaluator(self.job, self.number, self.emit).evaluate(healthy)
            return
        for part in parts:  # out here, where nothing holds the memory of the group any more
            self.train_all(part)

    def _train_and_record(self, cells: tuple[Cell, ...]) -> list[Cell]:
        """Return the cells that have something to evaluate."""
        training = self._train(cells)
        for cell, trained in zip(cells, training.models, strict=True):
            self._record(cell, trained, training)
        self.folder.snapshots.drop(ids(cells))
        return [cell for cell, trained in zip(cells, training.models, strict=True) if not trained.failure]

    def _instead(self, cells: tuple[Cell, ...], error: Exception) -> list[tuple[Cell, ...]]:
        """Return the parts to train in place of a group: its halves if memory ran out, else its cells one by one.

        What cannot be captured is trained again as it is, without.
        """
        if isinstance(error, CaptureError) and self.numerics.capture:
            self.note(f"{group_text(cells)}: its steps cannot be captured, goes on without ({error_text(error)})")
            self.numerics = replace(self.numerics, capture=False)
            return [cells]
        if len(cells) == 1:
            self.fail(cells[0], error)
            return []
        if is_out_of_memory(error):
            self.note(f"{group_text(cells)}: out of memory with {len(cells)} models at once, goes on with half as many")
            return [cells[part] for part in split_in_half(len(cells))]
        self.note(f"{group_text(cells)}: cannot be trained at once, goes on one by one ({error_text(error)})")
        self.folder.snapshots.drop(ids(cells))
        return [(cell,) for cell in cells]

    def _train(self, cells: tuple[Cell, ...]) -> Training:
        population = Population([self.build(cell) for cell in cells], self.device, self.numerics)
        torch.manual_seed(init_seed(cells[0].seed, f"dropout {cells[0].architecture}"))

        def save(trainer: Trainer) -> None:
            self._save(cells, trainer.state_dict())

        trainer = Trainer(population, Group(cells), self.presentation, self._stepped, save)
        begun = self._begun(cells)
        if begun:
            trainer.load_state_dict(begun)
            self.note(f"{group_text(cells)}: goes on from step {begun.done} of {self.recipe.steps}")
        try:
            if self.device.type == "cuda":
                check_fits_in_memory(trainer)
            return trainer.run()
        except Exception as error:
            if is_out_of_memory(error) and len(cells) > 1 and trainer.done:
                self._hand_on(cells, trainer.state_dict())
            raise

    def _hand_on(self, cells: tuple[Cell, ...], snapshot: Snapshot) -> None:
        """Leave what a group has reached to its halves."""
        for part in split_in_half(len(cells)):
            self._save(cells[part], snapshot.part(part))
        self.folder.snapshots.forget(ids(cells))

    def _begun(self, cells: tuple[Cell, ...]) -> Snapshot | None:
        try:
            return self.folder.snapshots.load(ids(cells), self._terms(cells[0]))
        except SnapshotError as why:
            self.note(f"{group_text(cells)}: its snapshot is ignored, {why}")
            return None

    def _save(self, cells: tuple[Cell, ...], snapshot: Snapshot) -> None:
        try:
            self.folder.snapshots.save(ids(cells), self._terms(cells[0]), snapshot)
        except OSError as error:
            self.note(f"{group_text(cells)}: its snapshot cannot be written: {error.strerror}")

    def _terms(self, cell: Cell) -> dict[str, str]:
        """Return what a snapshot and the trainer that goes on from it must have in common."""
        code = {f"{kind} code": fingerprint for kind, fingerprint in self._fingerprints(cell).items()}
        return code | {"torch": torch.__version__, "device": self.device.type} | self.job.numerics.terms

    def _stepped(self, done: int, loss: float) -> None:
        self.progress(self.share * done / self.recipe.steps, f"loss {loss:.3f}")

    def _record(self, cell: Cell, trained: Trained, training: Training) -> None:
        if trained.failure:
            self.folder.fail(cell.id, self._failure(cell, trained.failure, trained=trained))
            self.close("failed", cell, trained.failure)
            return
        self.folder.finish(cell.id, self._training_record(cell, trained, training), trained.checkpoints)

    def _training_record(self, cell: Cell, trained: Trained, training: Training) -> TrainingRecord:
        size, model = training.population.size, training.population.model
        last = next(point for point in reversed(trained.curve) if "validation_exact" in point)
        return TrainingRecord(
            cell=cell.canonical(),
            fingerprints=self._fingerprints(cell),
            symbols=list(self.presentation.symbols),
            steps_used=trained.steps_used,
            checkpoints=sorted(trained.checkpoints),
            curve=trained.curve,
            validation_exact=last["validation_exact"],
            validation_loss=last["validation_loss"],
            distinct=trained.distinct,
            parameters=parameters(model),
            # before the state is measured: these are the kernels that trained
            kernels=model.kernels | training.programs,
            state_bytes=measured_state(model),
            population=size,
            seconds={phase: seconds / size for phase, seconds in training.seconds.items()},
            tokens_per_second=training.tokens * size / training.seconds["train"],
            provenance=provenance(self.job.device, self.job.numerics),
        )

    def _fingerprints(self, cell: Cell) -> dict[str, str]:
        return fingerprints_of(cell.specs)

    def _failure(self, cell: Cell, reason: str, details: str = "", trained: Trained | None = None) -> Failure:
        return Failure(
            cell=cell.canonical(),
            reason=reason,
            details=details,
            steps_used=trained.steps_used if trained else 0,
            curve=trained.curve if trained else [],
            fingerprints=self._fingerprints(cell),
            provenance=provenance(self.job.device, self.job.numerics),
        )

    def fail(self, cell: Cell, error: Exception) -> None:
        """Write an error down as the failure of a cell."""
        reason = error_text(error)
        self.folder.fail(cell.id, self._failure(cell, reason, "".join(traceback.format_exception(error))))
        self.folder.snapshots.drop([cell.id])
        self.close("failed", cell, reason)


def ids(cells: Sequence[Cell]) -> list[str]:
    """Return the ids of cells."""
    return [cell.id for cell in cells]
