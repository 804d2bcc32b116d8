"""Distillation: the output probabilities of a trained teacher are the targets (Hinton et al. 2015, section 2).

The teacher is another architecture, which is trained first on right answers with the recipe of the cell. It may then
answer questions longer than those. Its most probable answer is what both models read, and at each of its tokens the
student learns the teacher's distribution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.config.cell import Cell, Group
from harness.config.lengths import Span
from harness.config.stages import Distill, Part
from harness.data.batches import Batches
from harness.data.presentation import Batch
from harness.models.population import Population, build_seeded
from harness.registry.options import Spec
from harness.training.stages.answers import answer, as_batch, ask, by_model
from harness.training.stages.base import StageTrainer
from harness.training.stages.setting import Setting
from tasks.base import IGNORE


class DistillTrainer(StageTrainer[Distill]):
    """A teacher for each model, and questions that it answers.

    Attributes:
        teacher: the trained teachers; ``None`` before the first step of the stage.
        probabilities: log-probabilities of the teachers at each token of the last batch, float ``[R, B, T, V]``.
    """

    def __init__(self, setting: Setting, part: Part, stage: Distill) -> None:
        super().__init__(setting, part, stage)
        self.teacher: Population | None = None
        self.probabilities = torch.zeros(0)
        span = self.recipe.train_lengths
        recipe = self.recipe.model_copy(update={"train_lengths": Span(span.low, max(span.high, stage.to))})
        self.batches = Batches(self.presentation, setting.key, recipe, setting.seeds, setting.device)

    def prepare(self, step: int) -> None:
        """Train the teachers before the first step."""
        if step == self.part.first:
            self.teacher = self._trained_teacher()

    def length(self, step: int) -> int:
        """Return the length of the questions of a step."""
        return self.batches.lengths[step]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return questions with the teachers' answers, and note their log-probabilities."""
        assert self.teacher is not None
        asked = ask(self.presentation, self.presentation.task.sample(length, self.batches.stream(step, length)))
        batch = as_batch(self.presentation, asked, answer(self.teacher, asked, self.presentation.mode))
        self.probabilities = self._log_softmax(self.teacher, batch).detach()
        return batch

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean divergence of each student from its teacher over the tokens of the answers, float ``[R]``."""
        target = batch.target.unflatten(0, (self.population.size, -1))
        students = self._log_softmax(self.population, batch)
        return distillation_loss(students, self.probabilities, target != IGNORE, self.stage.temperature)

    def _log_softmax(self, population: Population, batch: Batch) -> Tensor:
        source, prefix, _ = by_model(batch, population.size)
        return F.log_softmax(population.logits(source, prefix) / self.stage.temperature, dim=-1)

    def _trained_teacher(self) -> Population:
        """Return teachers trained by right answers, with the seeds and the learning rates of the cells."""
        from harness.training.trainer import Trainer  # which makes the stages

        first = self.setting.group.first
        spec = Spec.parse("architecture", self.stage.teacher, first.architecture.catalog)
        steps = self.stage.teacher_steps or self.recipe.steps
        recipe = self.recipe.model_copy(update={"stages": "", "steps": steps, "warmup": min(self.recipe.warmup, steps)})
        cells = [
            Cell(spec, cell.task, recipe, cell.learning_rate * self.stage.teacher_rate, cell.seed)
            for cell in self.setting.group.cells
        ]
        teachers = self._built(spec)
        Trainer(teachers, Group(tuple(cells)), self.presentation, lambda step, loss: None).run()
        teachers.train(False)
        return teachers

    def _built(self, spec: Spec) -> Population:
        models = [build_seeded(spec, self.presentation.symbols, seed, f"teacher {spec}") for seed in self.setting.seeds]
        return Population(models, self.setting.device, self.population.numerics)

    def state(self) -> dict[str, Tensor]:
        """Return the parameters and buffers of the teachers."""
        if self.teacher is None:
            return {}
        return {"values": self.teacher.values.detach(), **self.teacher.untrained}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the teachers."""
        if not state:
            return
        first = self.setting.group.first
        self.teacher = self._built(Spec.parse("architecture", self.stage.teacher, first.architecture.catalog))
        with torch.no_grad():
            for name, stored in {"values": self.teacher.values, **self.teacher.untrained}.items():
                stored.copy_(state[name])
        self.teacher.train(False)


def distillation_loss(student: Tensor, teacher: Tensor, asked: Tensor, temperature: float) -> Tensor:
    """Return the divergence of teacher and student, the mean over asked tokens, times the squared temperature.

    Args:
        student, teacher: log-probabilities at the temperature, float ``[R, B, T, V]``.
        asked: the tokens that count, bool ``[R, B, T]``.
    """
    divergence = (teacher.exp() * (teacher - student)).sum(-1) * asked
    return temperature**2 * divergence.flatten(1).sum(1) / asked.flatten(1).sum(1).clamp(min=1)
