"""Scores of answers: a second set of parameters for the same modules, whose output for one symbol is a number.

Reward models and value functions start from the weights of the models that they rate (Stiennon et al. 2020, section
3.4). The symbol is ``<blank>``, which does not occur where answers are generated.
"""

import torch
from torch import Tensor

from harness.data.presentation import Batch
from harness.training.stages.answers import by_model
from harness.training.stages.extra_rows import ExtraRows
from harness.training.stages.setting import Setting
from tasks.base import IGNORE


class Scorer(ExtraRows):
    """One scorer for each model of a population.

    Args:
        setting: the models and their task.
        values: parameters to start from, float ``[R, P]``; copied.
    """

    def __init__(self, setting: Setting, values: Tensor) -> None:
        super().__init__(setting, values)
        self.population, self.presentation = setting.population, setting.presentation

    def scores(self, batch: Batch) -> Tensor:
        """Return a score after each number of tokens of an answer, from none to all, float ``[R, B, T + 1]``."""
        assert batch.prefix is not None
        end, symbol = self.presentation.special("<end>"), self.presentation.special("<blank>")
        last = batch.target[:, -1:]
        read = torch.cat((batch.prefix, last.masked_fill(last == IGNORE, end)), dim=1)
        source, prefix, _ = by_model(batch._replace(prefix=read), self.population.size)
        return self.population.logits(source, prefix, self.values)[..., symbol]

    def of_answers(self, batch: Batch) -> Tensor:
        """Return the score of each answer, which is the one after its last token, float ``[R, B]``."""
        scores = self.scores(batch)
        tokens = (batch.target != IGNORE).sum(-1).view(scores.shape[:2])
        return scores.gather(-1, tokens[..., None]).squeeze(-1)

    def learn(self, losses: Tensor) -> None:
        """Take one step down the loss of each scorer, float ``[R]``."""
        self.grads.copy_(torch.autograd.grad(losses.sum(), self.values)[0])
        self.optimizer.step(1.0)
