"""Pairs of answers of which one is preferred: what direct preference optimization and reward models learn from.

Both answers, or the worse one, are samples of the model as it is now. The answer with more right tokens before its
first wrong one is preferred. A pair of equally good answers teaches nothing.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.presentation import Batch
from harness.data.rng import Stream
from harness.training.stages.answers import answer, as_batch, gumbel, right_before_error
from harness.training.stages.setting import Setting


def draw_pairs(
    setting: Setting, keys: Tensor, step: int | Tensor, length: int, pairs: Literal["truth", "sampled"]
) -> tuple[Batch, Tensor]:
    """Return the answers of ``batch_size / 2`` pairs, each in two rows, and which of the two is preferred.

    Args:
        keys: of the random numbers of each model, long ``[R]``.
        pairs: ``truth`` if the first answer is the right one; ``sampled`` if both are samples.

    Returns:
        a batch of ``R x B`` rows, and float ``[R, B / 2]``: 1 if the first answer is preferred, -1 if the second is,
        else 0.
    """
    presentation, rows = setting.presentation, setting.recipe.batch_size // 2
    truth = presentation(presentation.task.sample(length, Stream.from_keys(keys, step, rows)))
    asked = truth.map(lambda x: x.repeat_interleave(2, dim=0))
    noise = gumbel(keys, step, 2 * rows, asked.target.shape[1], len(presentation.symbols))
    tokens = answer(setting.population, asked, presentation.mode, noise)
    if pairs == "truth":
        tokens[::2] = torch.where(truth.target < 0, tokens[::2], truth.target)
    scores = right_before_error(*presentation.grade(asked.source, asked.target, tokens))
    first, second = scores.view(len(keys), rows, 2).unbind(-1)
    preference = (first - second).sign().to(setting.population.values)
    return as_batch(presentation, asked, tokens), preference


def pair_losses(scores: Tensor, preference: Tensor) -> Tensor:
    """Return minus the log-probability of each preference by the model of Bradley and Terry (1952), ``[R, B / 2]``.

    The first answer wins with probability ``sigmoid(first - second)``. The loss of a pair without a preference is 0.

    Args:
        scores: of the answers, those of a pair one after the other, float ``[R, B]``.
        preference: as :func:`draw_pairs` returns it.
    """
    first, second = scores.unflatten(1, (-1, 2)).unbind(-1)
    return -F.logsigmoid(preference * (first - second)) * preference.abs()
