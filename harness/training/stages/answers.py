"""Answers that the models of a population give to new questions: the most probable ones, or samples.

A sample is the most probable answer under logits with Gumbel noise (Maddison et al. 2014, section 2). The noise is
fixed before the answer is computed, so both kinds of answers are fixed points of the same map: an answer, fed back one
position later, gives itself. In a causal model its first ``k`` tokens are final after ``k`` passes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.presentation import Batch, Presentation
from harness.data.rng import Stream, fold_in, text_key
from harness.models.population import Population
from tasks.base import IGNORE

SAMPLES = text_key("sampled answers")
SMALLEST = 2.0**-25
"""Below the smallest positive number of a stream, so that the logarithm of a draw is finite."""

SLACK = 4
"""Tokens by which an answer may be longer than the right one before it counts as cut off."""


@torch.no_grad()
def answer(
    population: Population, batch: Batch, mode: str, noise: Tensor | None = None, values: Tensor | None = None
) -> Tensor:
    """Return each model's answer to its own questions, long ``[R * B, T]``.

    Args:
        batch: ``R x B`` questions; of the prefix only the first token counts if the models generate.
        mode: of the presentation.
        noise: float ``[R, B, T, V]``, added to the logits; none for the most probable answer.
        values: parameters ``[R, P]`` in place of the models' own.
    """
    source, prefix, _ = by_model(batch, population.size)
    population.train(False)

    def choose(prefix: Tensor | None) -> Tensor:
        logits = population.logits(source, prefix, values)
        return (logits if noise is None else logits + noise).argmax(-1)

    tokens = choose(prefix)
    if mode == "generate":
        assert prefix is not None
        for _ in range(prefix.shape[-1]):
            following = torch.cat((prefix[..., :1], tokens[..., :-1]), dim=-1)
            if torch.equal(following, prefix):
                break
            prefix, tokens = following, choose(following)
    population.train(True)
    return tokens.flatten(0, 1)


def by_model(batch: Batch, models: int) -> Batch:
    """Return a batch of ``R x B`` rows with an axis for the models, ``[R, B, ...]``."""
    return batch.map(lambda x: x.unflatten(0, (models, -1)))


def ask(presentation: Presentation, questions: Tensor) -> Batch:
    """Return questions with room for an answer, without the right one.

    In mode generate there is room for :data:`SLACK` tokens more than the right answer has. In other modes it is known
    which positions are asked for.
    """
    solved = presentation.task.solve(questions)
    if presentation.mode == "generate":
        return presentation.with_answer(questions, F.pad(torch.zeros_like(solved), (0, SLACK)))
    return presentation.with_answer(questions, solved.clamp(max=0))


def gumbel(keys: Tensor, step: int | Tensor, rows: int, width: int, symbols: int) -> Tensor:
    """Return standard Gumbel noise, float ``[R, rows, width, symbols]``; ``keys`` ``[R]`` are those of the seeds."""
    stream = Stream.from_keys(fold_in(keys, SAMPLES), step, rows)
    uniform = stream.uniform(width, symbols).clamp(min=SMALLEST)
    return -(-uniform.log()).clamp(min=SMALLEST).log().view(len(keys), rows, width, symbols)


def as_batch(presentation: Presentation, batch: Batch, tokens: Tensor) -> Batch:
    """Return a batch whose target is an answer ``[R * B, T]`` up to its first END, and whose prefix agrees with it."""
    if presentation.mode != "generate":
        return Batch(batch.source, batch.prefix, tokens.masked_fill(batch.target == IGNORE, IGNORE))
    assert batch.prefix is not None
    prefix = torch.cat((batch.prefix[:, :1], tokens[:, :-1]), dim=1)
    return Batch(batch.source, prefix, tokens.masked_fill(after_end(presentation, tokens), IGNORE))


def after_end(presentation: Presentation, tokens: Tensor) -> Tensor:
    """Return which tokens ``[.., T]`` come after the first END, bool."""
    ends = (tokens == presentation.special("<end>")).cumsum(-1)
    return F.pad(ends[..., :-1] > 0, (1, 0))


def token_log_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    """Return the log-probability of each target token, float ``[..., T]``; 0 where the target is ``IGNORE``."""
    losses = F.cross_entropy(logits.flatten(0, -2), target.flatten(), ignore_index=IGNORE, reduction="none")
    return -losses.view(target.shape)


def right_before_error(correct: Tensor, counted: Tensor) -> Tensor:
    """Return how many counted tokens of each answer are right before its first wrong one, long ``[...]``.

    Tokens after END are not counted, so a longer answer has no advantage.
    """
    return ((correct | ~counted).cumprod(-1).bool() & counted).sum(-1)
