"""Group relative policy optimization (Shao et al. 2024, arXiv 2402.03300, equation 3), rewarded by the task itself.

Each question is answered several times. An answer is as good as its reward exceeds the mean of its group, in standard
deviations. The model learns from its own answers and their rewards only.
"""

import torch
from torch import Tensor

from harness.config.stages import GRPO, Part
from harness.data.presentation import Batch
from harness.data.rng import Stream
from harness.training.stages.answers import answer, as_batch, gumbel, right_before_error, token_log_probabilities
from harness.training.stages.base import Setting, StageTrainer
from harness.training.stages.reference import Reference
from tasks.base import IGNORE

EPSILON = 1e-4
"""Added to the standard deviation of a group, so that a group of equal rewards has no advantage."""


class GRPOTrainer(StageTrainer[GRPO]):
    """Groups of sampled answers to ``batch_size / answers`` questions.

    Attributes:
        kept: the answers of the last draw with their advantages ``[R, B]`` and the log-probabilities ``[R, B, T]`` of
            their tokens then; by name, as :meth:`state` returns them.
    """

    def __init__(self, setting: Setting, part: Part, stage: GRPO) -> None:
        super().__init__(setting, part, stage)
        self.reference = Reference(self.population)
        self.kept: dict[str, Tensor] = {}
        self.drawn_at = part.first

    def prepare(self, step: int) -> None:
        """Keep the model at the beginning of the stage."""
        if step == self.part.first:
            self.reference.keep()
        if (step - self.part.first) % self.stage.reuse == 0:
            self.kept, self.drawn_at = {}, step

    def length(self, step: int) -> int:
        """Return the length of the questions; answers that are used again have the length of their own step."""
        return self.setting.batches.lengths[step - (step - self.part.first) % self.stage.reuse]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return groups of answers, or those of the last draw if they are used again."""
        if not self.kept:
            self.kept = self._sample(step, length)
        return Batch(self.kept["source"], self.kept.get("prefix"), self.kept["target"]).map(lambda x: x.flatten(0, 1))

    def _sample(self, step: int | Tensor, length: int) -> dict[str, Tensor]:
        keys, group = self.setting.batches.keys, self.stage.answers
        rows = self.recipe.batch_size // group
        stream = Stream.from_keys(keys, step, rows)
        truth = self.presentation(self.presentation.task.sample(length, stream))
        asked = truth.map(lambda x: x.repeat_interleave(group, dim=0))
        noise = gumbel(keys, step, rows * group, asked.target.shape[1], len(self.presentation.symbols))
        tokens = answer(self.population, asked, self.presentation.mode, noise)
        rewards = reward(*self.presentation.grade(asked.source, asked.target, tokens), self.stage.reward)
        batch = as_batch(self.presentation, asked, tokens)
        tensors = {name: x.unflatten(0, (len(keys), -1)) for name, x in batch._asdict().items() if x is not None}
        grouped = advantages(rewards.view(len(keys), rows, group)).flatten(1)
        now = Reference(self.population)
        now.keep()
        return {**tensors, "advantages": grouped, "before": now.token_log_probabilities(batch)}

    def losses(self, batch: Batch) -> Tensor:
        """Return the loss of each model over its answers, float ``[R]``."""
        source, prefix, target = (None if x is None else x.unflatten(0, (self.population.size, -1)) for x in batch)
        assert source is not None
        assert target is not None
        now = token_log_probabilities(self.population.logits(source, prefix), target)
        first = self.reference.token_log_probabilities(batch) if self.stage.beta else now.detach()
        kept, stage = self.kept, self.stage
        tokens = grpo_loss(now, kept["before"], first, kept["advantages"][..., None], stage.clip, stage.beta)
        asked = target != IGNORE
        return ((tokens * asked).sum(-1) / asked.sum(-1).clamp(min=1)).mean(-1)

    def state(self) -> dict[str, Tensor]:
        """Return the model at the beginning of the stage, and the answers if they are used again."""
        return self.reference.state() | self.kept

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        self.reference.load_state(state)
        self.kept = {name: x.to(self.setting.device) for name, x in state.items() if name != "reference"}


def reward(correct: Tensor, counted: Tensor, kind: str) -> Tensor:
    """Return the reward of each answer, float ``[...]``, from which of its tokens are right and counted."""
    share = right_before_error(correct, counted) / counted.sum(-1).clamp(min=1)
    return (share == 1.0).float() if kind == "exact" else share.float()


def advantages(rewards: Tensor) -> Tensor:
    """Return how far each reward ``[..., answers]`` is above the mean of its group, in standard deviations."""
    return (rewards - rewards.mean(-1, keepdim=True)) / (rewards.std(-1, keepdim=True) + EPSILON)


def grpo_loss(now: Tensor, before: Tensor, first: Tensor, advantage: Tensor, clip: float, beta: float) -> Tensor:
    """Return the loss of each token (equation 3): the clipped ratio times the advantage, and the KL divergence.

    Args:
        now, before, first: log-probabilities of the token under the model, under the model that sampled it, and under
            the model at the beginning of the stage.
        advantage: of the answer; broadcasts to the tokens.
        clip: the ratio counts between ``1 - clip`` and ``1 + clip``.
        beta: weight of the divergence, for which equation 4 (Schulman's estimator ``k3``) is used.
    """
    ratio = (now - before).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    divergence = (first - now).exp() - (first - now) - 1
    return beta * divergence - gain
