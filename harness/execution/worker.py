"""The worker: runs one job at a time and writes a record of each cell that it finishes.

A job is a group of cells that are trained as one population and evaluated, or only evaluated. An error of one model is
recorded as the failure of its cell, and the worker continues with the other cells.
"""

import traceback
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harness.config.cell import Cell, Group
from harness.data.questions import question_hashes
from harness.evaluation.scoring import distinct_set
from harness.execution.evaluator import Evaluator
from harness.execution.interruption import INTERRUPTION
from harness.execution.job import Emit, Job, JobContext, error_text, group_text
from harness.models.cost import measured_state, parameters
from harness.models.population import Population, init_seed
from harness.registry.user_code import contained
from harness.storage.atomic import StorageError
from harness.storage.provenance import provenance
from harness.storage.records import Cause, Failure, TrainingRecord
from harness.storage.snapshots import SnapshotError
from harness.training.code_version import cell_fingerprints
from harness.training.cuda_graphs import CaptureError
from harness.training.memory import check_fits_in_memory, is_out_of_memory, release_memory, split_in_half
from harness.training.snapshot import Snapshot, StateError
from harness.training.trained import Trained, Training
from harness.training.trainer import Trainer


def run_job(job: Job, number: int, emit: Emit) -> None:
    """Run a job from beginning to end."""
    with job.numerics.applied():
        if not job.train:
            Evaluator(job, number, emit).evaluate(job.cells)
            return
        worker = Worker(job, number, emit)
        for cells in worker.groups_to_train():
            worker.train_all(cells)


class Worker(JobContext):
    """Trains the cells of a job.

    Attributes:
        numerics: those of the job, without CUDA graphs once a capture has failed.
    """

    def __init__(self, job: Job, number: int, emit: Emit) -> None:
        super().__init__(job, number, emit)
        self.numerics = job.numerics

    def groups_to_train(self) -> list[tuple[Cell, ...]]:
        """Return the cells of the job in groups: one for each snapshot to resume from, and one for all other cells."""
        remaining = {cell.id: cell for cell in self.job.cells}
        resumable = [ids for ids in self.folder.snapshots.groups() if remaining.keys() >= set(ids)]
        # Snapshots may overlap; of those that share a cell the first is used.
        groups = [tuple(remaining.pop(cell) for cell in ids) for ids in resumable if remaining.keys() >= set(ids)]
        return [*groups, tuple(remaining.values())] if remaining else groups

    def train_all(self, cells: tuple[Cell, ...]) -> None:
        """Train, record and evaluate a group; if it cannot be trained as one population, in smaller groups."""
        release_memory(self.device)
        try:
            with contained():
                healthy = self._train_and_record(cells)
        except StorageError:
            raise  # the machine's fault, which would fail every model
        except Exception as error:
            smaller_groups = self._smaller_groups(cells, error)
        else:
            Evaluator(self.job, self.number, self.emit).evaluate(healthy)
            return
        # Outside the except block, because the error's traceback would keep the memory of the group alive.
        for group in smaller_groups:
            self.train_all(group)

    def _train_and_record(self, cells: tuple[Cell, ...]) -> list[Cell]:
        """Train a group and write its records; return the cells that did not fail."""
        training = self._train(cells)
        for cell, trained in zip(cells, training.models, strict=True):
            self._record(cell, trained, training)
        self.folder.snapshots.remove_containing(cell_ids(cells))
        INTERRUPTION.attend()  # a signal in the last step was not followed by a snapshot
        return [cell for cell, trained in zip(cells, training.models, strict=True) if not trained.failure]

    def _smaller_groups(self, cells: tuple[Cell, ...], error: Exception) -> list[tuple[Cell, ...]]:
        """Return the groups to train in place of one that raised an error.

        These are its halves if memory ran out, and single cells after other errors. A group whose steps cannot be
        captured is trained again without CUDA graphs. A single cell that raised an error fails.
        """
        if isinstance(error, CaptureError) and self.numerics.capture:
            self.note(
                f"{group_text(cells)}: steps cannot be captured, trains without CUDA graphs ({error_text(error)})"
            )
            self.numerics = replace(self.numerics, capture=False)
            return [cells]
        if len(cells) == 1:
            self.fail(cells[0], error)
            return []
        if is_out_of_memory(error):
            self.note(f"{group_text(cells)}: out of memory with {len(cells)} models at once, continues in two halves")
            return [cells[half] for half in split_in_half(len(cells))]
        self.note(f"{group_text(cells)}: cannot be trained at once, continues one by one ({error_text(error)})")
        self.folder.snapshots.remove_containing(cell_ids(cells))
        return [(cell,) for cell in cells]

    def _train(self, cells: tuple[Cell, ...]) -> Training:
        population = Population([self.build(cell) for cell in cells], self.device, self.numerics)
        torch.manual_seed(init_seed(cells[0].seed, f"dropout {cells[0].architecture}"))

        def save(trainer: Trainer) -> None:
            snapshot = self._state_of(trainer, cells)
            if snapshot is None:
                trainer.save = None
            else:
                self._save_snapshot(cells, snapshot)
            INTERRUPTION.attend()

        tested = self._test_questions()
        trainer = Trainer(population, Group(cells), self.presentation, self._report_loss, save, tested=tested)
        snapshot = self._load_snapshot(cells)
        if snapshot and not trainer.fits(snapshot):
            self.note(f"{group_text(cells)}: its snapshot is ignored because it lacks tensors of the model")
        elif snapshot:
            trainer.load_state_dict(snapshot)
            self.note(f"{group_text(cells)}: resumes from step {snapshot.done} of {self.recipe.steps}")
        try:
            if self.device.type == "cuda":
                check_fits_in_memory(trainer)
            with INTERRUPTION.during(trainer):
                return trainer.run()
        except Exception as error:
            can_split = is_out_of_memory(error) and len(cells) > 1 and trainer.done
            if can_split and (current := self._state_of(trainer, cells)):
                self._split_snapshot(cells, current)
            raise

    def _test_questions(self) -> dict[int, Tensor]:
        """Return the hashes of the test questions of each in-range length."""
        on_device, key = self.presentation.on(self.device), str(self.job.cells[0].task)
        main = next((variant.lengths for variant in self.job.variants if not variant.name), ())
        lengths = [length for length in main if length in self.recipe.train_lengths]
        try:
            sets = {n: distinct_set(on_device, key, n, self.job.samples, self.device) for n in lengths}
            return {length: question_hashes(on_device(questions).source) for length, questions in sets.items()}
        except Exception:  # the evaluation of that length records the error
            return {}

    def _state_of(self, trainer: Trainer, cells: tuple[Cell, ...]) -> Snapshot | None:
        """Return the state of a training, or ``None`` with a note if its optimizer has a state that is not stored."""
        try:
            return trainer.state_dict()
        except StateError as reason:
            self.note(f"{group_text(cells)}: is trained without snapshots because {reason}")
            return None

    def _split_snapshot(self, cells: tuple[Cell, ...], snapshot: Snapshot) -> None:
        """Replace the snapshot of a group by snapshots of its halves, so that each half resumes from this step."""
        for half in split_in_half(len(cells)):
            self._save_snapshot(cells[half], snapshot.part(half))
        self.folder.snapshots.remove(cell_ids(cells))

    def _load_snapshot(self, cells: tuple[Cell, ...]) -> Snapshot | None:
        """Return the snapshot of a group, or ``None`` if there is none that can be used."""
        try:
            return self.folder.snapshots.load(cell_ids(cells), self._resume_conditions(cells[0]))
        except SnapshotError as reason:
            self.note(f"{group_text(cells)}: its snapshot is ignored because {reason}")
            return None

    def _save_snapshot(self, cells: tuple[Cell, ...], snapshot: Snapshot) -> None:
        try:
            self.folder.snapshots.save(cell_ids(cells), self._resume_conditions(cells[0]), snapshot)
        except OSError as error:
            self.note(f"{group_text(cells)}: its snapshot cannot be written: {error.strerror}")

    def _resume_conditions(self, cell: Cell) -> dict[str, str]:
        """Return the settings that must be the same in a snapshot and in the trainer that resumes from it."""
        code = {f"{kind} code": fingerprint for kind, fingerprint in cell_fingerprints(cell).items()}
        return code | {"torch": torch.__version__, "device": self.device.type} | self.job.numerics.resume_conditions

    def _report_loss(self, done: int, loss: float) -> None:
        self.progress(self.share * done / self.recipe.steps, f"loss {loss:.3f}")

    def _record(self, cell: Cell, trained: Trained, training: Training) -> None:
        if trained.failure:
            self.folder.fail(cell.id, self._failure(cell, trained.failure, trained=trained))
            self.finish_cell("failed", cell, trained.failure)
            return
        self.folder.finish(cell.id, self._training_record(cell, trained, training), trained.checkpoints)

    def _training_record(self, cell: Cell, trained: Trained, training: Training) -> TrainingRecord:
        size, model = training.population.size, training.population.model
        last = next(point for point in reversed(trained.curve) if "validation_exact" in point)
        return TrainingRecord(
            cell=cell.canonical(),
            fingerprints=cell_fingerprints(cell),
            symbols=list(self.presentation.symbols),
            steps_used=trained.steps_used,
            fitted_at=trained.fitted_at,
            checkpoints=sorted(trained.checkpoints),
            curve=trained.curve,
            validation_exact=last["validation_exact"],
            validation_loss=last["validation_loss"],
            distinct=trained.distinct,
            seen={str(length): share for length, share in trained.seen.items()},
            parameters=parameters(model),
            # The kernels of the training; measuring the state below may choose others.
            kernels=model.kernels | training.programs,
            state_bytes=measured_state(model),
            population=size,
            seconds={phase: seconds / size for phase, seconds in training.seconds.items()},
            tokens_per_second=training.tokens * size / training.seconds["train"],
            provenance=provenance(self.job.device, self.job.numerics),
        )

    def _failure(self, cell: Cell, reason: str, details: str = "", trained: Trained | None = None) -> Failure:
        return Failure(
            cell=cell.canonical(),
            reason=reason,
            details=details,
            steps_used=trained.steps_used if trained else 0,
            curve=trained.curve if trained else [],
            fingerprints=cell_fingerprints(cell),
            provenance=provenance(self.job.device, self.job.numerics),
        )

    def fail(self, cell: Cell, error: Exception, cause: Cause = "model") -> None:
        """Record an error as the failure of a cell."""
        reason = error_text(error)
        failure = self._failure(cell, reason, "".join(traceback.format_exception(error)))
        self.folder.fail(cell.id, failure.model_copy(update={"cause": cause}))
        if cause == "model":  # after a fault of the machine the next run resumes
            self.folder.snapshots.remove_containing([cell.id])
        self.finish_cell("failed", cell, reason)


def cell_ids(cells: Sequence[Cell]) -> list[str]:
    """Return the ids of cells."""
    return [cell.id for cell in cells]
