"""The trainer. It trains a population of models; a population of one is an ordinary training.

One step: random stream -> sample -> solve -> presentation -> forward -> loss -> backward -> optimizer. Where the recipe
has stages, the current stage draws the batch and computes the loss (``stages/``).

A step never waits for the device, because losses stay there until the next log point. The number of the step is a
device tensor too, so a GPU can replay the step as a CUDA graph. All models of a population share the length of a step
(``data/step_lengths.py``). Each has its own last step (``stopping.py``).
"""

import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from harness.config.cell import Group
from harness.data.batches import Batches
from harness.data.presentation import Batch, Presentation
from harness.evaluation.malloc import keep_freed_memory
from harness.models.population import Population
from harness.training.cuda_graphs import CUDARecorder, GraphedFunction, GraphRecorder
from harness.training.drawn_questions import DrawnQuestions
from harness.training.gradient_free import GradientFree
from harness.training.make_optimizer import make_optimizer
from harness.training.snapshot import Snapshot, generator_states, set_generator_states
from harness.training.stages.base import StageTrainer
from harness.training.stages.pipeline import Pipeline
from harness.training.stages.setting import Setting
from harness.training.stopping import Stopping
from harness.training.trained import Trained, Training
from harness.training.validation import masters, solve_all_lengths, validate

LOG_POINTS = 50
GROWTH_CHECKS = 200
"""Evenly spaced steps after which training lengths grow by one if the model has mastered the longest one."""

SNAPSHOT_SECONDS = 300.0
"""Seconds between two snapshots, which is the most training that a killed process loses."""

OF_STAGE = "stage."
"""Begins the names of the rows of a snapshot that the current stage has made."""

Listen = Callable[[int, float], None]
"""Called at log points with the number of steps done and the mean loss since the last call."""

Save = Callable[["Trainer"], None]
"""Called with the trainer between two steps, each time that :data:`SNAPSHOT_SECONDS` have passed."""

Timer = Callable[[str], AbstractContextManager[None]]
"""Returns a context manager around a phase of a step."""


def untimed(phase: str) -> AbstractContextManager[None]:
    """Measure nothing."""
    return nullcontext()


class Trainer:
    """Trains one population by its recipe.

    Args:
        population: freshly built models, one for each cell of the group.
        group: the cells.
        presentation: how the task is asked.
        listen: see :data:`Listen`.
        save: see :data:`Save`; ``None`` takes no snapshots.
        batches: the class of the training batches; it is built for the group's task and seeds.
        timer: a context manager by phase (``data``, ``forward``, ``backward``, ``optimizer``), for measurements.
        tested: hashes of test questions by length, on the device of the population; see :class:`Trained`.
    """

    def __init__(
        self,
        population: Population,
        group: Group,
        presentation: Presentation,
        listen: Listen,
        save: Save | None = None,
        batches: type[Batches] = Batches,
        timer: Timer = untimed,
        tested: Mapping[int, Tensor] | None = None,
    ) -> None:
        if population.values.device.type == "cpu":
            keep_freed_memory()
        self.tested = tested or {}
        self.population, self.listen, self.save, self.timer = population, listen, save, timer
        self.recipe, self.key = group.first.recipe, str(group.first.task)
        self.device = population.values.device
        self.presentation = presentation.on(self.device)
        seeds = [cell.seed for cell in group.cells]
        self.batches = batches(self.presentation, self.key, self.recipe, seeds, self.device)
        rates = torch.tensor([cell.learning_rate for cell in group.cells])
        gradient_free = population.model.is_gradient_free()
        self.optimizer = GradientFree(population) if gradient_free else make_optimizer(population, self.recipe, rates)
        self.pipeline = Pipeline(Setting(population, group, self.presentation, self.batches))
        self.models = [Trained() for _ in group.cells]
        self.losses = population.values.new_zeros(self.recipe.steps, population.size)
        self.stopping = Stopping(self.recipe, population.size, self.losses, self.pipeline.factors)
        self.step_index = torch.zeros(1, dtype=torch.long, device=self.device)
        self.drawn = DrawnQuestions(population.size, self.recipe.steps, self.recipe.batch_size, self.device)
        self.graphed: dict[str, GraphedFunction] = {}
        capturable = self.optimizer.capturable and self.pipeline.plain
        if self.device.type == "cuda" and population.numerics.capture and capturable:
            self.use_graphs(CUDARecorder(self.device))
        self.done, self.attended, self.logged, self.tokens = 0, 0, 0, 0
        self.spent, self.validating = 0.0, 0.0
        self.began = self.saved = time.perf_counter()

    def run(self) -> Training:
        """Train, validate and keep checkpoints until the steps are used or no model is left to train."""
        self.saved = time.perf_counter()
        self.began = self.saved - self.spent
        counts = (LOG_POINTS, self.recipe.validations, self.recipe.checkpoints, GROWTH_CHECKS)
        log, validate, keep, grow = (set(self.recipe.moments(count)) for count in counts)
        keep |= self.pipeline.checkpoints
        while self.attended < self.recipe.steps:
            if self.done == self.attended:
                self.step()
            is_validated = self.done in validate or self.done in self.stopping.last_steps
            if is_validated:
                self.validate()
            elif self.done in log:
                self.log()
            if self.done in grow:
                self.grow()
            if self.done in keep:
                self.keep()
            self.attended = self.done
            if (is_validated or self.done in log) and not bool(self.optimizer.alive.any()):
                break
            if self.save and time.perf_counter() - self.saved >= SNAPSHOT_SECONDS:
                self.save(self)
                self.saved = time.perf_counter()
        return self._finish(time.perf_counter() - self.began)

    def state_dict(self) -> Snapshot:
        """Return everything that a fresh trainer of the same cells needs to continue from this step.

        Raises:
            StateError: the optimizer's state cannot be stored.
        """
        return Snapshot(
            done=self.done,
            attended=self.attended,
            logged=self.logged,
            tokens=self.tokens,
            spent=time.perf_counter() - self.began,
            validating=self.validating,
            rows={name: row.detach().to("cpu", copy=True) for name, row in (self._rows() | self._made()).items()},
            models=[
                {
                    "curve": list(m.curve),
                    "checkpoints": dict(m.checkpoints),
                    "fitted_at": self.stopping.fitted_at[index],
                    **self.optimizer.model_state(index),
                }
                for index, m in enumerate(self.models)
            ],
            random=generator_states(self.device),
            in_use=self.batches.lengths.in_use,
        )

    def fits(self, state: Snapshot) -> bool:
        """Whether a snapshot has the parameters and persistent buffers of these models, in their shapes."""
        population = self.population
        needed = {f"untrained.{name}": t for name, t in population.untrained.items() if name in population.stored}
        needed["values"] = population.values
        return all(name in state.rows and state.rows[name].shape == t.shape for name, t in needed.items())

    @torch.no_grad()
    def load_state_dict(self, state: Snapshot) -> None:
        """Continue from the step at which :meth:`state_dict` was called; the cells must be the same."""
        self.done, self.attended, self.logged = state.done, state.attended, state.logged
        self.tokens, self.spent, self.validating = state.tokens, state.spent, state.validating
        self.step_index.fill_(state.done)
        for name, row in self._rows().items():
            if name in state.rows:  # a snapshot of an earlier version has no buffers; see ``fits``
                row.copy_(state.rows[name])
        for index, (model, stored) in enumerate(zip(self.models, state.models, strict=True)):
            model.curve, model.checkpoints = list(stored["curve"]), dict(stored["checkpoints"])
            self.optimizer.load_model_state(index, stored)
            if stored["fitted_at"] is not None:
                self.stopping.mark_fitted(index, stored["fitted_at"])
        self.batches.lengths.in_use = state.in_use
        made = {name.removeprefix(OF_STAGE): row for name, row in state.rows.items() if name.startswith(OF_STAGE)}
        self._last_stage.load_snapshot(made)
        set_generator_states(state.random, self.device)

    def _rows(self) -> dict[str, Tensor]:
        """Return the tensors that change in training, one row for each model. Snapshot files use their names."""
        history = {"losses": self.losses[: self.done].T, "seen": self.drawn.of_steps(self.done)}
        untrained = {f"untrained.{name}": tensor for name, tensor in self.population.untrained.items()}
        return {"values": self.population.values, **untrained, **self.optimizer.rows(), **history}

    def _made(self) -> dict[str, Tensor]:
        """Return what the stage of the last step has made, one row for each model."""
        return {f"{OF_STAGE}{name}": row for name, row in self._last_stage.snapshot().items()}

    @property
    def stage(self) -> StageTrainer[Any]:
        """The stage of the current step."""
        return self.pipeline.at(self.done)

    @property
    def _last_stage(self) -> StageTrainer[Any]:
        return self.pipeline.at(max(0, self.done - 1))

    def use_graphs(self, recorder: GraphRecorder) -> None:
        """Record the parts of a step, and replay them from the third step of each length on."""
        trainer = weakref.proxy(self)  # a strong reference would be cyclic and delay the release of GPU memory
        self.graphed = {
            "draw": GraphedFunction(lambda *inputs: trainer.draw(*inputs), recorder),
            "learn": GraphedFunction(lambda *inputs: trainer.learn(*inputs), recorder),
        }

    def step(self) -> None:
        """Take one training step."""
        if self.pipeline.starts_at(self.done):
            self.optimizer.restart()
        self.stage.prepare(self.done)
        length = self.stage.length(self.done)
        batch = self.graphed.get("draw", self.draw)(length)
        self.graphed.get("learn", self.learn)(length, *batch)
        self.tokens += self.recipe.batch_size * batch.stream_length
        self.done += 1

    def draw(self, length: int) -> Batch:
        """Return the batch of the current step. Its number is a device tensor, so a captured graph can advance it."""
        with self.timer("data"):
            return self.stage.draw(self.step_index, length)

    def learn(self, length: int, source: Tensor, prefix: Tensor | None, target: Tensor) -> None:
        """Learn from one batch. ``length`` is not used here: it selects the CUDA graph that is replayed."""
        batch, stage = Batch(source, prefix, target), self.stage
        with self.timer("forward"):
            losses = stage.losses(batch)
        self.losses.index_copy_(0, self.step_index, losses.detach()[None])
        self.drawn.add(stage.questions(batch), self.step_index)
        # Parameters and buffers change last, so a step that ran out of memory before can be repeated.
        if self.optimizer.needs_gradients:
            with self.timer("backward"):
                self.population.backward(losses)
        self.population.keep_changes(self.optimizer.alive[:, 0])
        with self.timer("optimizer"):
            stage.update(self.optimizer, self.stopping.factors.index_select(0, self.step_index).T, batch)
        self.step_index += 1

    def log(self) -> list[dict[str, Any]]:
        """Read the losses since the last log point into the curves; return the new points."""
        means = self.losses[self.logged : self.done].mean(0).tolist()
        self.logged = self.done
        alive = self.optimizer.alive[:, 0].tolist()
        points = [{"step": self.done, "loss": mean} for mean in means]
        for model, point, is_alive in zip(self.models, points, alive, strict=True):
            if is_alive:
                model.curve.append(point)
        self.listen(self.done, sum(means) / len(means))
        return points

    def validate(self) -> None:
        """Score at training lengths, mark models that fit, and freeze those that have taken their last step."""
        began = time.perf_counter()
        questions = self.population, self.presentation, self.key
        scores = validate(*questions, self.recipe)
        points = self.log()
        for point, (exact, loss) in zip(points, scores, strict=True):
            point |= {"validation_exact": exact, "validation_loss": loss}
        candidates = [
            exact == 1.0 and at is None for (exact, _), at in zip(scores, self.stopping.fitted_at, strict=True)
        ]
        if any(candidates):
            for index, solves in enumerate(solve_all_lengths(*questions, self.recipe)):
                if solves and candidates[index]:
                    self.stopping.mark_fitted(index, self.done)
        stopped = torch.tensor([last <= self.done for last in self.stopping.last_steps], device=self.device)
        if self.done < self.recipe.steps:
            self.optimizer.freeze(stopped)
        self.validating += time.perf_counter() - began

    def grow(self) -> None:
        """Use one more training length if lengths grow by mastery and the longest one is mastered."""
        lengths = self.batches.lengths
        if lengths.can_grow and masters(self.population, self.presentation, self.key, lengths.longest_in_use):
            lengths.in_use += 1

    def keep(self) -> None:
        """Keep the current weights of all models as checkpoints."""
        for index, model in enumerate(self.models):
            model.checkpoints[self.done] = self.population.weights(index)

    def _finish(self, seconds: float) -> Training:
        lived = self.optimizer.lived.tolist()
        for index, model in enumerate(self.models):
            model.steps_used, model.fitted_at = lived[index], self.stopping.fitted_at[index]
            # In a population, batches are drawn for a model after it was frozen, but it does not learn from them.
            model.distinct, model.seen = self.drawn.shares(index, lived[index], self.tested)
            if lived[index] < min(self.stopping.last_steps[index], self.done):
                model.failure = (
                    f"diverged: the gradient was not finite at step {lived[index] + 1} of {self.recipe.steps}"
                )
            if self.done not in model.checkpoints:
                model.checkpoints[self.done] = self.population.weights(index)
        phases = {"train": seconds - self.validating, "validate": self.validating}
        programs = {name: str(function) for name, function in self.graphed.items()}
        return Training(self.population, self.models, phases, self.tokens, programs)
