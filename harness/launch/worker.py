"""The worker: does one job at a time, and leaves a record of everything it finishes.

A job is a group of cells that are trained at once and evaluated, or only evaluated. Whatever goes wrong with one model
is written down as that cell's failure; the worker goes on.
"""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from harness.catalog import Catalog
from harness.cell import Cell, Group
from harness.chance import Chance, chance
from harness.cost import measured_state, parameters
from harness.evaluate import Score, fixed_set, score, set_hash
from harness.fingerprint import fingerprint_of
from harness.options import Spec, build_model, build_task
from harness.plan import Variant, stream_length
from harness.population import Population, build_seeded, init_seed, load
from harness.present import Presentation
from harness.provenance import provenance
from harness.store.folder import RunFolder
from harness.store.records import EvaluationRecord, Failure, TrainingRecord
from harness.train import Trained, Trainer, Training


@dataclass(frozen=True)
class Job:
    """Kindred cells to train (or, with ``train`` false, only to evaluate), and where."""

    cells: tuple[Cell, ...]
    variants: tuple[Variant, ...]
    samples: int
    folder: Path
    plugins: tuple[Path, ...] = ()
    device: str = "cpu"
    train: bool = True

    def __str__(self) -> str:
        first = self.cells[0]
        more = f" and {len(self.cells) - 1} more" if len(self.cells) > 1 else ""
        return f"{first}{more}"


@dataclass(frozen=True)
class Event:
    """What a worker tells: ``progress`` in [0, 1] of a job, a finished ``cell``, or a ``failed`` one."""

    job: int
    kind: str
    progress: float = 0.0
    text: str = ""


Tell = Callable[[Event], None]


@cache
def catalog_of(plugins: tuple[Path, ...]) -> Catalog:
    """Return the catalog with the given plug-ins, once a process."""
    return Catalog(plugins)


def do(job: Job, number: int, tell: Tell) -> None:
    """Do a job from beginning to end."""
    worker = Worker(job, number, tell)
    if job.train:
        worker.train_all(job.cells)
    else:
        worker.evaluate(job.cells)


class Worker:
    """The tools of one job: catalog, presentation, folder."""

    def __init__(self, job: Job, number: int, tell: Tell) -> None:
        self.job, self.number, self.tell = job, number, tell
        self.catalog, self.folder = catalog_of(job.plugins), RunFolder(job.folder)
        self.device = torch.device(job.device)
        self.recipe = job.cells[0].recipe
        self.presentation = self._present(job.cells[0].task)
        self.share = 0.8 if job.train else 0.0

    def _present(self, task: Spec) -> Presentation:
        return Presentation(build_task(task, self.catalog), self.recipe.answer, self.recipe.think)

    def _build(self, cell: Cell) -> Any:
        return build_seeded(
            lambda: build_model(cell.architecture, self.presentation.symbols, self.catalog),
            cell.seed,
            str(cell.architecture),
        )

    def train_all(self, cells: tuple[Cell, ...]) -> None:
        """Train, record and evaluate; a group that cannot be trained at once is trained one by one."""
        try:
            training = self._train(cells)
            for cell, trained in zip(cells, training.models, strict=True):
                self._record(cell, trained, training)
        except Exception as error:
            if len(cells) > 1:
                for cell in cells:
                    self.train_all((cell,))
            else:
                self._fail(cells[0], error)
            return
        self.evaluate([cell for cell, trained in zip(cells, training.models, strict=True) if not trained.failure])

    def _train(self, cells: tuple[Cell, ...]) -> Training:
        population = Population([self._build(cell) for cell in cells], self.device)
        torch.manual_seed(init_seed(cells[0].seed, f"dropout {cells[0].architecture}"))
        return Trainer(population, Group(cells), self.presentation, self._stepped).run()

    def _stepped(self, done: int, loss: float) -> None:
        self.tell(Event(self.number, "progress", self.share * done / self.recipe.steps, f"loss {loss:.3f}"))

    def _record(self, cell: Cell, trained: Trained, training: Training) -> None:
        if trained.failure:
            self.folder.fail(cell.id, self._failure(cell, trained.failure, trained=trained))
            self.tell(Event(self.number, "failed", 1.0, f"{cell}: {trained.failure}"))
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
            kernels=model.kernels,  # before the state is measured: these are the kernels that trained
            state_bytes=measured_state(model),
            population=size,
            seconds={phase: seconds / size for phase, seconds in training.seconds.items()},
            tokens_per_second=training.tokens * size / training.seconds["train"],
            provenance=provenance(self.job.device),
        )

    def _fingerprints(self, cell: Cell) -> dict[str, str]:
        specs = (cell.architecture, cell.task)
        return {spec.kind: fingerprint_of(spec.kind, spec.name, dict(spec.options), self.catalog) for spec in specs}

    def _failure(self, cell: Cell, reason: str, details: str = "", trained: Trained | None = None) -> Failure:
        return Failure(
            cell=cell.canonical(),
            reason=reason,
            details=details,
            steps_used=trained.steps_used if trained else 0,
            curve=trained.curve if trained else [],
            fingerprints=self._fingerprints(cell),
            provenance=provenance(self.job.device),
        )

    def _fail(self, cell: Cell, error: Exception) -> None:
        reason = raised(error)
        self.folder.fail(cell.id, self._failure(cell, reason, "".join(traceback.format_exception(error))))
        self.tell(Event(self.number, "failed", 1.0, f"{cell}: {reason}"))

    def evaluate(self, cells: Sequence[Cell]) -> None:
        """Evaluate what is missing of each cell, all cells at once at each checkpoint and length."""
        if not cells:
            return
        there = {c.id: {e.key for e in self.folder.evaluations(c.id) if not e.raised} for c in cells}
        kept = {cell.id: self.folder.training(cell.id) for cell in cells}
        steps = sorted({step for record in kept.values() if record for step in record.checkpoints})
        for step in steps:
            wanted = [cell for cell in cells if (record := kept[cell.id]) and step in record.checkpoints]
            self._evaluate_at(step, wanted, there)
        for cell in cells:
            failed = any(record.raised for record in self.folder.evaluations(cell.id))
            self.tell(Event(self.number, "failed" if failed else "cell", 1.0, f"{cell}: {summary(self.folder, cell)}"))

    def _evaluate_at(self, step: int, cells: Sequence[Cell], there: dict[str, set[Any]]) -> None:
        missing = [
            (variant, length)
            for variant in self.job.variants
            for length in variant.lengths
            if any(variant.key(length, step, self.job.samples) not in there[c.id] for c in cells)
        ]
        if not missing:
            return
        population = load(
            [self._build(c) for c in cells], [self.folder.weights(c.id, step) for c in cells], self.device
        )
        for index, (variant, length) in enumerate(missing):
            self.tell(
                Event(self.number, "progress", self.share + (1 - self.share) * index / len(missing), f"length {length}")
            )
            for cell, record in zip(cells, self._evaluate(population, variant, length, step), strict=True):
                self.folder.add(cell.id, [record])

    def _evaluate(self, population: Population, variant: Variant, length: int, step: int) -> list[EvaluationRecord]:
        """Return each model's record of one length."""
        blank = EvaluationRecord(
            variant=variant.name,
            task=str(variant.task),
            length=length,
            step=step,
            rows=self.job.samples,
            device=self.job.device,
        )
        try:
            return self._scored(blank, population, variant.task)
        except Exception as error:
            status = "out of memory" if out_of_memory(error) else raised(error)
            return [blank.model_copy(update={"status": status})] * population.size

    def _scored(self, blank: EvaluationRecord, population: Population, task: Spec) -> list[EvaluationRecord]:
        presentation, length, reach = self._present(task), blank.length, population.model.reach
        if reach is not None and stream_length(presentation, length) > reach:
            return [blank.model_copy(update={"status": "beyond reach"})] * population.size
        began = time.perf_counter()
        source = fixed_set(presentation, str(task), "evaluate", length, self.job.samples, self.device)
        scores = score(population, presentation, source)
        spent = (time.perf_counter() - began) / population.size
        guess = cached_chance(presentation, str(task), length, str(self.recipe.answer), self.recipe.think)
        decoded = presentation.way == "generate" and presentation.graded_by_task
        facts = {"set_hash": set_hash(presentation(source)), "seconds": spent, "decoded": decoded}
        return [blank.model_copy(update=facts | _counts(each) | _guess(guess)) for each in scores]


def _counts(score: Score) -> dict[str, Any]:
    loss = score.loss if math.isfinite(score.loss) else None
    return {"exact": score.exact, "tokens": score.tokens, "right": score.right, "loss": loss}


def _guess(guess: Chance) -> dict[str, float]:
    return {"chance_exact": guess.exact, "chance_token": guess.token}


_CHANCES: dict[tuple[str, int, str, int], Chance] = {}


def cached_chance(presentation: Presentation, key: str, length: int, answer: str, think: int) -> Chance:
    """Return chance at a length, measured once a process."""
    where = (key, length, answer, think)
    if where not in _CHANCES:
        _CHANCES[where] = chance(presentation, key, length)
    return _CHANCES[where]


def raised(error: BaseException) -> str:
    """Return an error in one line."""
    message = str(error).strip().splitlines()
    return f"raised {type(error).__name__}: {message[0] if message else ''}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    words = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in words


def summary(folder: RunFolder, cell: Cell) -> str:
    """Return what a finished cell reached, in a few words."""
    record = folder.training(cell.id)
    assert record is not None
    found = folder.evaluations(cell.id)
    ok = [e for e in found if e.status == "ok" and not e.variant and e.step == record.checkpoints[-1]]
    tail = f", {ok[-1].exact / ok[-1].rows:.2f} at {ok[-1].length}" if ok else ""
    tail += next((f", {e.status} at {e.length}" for e in found if e.raised), "")
    return f"{record.validation_exact:.2f} exact in range{tail} ({record.seconds['train']:.0f} s)"
