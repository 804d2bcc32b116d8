"""The evaluator: scores trained cells at the lengths and variants that have no record yet."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from harness.config.cell import Cell
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.data.step_lengths import train_lengths
from harness.evaluation.carried import CarriedPresentation, with_text
from harness.evaluation.chance import Chance, chance
from harness.evaluation.error_places import Bins, error_places
from harness.evaluation.scoring import Score, distinct_set, score, set_hash
from harness.evaluation.shortcuts import FIRST_LENGTHS, Audit, ReaderScore
from harness.execution.job import JobContext, error_text
from harness.execution.plan import Variant
from harness.models.population import Population, load
from harness.registry.options import Spec
from harness.registry.user_code import contained
from harness.storage.cell_records import CellRecords
from harness.storage.records import NOT_FINITE, OK, ErrorCounts, EvaluationRecord
from harness.training.memory import is_out_of_memory, release_memory, split_in_half

OUT_OF_MEMORY = "out of memory"


class Evaluator(JobContext):
    """Evaluates the cells of a job as one population; if that raises an error, in halves, down to single models."""

    def evaluate(self, cells: Sequence[Cell]) -> None:
        """Evaluate the cells together at each checkpoint and length at which any of them has no record."""
        if not cells:
            return
        records = {cell.id: self.folder.cell(cell.id) for cell in cells}
        checkpoints = {cell: record.training.checkpoints for cell, record in records.items() if record.training}
        evaluated = {cell: record.evaluated for cell, record in records.items()}
        for step in sorted({step for steps in checkpoints.values() for step in steps}):
            self._evaluate_at(step, [cell for cell in cells if step in checkpoints.get(cell.id, ())], evaluated)
        for cell in cells:
            finished = self.folder.cell(cell.id)
            failed = any(record.raised for record in finished.evaluations)
            self.finish_cell("failed" if failed else "cell", cell, summary(finished))

    def _evaluate_at(self, step: int, cells: Sequence[Cell], evaluated: dict[str, set[Any]]) -> None:
        missing = [
            (variant, length)
            for variant in self.job.variants
            for length in variant.lengths
            if any(not variant.is_in(evaluated[cell.id], length, step, self.job.samples) for cell in cells)
        ]
        if not missing or self._evaluated_together(step, cells, missing, evaluated):
            return
        for half in split_in_half(len(cells)):
            release_memory(self.device)
            self._evaluate_at(step, cells[half], evaluated)

    def _evaluated_together(
        self, step: int, cells: Sequence[Cell], missing: Sequence[tuple[Variant, int]], evaluated: dict[str, set[Any]]
    ) -> bool:
        """Evaluate the cells as one population; return ``False`` if that fails and smaller groups have to be tried."""
        population = self._population(cells, step)
        for index, (variant, length) in enumerate(missing):
            self.progress(self.share + (1 - self.share) * index / len(missing), f"length {length}")
            records = self._evaluate(population, len(cells), variant, length, step)
            # A smaller group may have the memory, and a single model needs no operator that torch can batch.
            if len(cells) > 1 and (records[0].raised or records[0].status == OUT_OF_MEMORY):
                return False
            for cell, record in zip(cells, records, strict=True):
                self.folder.add(cell.id, [record])
                evaluated[cell.id].add(record.key)
        return True

    def _population(self, cells: Sequence[Cell], step: int) -> Population | Exception:
        """Return the cells' models with their weights, or the error of code that has changed or is the user's."""
        weights = [self.folder.weights(cell.id, step) for cell in cells]
        try:
            with contained():
                return load([self.build(cell) for cell in cells], weights, self.device, self.job.numerics)
        except Exception as error:
            return error

    def _evaluate(
        self, population: Population | Exception, size: int, variant: Variant, length: int, step: int
    ) -> list[EvaluationRecord]:
        """Return the record of each of ``size`` models at one length. An error becomes the status of the records."""
        blank = EvaluationRecord(
            variant=variant.name,
            task=str(variant.task),
            length=length,
            step=step,
            rows=self.job.samples,
            carried=variant.carried,
            device=self.job.device,
            precision=self.job.numerics.precision,
        )
        try:
            if isinstance(population, Exception):
                raise population
            with contained():
                return self._score(blank, population, variant.task)
        except Exception as error:
            status = OUT_OF_MEMORY if is_out_of_memory(error) else error_text(error)
            return [blank.model_copy(update={"status": status})] * size

    def _score(self, blank: EvaluationRecord, population: Population, task: Spec) -> list[EvaluationRecord]:
        presentation, length, reach = self.present(task), blank.length, population.model.reach
        if reach is not None and blank.carried + presentation.stream_length(length) > reach:
            return [blank.model_copy(update={"status": "beyond reach"})] * population.size
        start = time.perf_counter()
        on_device = presentation.on(self.device)
        source = distinct_set(on_device, str(task), length, self.job.samples, self.device)
        if blank.carried:
            longest = max(fitting_lengths(presentation, self.recipe))
            source = with_text(on_device, str(task), source, blank.carried, longest)
            on_device = CarriedPresentation.behind(on_device, blank.carried)
        with self.job.numerics.autocast(self.device):  # token-by-token decoding bypasses Numerics.forward
            scores = score(population, on_device, source)
        seconds = (time.perf_counter() - start) / population.size
        asked = replace(presentation, begin=False)  # guesses and simple readers depend on the task alone
        guess = cached_chance(asked, str(task), length, str(self.recipe.answer), self.recipe.think)
        floor = cached_floor(asked, str(task), self.recipe, length)
        decoded = presentation.mode == "generate" and presentation.graded_by_task
        common = {"set_hash": set_hash(on_device(source)), "seconds": seconds, "decoded": decoded}
        common |= _guess(guess) | _floor(floor)
        errors = self._errors(population, on_device, source, carried=blank.carried)
        return [
            blank.model_copy(update=common | _counts(of_model) | of_errors)
            for of_model, of_errors in zip(scores, errors, strict=True)
        ]

    def _errors(
        self, population: Population, presentation: Presentation, source: Tensor, *, carried: int
    ) -> list[dict[str, ErrorCounts | None]]:
        """Return where the errors of each model sit; from a carried state they are not counted."""
        if carried:
            return [{}] * population.size
        with self.job.numerics.autocast(self.device):
            places = error_places(population, presentation, source)
        return [_places(*bins) for bins in zip(places.by_position(), places.by_events(), strict=True)]


def _counts(score: Score) -> dict[str, Any]:
    loss = score.loss if math.isfinite(score.loss) else None
    status = NOT_FINITE if score.unanswered else OK
    counts = {"distinct": score.n, "exact": score.exact, "tokens": score.tokens, "right": score.right}
    return {"status": status, "loss": loss, **counts}


def _places(by_position: Bins | None, by_events: Bins | None) -> dict[str, ErrorCounts | None]:
    bins = {"by_position": by_position, "by_events": by_events}
    return {name: None if counts is None else ErrorCounts(**counts._asdict()) for name, counts in bins.items()}


def _guess(guess: Chance) -> dict[str, float]:
    return {"chance_exact": guess.exact, "chance_token": guess.token}


def _floor(floor: ReaderScore) -> dict[str, Any]:
    return {"shortcut": floor.reader, "shortcut_exact": floor.exact, "shortcut_token": floor.token}


_AUDITS: dict[tuple[str, str, str, int], Audit] = {}
_FLOORS: dict[tuple[str, str, str, int, int], ReaderScore] = {}


def fitting_lengths(presentation: Presentation, recipe: Recipe) -> list[int]:
    """Return the training lengths that a task has; a variant that has none of them gets its first lengths instead."""
    return list(train_lengths(presentation.task, recipe)) or list(presentation.task.lengths[:FIRST_LENGTHS])


def cached_floor(presentation: Presentation, key: str, recipe: Recipe, length: int) -> ReaderScore:
    """Return the strongest shortcut at a length, fitted at the recipe's training lengths, once in each process."""
    audit_key = (key, str(recipe.train_lengths), str(recipe.answer), recipe.think)
    if audit_key not in _AUDITS:
        _AUDITS[audit_key] = Audit(presentation, key, fitting_lengths(presentation, recipe))
    if (*audit_key, length) not in _FLOORS:
        _FLOORS[*audit_key, length] = _AUDITS[audit_key].floor(length)
    return _FLOORS[*audit_key, length]


_CHANCES: dict[tuple[str, int, str, int], Chance] = {}


def cached_chance(presentation: Presentation, key: str, length: int, answer: str, think: int) -> Chance:
    """Return chance at a length, measured once in each process."""
    cache_key = (key, length, answer, think)
    if cache_key not in _CHANCES:
        _CHANCES[cache_key] = chance(presentation, key, length)
    return _CHANCES[cache_key]


def summary(records: CellRecords) -> str:
    """Return a line about a finished cell: exact match in range and at the longest length, problems, seconds."""
    training, evaluations = records.training, records.evaluations
    assert training is not None
    main = [e for e in evaluations if e.scored and not e.variant and e.step == training.checkpoints[-1]]
    last = max(main, key=lambda evaluation: evaluation.length, default=None)
    longest = f", {last.exact / last.n:.2f} at {last.length}" if last else ""
    error = next((f", {e.status} at {e.length}" for e in evaluations if e.raised), "")
    error += next((f", {e.status} at {e.length}" for e in evaluations if e.status == NOT_FINITE), "")
    return f"{training.validation_exact:.2f} exact in range{longest}{error} ({training.seconds['train']:.0f} s)"
