"""The one trainer. It trains populations; a population of one is the plain case.

stream -> sample -> solve -> present -> forward -> loss -> backward -> step

Nothing in a step waits for the device: losses stay there until the next log point. What a step knows but its length
lies on the device too, the number of the step included, so that a GPU replays it as one program. The length of step
``t`` depends on the task, the recipe's lengths and ``t`` alone, so that all models of a population share it.
"""

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.config.cell import Group
from harness.config.lengths import even_grid
from harness.config.recipe import Recipe
from harness.data.batches import Data, train_lengths
from harness.data.presentation import Presentation, Presented
from harness.data.rng import mix
from harness.evaluation.scoring import fixed_set, score
from harness.models.population import Population
from harness.training.cuda_graphs import Captured, GraphLane, Lane
from harness.training.gradient_free import Fitting
from harness.training.optimizer import AdamW

LOG_POINTS = 50
VALIDATION_ROWS = 128
VALIDATION_LENGTHS = 5
DISTINCT_DRAWS = 1 << 20

Listen = Callable[[int, float], None]
"""Called at log points with the number of steps done and the mean loss since the last call."""

SNAPSHOT_SECONDS = 300.0
"""How much training a kill may lose."""

Save = Callable[["Trainer"], None]
"""Called with the trainer between two steps, whenever that much time has passed."""


@dataclass
class Trained:
    """What one model's training left behind.

    ``curve`` holds a point per log point: step, loss and, where validated, validation_exact and validation_loss.
    ``failure`` says why the model did not finish, empty if it did.
    """

    steps_used: int = 0
    failure: str = ""
    curve: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    distinct: float = 1.0


@dataclass
class Training:
    """A trained population with each model's record, and the seconds by phase.

    ``tokens`` counts source and prefix tokens of one model; ``programs`` says of each part of a step how a GPU ran it.
    """

    population: Population
    models: list[Trained]
    seconds: dict[str, float]
    tokens: int
    programs: dict[str, str]


class Trainer:
    """Trains one population to the end of its recipe.

    Args:
        population: freshly built models, one for each cell of the group.
        group: the cells.
        presentation: how the task is asked.
        listen: see :data:`Listen`.
        save: see :data:`Save`; ``None`` for nobody.
    """

    def __init__(
        self,
        population: Population,
        group: Group,
        presentation: Presentation,
        listen: Listen,
        save: Save | None = None,
    ) -> None:
        self.population, self.listen, self.save = population, listen, save
        self.recipe, self.key = group.first.recipe, str(group.first.task)
        self.device = population.values.device
        self.presentation = presentation.on(self.device)
        self.data = Data(self.presentation, self.key, self.recipe, [cell.seed for cell in group.cells], self.device)
        rates = torch.tensor([cell.learning_rate for cell in group.cells])
        by_itself = population.model.fits_itself()
        self.optimizer = Fitting(population) if by_itself else make_optimizer(population, self.recipe, rates)
        self.models = [Trained() for _ in group.cells]
        self.losses = population.values.new_zeros(self.recipe.steps, population.size)
        self.factors = self.losses.new_tensor([self.recipe.factor(step) for step in range(self.recipe.steps)])
        self.at = torch.zeros(1, dtype=torch.long, device=self.device)
        rows = self.recipe.batch_size
        self.remembered = min(self.recipe.steps, DISTINCT_DRAWS // rows)
        self.seen = torch.zeros(population.size, self.remembered + 1, rows, dtype=torch.long, device=self.device)
        self.captured: dict[str, Captured] = {}
        if self.device.type == "cuda" and population.numerics.capture and not by_itself:
            self.replay(GraphLane(self.device))
        self.done, self.attended, self.logged, self.tokens = 0, 0, 0, 0
        self.spent, self.validating = 0.0, 0.0
        self.began = self.saved = time.perf_counter()

    def run(self) -> Training:
        """Train, validate and keep checkpoints; return when the steps are used or no model is left to train."""
        self.saved = time.perf_counter()
        self.began = self.saved - self.spent
        log, validate, keep = (
            set(self.recipe.moments(n)) for n in (LOG_POINTS, self.recipe.validations, self.recipe.checkpoints)
        )
        while self.attended < self.recipe.steps:
            if self.done == self.attended:
                self.step()
            if self.done in validate:
                self.validate()
            elif self.done in log:
                self.log()
            if self.done in keep:
                self.keep()
            self.attended = self.done
            if (self.done in validate or self.done in log) and not bool(self.optimizer.alive.any()):
                break
            if self.save and time.perf_counter() - self.saved >= SNAPSHOT_SECONDS:
                self.save(self)
                self.saved = time.perf_counter()
        return self._finish(time.perf_counter() - self.began)

    def replay(self, lane: Lane) -> None:
        """Take steps as replays of what is captured on a lane, from the third step of a length on."""
        me = weakref.proxy(self)  # or else the trainer and its memory would outlive their last use
        self.captured = {
            "draw": Captured(lambda *given: me.draw(*given), lane),
            "learn": Captured(lambda *given: me.learn(*given), lane),
        }

    def step(self) -> None:
        """Take one step of the optimizer, or fit one batch."""
        length = self.data.lengths[self.done]
        batch = self.captured.get("draw", self.draw)(length)
        self.captured.get("learn", self.learn)(length, *batch)
        self.tokens += self.recipe.batch_size * batch.stream_length
        self.done += 1

    def draw(self, length: int) -> Presented:
        """Make the batch of the step that the device is at."""
        return self.data.draw(self.at, length)

    def learn(self, length: int, source: Tensor, prefix: Tensor | None, target: Tensor) -> None:
        """Learn from one batch; ``length`` is told by its shape, and names the program that a GPU replays."""
        batch = Presented(source, prefix, target)
        losses = self.population.losses(batch, self.recipe.label_smoothing)
        self.losses.index_copy_(0, self.at, losses.detach()[None])
        self._remember(source)
        self._update(batch, losses)  # last: where memory runs out before it, nothing has changed
        self.at += 1

    def _update(self, batch: Presented, losses: Tensor) -> None:
        if isinstance(self.optimizer, Fitting):
            self.optimizer.step(batch)
            return
        self.population.backward(losses)
        self.optimizer.step(self.factors.index_select(0, self.at))

    def log(self) -> list[dict[str, Any]]:
        """Read the losses since the last log point into the curves; return the new points."""
        means = self.losses[self.logged : self.done].mean(0).tolist()
        self.logged = self.done
        alive = self.optimizer.alive[:, 0].tolist()
        points = [{"step": self.done, "loss": mean} for mean in means]
        for model, point, lives in zip(self.models, points, alive, strict=True):
            if lives:
                model.curve.append(point)
        self.listen(self.done, sum(means) / len(means))
        return points

    def validate(self) -> None:
        """Score at training lengths; with ``stop_when_fitted``, freeze the models that get everything right."""
        began = time.perf_counter()
        scores = validate(self.population, self.presentation, self.key, self.recipe)
        points = self.log()
        for point, (exact, loss) in zip(points, scores, strict=True):
            point |= {"validation_exact": exact, "validation_loss": loss}
        if self.recipe.stop_when_fitted:
            fitted = torch.tensor([exact == 1.0 for exact, _ in scores], device=self.device)
            self.optimizer.freeze(fitted)
        self.validating += time.perf_counter() - began

    def keep(self) -> None:
        """Keep the weights of this moment."""
        for index, model in enumerate(self.models):
            model.checkpoints[self.done] = self.population.weights(index)

    def _remember(self, source: Tensor) -> None:
        """Keep a hash of every question, to count the distinct ones at the end; the last place is for all the rest."""
        place = torch.arange(source.shape[1], device=source.device)
        hashes = mix((source + 1) * mix(place + 1)).sum(1).view(len(self.seen), 1, -1)
        self.seen.index_copy_(1, self.at.clamp(max=self.remembered), hashes)

    def _finish(self, seconds: float) -> Training:
        lived, alive = self.optimizer.lived.tolist(), self.optimizer.alive[:, 0].tolist()
        drawn = self.seen[:, : min(self.done, self.remembered)].flatten(1)
        for index, model in enumerate(self.models):
            model.steps_used = lived[index]
            model.distinct = drawn[index].unique().numel() / max(1, drawn.shape[1])
            fitted = bool(model.curve) and model.curve[-1].get("validation_exact") == 1.0
            if not alive[index] and not (self.recipe.stop_when_fitted and fitted):
                model.failure = (
                    f"diverged: the gradient was not finite at step {lived[index] + 1} of {self.recipe.steps}"
                )
            if self.done not in model.checkpoints:
                model.checkpoints[self.done] = self.population.weights(index)
        phases = {"train": seconds - self.validating, "validate": self.validating}
        programs = {name: str(part) for name, part in self.captured.items()}
        return Training(self.population, self.models, phases, self.tokens, programs)


def make_optimizer(population: Population, recipe: Recipe, rates: Tensor) -> AdamW:
    """Return the optimizer of a population under a recipe; ``rates`` ``[R]`` are the peak learning rates."""
    betas = (recipe.beta1, recipe.beta2)
    return AdamW(
        population.values, population.grads, rates, weight_decay=recipe.weight_decay, clip=recipe.clip, betas=betas
    )


def validate(population: Population, presentation: Presentation, key: str, recipe: Recipe) -> list[tuple[float, float]]:
    """Return (exact match, loss) of each model, the mean over a few training lengths, on a set of its own."""
    choices = train_lengths(presentation.task, recipe)
    picked = [choices[i] for i in even_grid(0, len(choices) - 1, VALIDATION_LENGTHS)]
    device = population.values.device
    each = [
        score(population, presentation, fixed_set(presentation, key, "validate", length, VALIDATION_ROWS, device))
        for length in picked
    ]
    pooled = list(zip(*each, strict=True))
    return [(sum(s.exact for s in m) / sum(s.n for s in m), sum(s.loss for s in m) / len(m)) for m in pooled]
