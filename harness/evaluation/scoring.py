"""Evaluation: exact match and token accuracy of a population on fixed sets of one length.

For a causal model and the default grade, greedy decoding is right everywhere if and only if the teacher-forced argmax
is, so exact match takes one parallel pass. A task with its own grade accepts more than one answer: there, what is
generated is really decoded.
"""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.data.presentation import Batch, Presentation
from harness.data.rng import Stream
from harness.evaluation.malloc import return_large_blocks_to_os
from harness.models.population import Population, cross_entropy
from tasks.base import IGNORE

EVALUATION_SET = 1
"""Version of the evaluation sets; their rows depend on it, on the task and on the length, and on nothing else."""

TOKENS_AT_ONCE = 1 << 16
LONG = 1 << 11
"""Tokens of a stream from which memory counts more than time."""


@dataclass(frozen=True)
class Score:
    """Counts over one evaluation set: ``exact`` of ``n`` rows, ``right`` of ``tokens`` graded tokens, mean ``loss``."""

    n: int
    exact: int
    tokens: int
    right: int
    loss: float


def fixed_set(
    presentation: Presentation, key: str, purpose: str, length: int, rows: int, device: torch.device
) -> Tensor:
    """Return the questions ``[rows, S]`` of a fixed set."""
    stream = Stream.of([EVALUATION_SET], key, purpose, length, rows, device)
    return presentation.task.sample(length, stream)


def set_hash(batch: Batch) -> str:
    """Return twelve hexadecimal digits that identify questions and answers."""
    tokens = torch.cat((batch.source, batch.target), dim=1).cpu().numpy()
    return hashlib.sha256(tokens.tobytes()).hexdigest()[:12]


@torch.no_grad()
def score(population: Population, presentation: Presentation, source: Tensor) -> list[Score]:
    """Score every model of a population on the questions ``[B, S]``."""
    population.train(False)
    sums = torch.zeros(6, population.size, dtype=torch.float64)
    with return_large_blocks_to_os() if stream_length(presentation, source) >= LONG else nullcontext():
        for part in chunks(presentation, source):
            sums += _score_chunk(population, presentation, part).cpu()
    population.train(True)
    sums[5] /= sums[4]
    rows = sums.T.tolist()
    return [Score(int(n), int(exact), int(tokens), int(right), loss) for n, exact, tokens, right, _, loss in rows]


def chunks(presentation: Presentation, source: Tensor) -> Iterator[Tensor]:
    """Cut the questions so that a forward sees a bounded number of tokens."""
    return iter(source.split(max(1, TOKENS_AT_ONCE // stream_length(presentation, source))))


def stream_length(presentation: Presentation, source: Tensor) -> int:
    """Return the tokens of one row's stream."""
    return presentation(source[:1]).stream_length


def _score_chunk(population: Population, presentation: Presentation, source: Tensor) -> Tensor:
    """Return the sums (n, exact, tokens, right, asked, loss) of each replica, float64 ``[6, R]``."""
    batch = presentation(source)
    target = batch.target.expand(population.size, *batch.target.shape)
    logits = _logits(population, batch.source, batch.prefix)
    asked = (target != IGNORE).sum((1, 2))
    losses = cross_entropy(logits, target) * asked
    answers = logits.argmax(-1)
    if presentation.mode == "generate" and presentation.graded_by_task:
        answers = decode(population, batch)
    graded = [presentation.grade(source, batch.target, answer) for answer in answers.unbind(0)]
    correct, counted = (torch.stack(each) for each in zip(*graded, strict=True))
    exact = (correct | ~counted).all(-1).sum(-1)
    n = torch.full_like(losses, len(source))
    return torch.stack((n, exact, counted.sum((1, 2)), (correct & counted).sum((1, 2)), asked, losses)).double()


def _logits(population: Population, source: Tensor, prefix: Tensor | None) -> Tensor:
    """Show the same questions to all replicas; a prefix may be ``[B, T]`` or ``[R, B, T]``."""
    everyone = source.expand(population.size, *source.shape)
    return population.logits(everyone, None if prefix is None else prefix.expand(population.size, *prefix.shape[-2:]))


@torch.no_grad()
def decode(population: Population, batch: Batch) -> Tensor:
    """Answer greedily, feeding each model's own tokens back: long ``[R, B, T]``.

    Without a stepping form all places are answered at once, again and again: each pass settles at least one more
    token of a causal model, and where nothing changes any more, that is the greedy answer.
    """
    assert batch.prefix is not None
    if population.size == 1 and population.model.can_step:
        return _decode_stepping(population, batch)[None]
    fed = batch.prefix.expand(population.size, -1, -1)[..., :1].repeat(1, 1, batch.prefix.shape[1])
    for _ in range(batch.prefix.shape[1]):
        answer = _logits(population, batch.source, fed).argmax(-1)
        again = torch.cat((fed[..., :1], answer[..., :-1]), dim=2)
        if torch.equal(again, fed):
            break
        fed = again
    return answer


def _decode_stepping(population: Population, batch: Batch) -> Tensor:
    """Answer greedily with the model's stepping form: long ``[B, T]``."""
    assert batch.prefix is not None
    model = population.model
    state, token, answer = model.start(batch.source), batch.prefix[:, 0], []
    for _ in range(batch.prefix.shape[1]):
        logits, state = model.step(token, state)
        token = logits.argmax(-1)
        answer.append(token)
    return torch.stack(answer, dim=1)
