"""Stages that sample answers, rate them, and learn from them for some steps before they sample again."""

from typing import TypeVar

import torch
from torch import Tensor

from harness.config.stages import Part, Sampled
from harness.data.presentation import Batch
from harness.data.rng import Stream
from harness.training.stages.answers import answer, as_batch, by_model, gumbel
from harness.training.stages.base import StageTrainer
from harness.training.stages.reference import Reference
from harness.training.stages.setting import Setting
from tasks.base import IGNORE

S = TypeVar("S", bound=Sampled)


class SampledTrainer(StageTrainer[S]):
    """Common part of these stages.

    Attributes:
        reference: the models at the beginning of the stage.
        kept: the answers of the last draw and what :meth:`rated` returned, by name; one row for each model.
    """

    def __init__(self, setting: Setting, part: Part, stage: S) -> None:
        super().__init__(setting, part, stage)
        self.reference = Reference(self.population)
        self.kept: dict[str, Tensor] = {}

    def rated(self, asked: Batch, tokens: Tensor, answers: Batch, before: Tensor) -> dict[str, Tensor]:
        """Return what the losses need beside the answers, by name; one row for each model.

        Args:
            asked: the questions with their right answers, ``R x B`` rows.
            tokens: the sampled answers, long ``[R * B, T]``.
            answers: the questions with the sampled answers.
            before: log-probabilities of their tokens, float ``[R, B, T]``.
        """
        raise NotImplementedError

    def repeats(self) -> int:
        """Return how often each question is answered."""
        return 1

    def prepare(self, step: int) -> None:
        """Keep the model at the beginning of the stage; forget answers that were used often enough."""
        if step == self.part.first:
            self.reference.keep()
        if (step - self.part.first) % self.stage.reuse == 0:
            self.kept = {}

    def length(self, step: int) -> int:
        """Return the length of the questions; answers that are used again have the length of their own step."""
        return self.setting.batches.lengths[step - (step - self.part.first) % self.stage.reuse]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return new answers, or those of the last draw if they are used again."""
        if not self.kept:
            self.kept = self._sample(step, length)
        return Batch(self.kept["source"], self.kept.get("prefix"), self.kept["target"]).map(lambda x: x.flatten(0, 1))

    def _sample(self, step: int | Tensor, length: int) -> dict[str, Tensor]:
        keys, presentation = self.setting.batches.keys, self.presentation
        stream = Stream.from_keys(keys, step, self.recipe.batch_size // self.repeats())
        truth = presentation(presentation.task.sample(length, stream))
        asked = truth.map(lambda x: x.repeat_interleave(self.repeats(), dim=0))
        noise = gumbel(keys, step, self.recipe.batch_size, asked.target.shape[1], len(presentation.symbols))
        tokens = answer(self.population, asked, presentation.mode, noise)
        answers = as_batch(presentation, asked, tokens)
        tensors = {name: x for name, x in by_model(answers, len(keys))._asdict().items() if x is not None}
        now = Reference(self.population)
        now.keep()
        before = now.token_log_probabilities(answers)
        return {**tensors, "before": before, **self.rated(asked, tokens, answers, before)}

    def state(self) -> dict[str, Tensor]:
        """Return the models at the beginning of the stage, and the last answers."""
        return self.reference.state() | self.kept

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        self.reference.load_state(state)
        self.kept = {name: x.to(self.setting.device) for name, x in state.items() if name != "reference"}


def clipped_gain(now: Tensor, before: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the clipped probability ratio times the advantage (Schulman et al. 2017, equation 7).

    Args:
        now, before: log-probabilities of the token under the model, and under the model that sampled it.
        advantage: of the token, or of its answer.
        clip: the ratio counts between ``1 - clip`` and ``1 + clip``.
    """
    ratio = (now - before).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def mean_over_answers(losses: Tensor, target: Tensor) -> Tensor:
    """Return the mean over answers of each answer's mean loss of its tokens, float ``[R]``, from ``[R, B, T]``."""
    asked = target != IGNORE
    return ((losses * asked).sum(-1) / asked.sum(-1).clamp(min=1)).mean(-1)
