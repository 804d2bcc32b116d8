"""Group relative policy optimization (Shao et al. 2024, arXiv 2402.03300, equation 3), rewarded by the task itself.

Each question is answered several times. An answer is as good as its reward exceeds the mean of its group, in standard
deviations. The model learns from its own answers and their rewards only.
"""

from torch import Tensor

from harness.config.stages import GRPO
from harness.data.presentation import Batch
from harness.training.stages.answers import by_model, right_before_error, token_log_probabilities
from harness.training.stages.sampled import SampledTrainer, clipped_gain, mean_over_answers

EPSILON = 1e-4
"""Added to the standard deviation of a group, so that a group of equal rewards has no advantage."""


class GRPOTrainer(SampledTrainer[GRPO]):
    """Groups of sampled answers to ``batch_size / answers`` questions; ``kept`` has ``advantages`` ``[R, B]``."""

    def repeats(self) -> int:
        """Return how often each question is answered."""
        return self.stage.answers

    def rated(self, asked: Batch, tokens: Tensor, answers: Batch, before: Tensor) -> dict[str, Tensor]:
        """Return the advantage of each answer over its group."""
        rewards = reward(*self.presentation.grade(asked.source, asked.target, tokens), self.stage.reward)
        groups = rewards.view(self.population.size, -1, self.stage.answers)
        return {"advantages": advantages(groups).flatten(1)}

    def losses(self, batch: Batch) -> Tensor:
        """Return the loss of each model over its answers, float ``[R]``."""
        source, prefix, target = by_model(batch, self.population.size)
        now = token_log_probabilities(self.population.logits(source, prefix), target)
        first = self.reference.token_log_probabilities(batch) if self.stage.beta else now.detach()
        kept, stage = self.kept, self.stage
        losses = grpo_loss(now, kept["before"], first, kept["advantages"][..., None], stage.clip, stage.beta)
        return mean_over_answers(losses, target)


def reward(correct: Tensor, counted: Tensor, kind: str) -> Tensor:
    """Return the reward of each answer, float ``[...]``, from which of its tokens are right and counted."""
    share = right_before_error(correct, counted) / counted.sum(-1).clamp(min=1)
    return (share == 1.0).float() if kind == "exact" else share.float()


def advantages(rewards: Tensor) -> Tensor:
    """Return how far each reward ``[..., answers]`` is above the mean of its group, in standard deviations."""
    return (rewards - rewards.mean(-1, keepdim=True)) / (rewards.std(-1, keepdim=True) + EPSILON)


def grpo_loss(now: Tensor, before: Tensor, first: Tensor, advantage: Tensor, clip: float, beta: float) -> Tensor:
    """Return the loss of each token (equation 3): the clipped gain, and the KL divergence.

    Args:
        now, before, first: log-probabilities of the token under the model, under the model that sampled it, and under
            the model at the beginning of the stage.
        advantage: of the answer; broadcasts to the tokens.
        clip: see :func:`clipped_gain`.
        beta: weight of the divergence, for which equation 4 (Schulman's estimator ``k3``) is used.
    """
    divergence = (first - now).exp() - (first - now) - 1
    return beta * divergence - clipped_gain(now, before, advantage, clip)
