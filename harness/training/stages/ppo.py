"""Proximal policy optimization against a learned reward (Schulman et al. 2017; Ouyang et al. 2022, section 3.5).

A reward model learns from pairs of answers which one is preferred. The model then answers questions itself. The reward
of an answer is its score by the reward model, minus a cost for each token that has become more probable than it was at
the beginning. A value function predicts the reward that is still to come. The advantage of a token is what exceeds it.
"""

import torch
from torch import Tensor

from harness.config.stages import PPO, Part
from harness.data.presentation import Batch
from harness.data.rng import fold_in, text_key
from harness.training.stages.answers import by_model, token_log_probabilities
from harness.training.stages.pairs import draw_pairs, pair_losses
from harness.training.stages.sampled import SampledTrainer, clipped_gain, mean_over_answers
from harness.training.stages.scorer import Scorer
from harness.training.stages.setting import Setting
from tasks.base import IGNORE

PAIRS = text_key("pairs of the reward model")


class PPOTrainer(SampledTrainer[PPO]):
    """Sampled answers, a reward model and a value function; ``kept`` has ``advantages`` ``[R, B, T]``.

    Attributes:
        reward_model: trained before the first step.
        values: the value function; it starts as a copy of the reward model.
    """

    def __init__(self, setting: Setting, part: Part, stage: PPO) -> None:
        super().__init__(setting, part, stage)
        self.reward_model = self.values = Scorer(setting, self.population.values)

    def prepare(self, step: int) -> None:
        """Train the reward model before the first step."""
        super().prepare(step)
        if step == self.part.first:
            self.reward_model = self._trained_reward_model()
            self.values = Scorer(self.setting, self.reward_model.values)

    def _trained_reward_model(self) -> Scorer:
        scorer = Scorer(self.setting, self.population.values)
        keys, lengths = fold_in(self.setting.batches.keys, PAIRS), self.setting.batches.lengths
        for step in range(self.stage.reward_steps or max(1, self.part.steps // 2)):
            batch, preference = draw_pairs(
                self.setting, keys, step, lengths[step % self.recipe.steps], self.stage.pairs
            )
            scorer.learn(pair_losses(scorer.of_answers(batch), preference).mean(1))
        return scorer

    @torch.no_grad()
    def _rewards(self, answers: Batch, before: Tensor) -> Tensor:
        """Return the reward of each token: the cost of its divergence, and the score of the answer at its last one."""
        asked = (answers.target != IGNORE).view(before.shape)
        is_last = asked & (asked.flip(-1).cumsum(-1).flip(-1) == 1)
        cost = self.stage.beta * (before - self.reference.token_log_probabilities(answers))
        return (is_last * self.reward_model.of_answers(answers)[..., None] - cost) * asked

    def rated(self, asked: Batch, tokens: Tensor, answers: Batch, before: Tensor) -> dict[str, Tensor]:
        """Return the advantage of each token, and let the value function learn from the rewards."""
        target = by_model(answers, self.population.size).target
        counted = target != IGNORE
        with torch.no_grad():
            expected = self.values.scores(answers)[..., :-1]
        gained = advantages(self._rewards(answers, before), expected, counted, self.stage.decay)
        returns = gained + expected
        for _ in range(self.stage.reuse):
            error = (self.values.scores(answers)[..., :-1] - returns) ** 2 / 2
            self.values.learn(mean_over_answers(error, target))
        return {"advantages": standardized(gained, counted)}

    def losses(self, batch: Batch) -> Tensor:
        """Return the loss of each model over its answers, float ``[R]``."""
        source, prefix, target = by_model(batch, self.population.size)
        now = token_log_probabilities(self.population.logits(source, prefix), target)
        gain = clipped_gain(now, self.kept["before"], self.kept["advantages"], self.stage.clip)
        return mean_over_answers(-gain, target)

    def state(self) -> dict[str, Tensor]:
        """Return what sampling needs, the reward model and the value function."""
        scorers = {"reward model": self.reward_model, "value function": self.values}
        states = {f"{name}/{key}": x for name, scorer in scorers.items() for key, x in scorer.state().items()}
        return super().state() | states

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        super().load_state({name: x for name, x in state.items() if "/" not in name})
        self.reward_model, self.values = (Scorer(self.setting, self.population.values) for _ in range(2))
        for name, scorer in {"reward model": self.reward_model, "value function": self.values}.items():
            scorer.load_state({k.removeprefix(f"{name}/"): x for k, x in state.items() if k.startswith(f"{name}/")})


def advantages(rewards: Tensor, values: Tensor, counted: Tensor, decay: float) -> Tensor:
    """Return the generalized advantage of each token, float ``[..., T]`` (Schulman et al. 2016, equation 16, gamma 1).

    Args:
        rewards: of each token.
        values: what was predicted before each token.
        counted: the tokens up to the last one of each answer, bool; after it there is no further reward.
        decay: weight of each further token, lambda in the paper.
    """
    following = torch.cat((values[..., 1:] * counted[..., 1:], torch.zeros_like(values[..., :1])), dim=-1)
    surprise = (rewards + following - values) * counted
    place = torch.arange(values.shape[-1], device=values.device)
    ahead = place - place[:, None]
    weights = torch.where(ahead >= 0, decay ** ahead.clamp(min=0).to(values), 0.0)
    return (surprise @ weights.T) * counted


def standardized(values: Tensor, counted: Tensor) -> Tensor:
    """Return values ``[R, B, T]`` with mean 0 and deviation 1 over the counted ones of each model, and 0 elsewhere."""
    number = counted.flatten(1).sum(1).clamp(min=1)[:, None, None]
    centred = (values - (values * counted).sum((1, 2), keepdim=True) / number) * counted
    return centred / ((centred**2).sum((1, 2), keepdim=True) / number).sqrt().clamp(min=1e-8)
