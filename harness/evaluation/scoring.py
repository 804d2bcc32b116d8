"""Scoring: exact match and token accuracy of a population on a fixed test set of one length.

A test set has no question twice. A length that has fewer questions than were asked for is tested on all of them.

For a causal model and the default grade, greedy decoding gets a whole answer right if and only if the argmax under
teacher forcing does. Exact match then takes one parallel pass. A task with its own grade may accept several answers, so
in mode generate its answers are decoded greedily.
"""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.data.presentation import Batch, Presentation
from harness.data.questions import first_occurrences
from harness.data.rng import Purpose, Stream, seed_keys
from harness.evaluation.malloc import return_large_blocks_to_os
from harness.models.population import Population, cross_entropy
from tasks.base import IGNORE

EVALUATION_SET = 1
"""Version of the fixed sets. Their questions depend only on it, the task, the purpose and the length."""

TOKENS_AT_ONCE = 1 << 16
"""The most tokens, source and prefix, in one forward pass of a model."""

FEWEST_DRAWS, MOST_DRAWS, CHUNK = 1 << 9, 64, 64
"""If questions repeat, at least 512 are drawn, and at most 64 for each row, in chunks of at least 64."""

LONG = 1 << 11
"""Tokens of a row from which on freed memory is returned to the system; see :mod:`harness.evaluation.malloc`."""


NO_ANSWER = -1
"""Stands for a symbol where logits are not finite."""


@dataclass(frozen=True)
class Score:
    """Counts over one evaluation set: ``exact`` of ``n`` rows, ``right`` of ``tokens`` graded tokens, mean ``loss``.

    ``unanswered`` counts the rows with an asked position at which logits give no distribution, because one of them is
    NaN or infinite. Such a row and such a token are wrong, and the loss is NaN.
    """

    n: int
    exact: int
    tokens: int
    right: int
    loss: float
    unanswered: int = 0


def fixed_set(
    presentation: Presentation, key: str, purpose: str, length: int, rows: int, device: torch.device
) -> Tensor:
    """Return the questions ``[rows, S]`` of a fixed set; more rows extend the same set."""
    stream = Stream.of([EVALUATION_SET], key, purpose, length, rows, device)
    return presentation.task.sample(length, stream)


def distinct_set(presentation: Presentation, key: str, length: int, rows: int, device: torch.device) -> Tensor:
    """Return the first ``rows`` distinct questions ``[N, S]`` of the test stream of a length.

    N is less than ``rows`` if the task has fewer questions at this length. They count as complete once twice as many
    draws have brought no new one, or after :data:`MOST_DRAWS` draws for each row.
    """
    task, keys = presentation.task, seed_keys([EVALUATION_SET], key, Purpose.EVALUATE, device)

    def draw(first: int, count: int) -> Tensor:
        return task.sample(length, Stream.from_keys(keys, length, count, first))

    questions, drawn = first_occurrences(draw(0, rows)), rows
    while len(questions) < rows and drawn < MOST_DRAWS * rows:
        before, end = len(questions), max(2 * drawn, FEWEST_DRAWS)
        while len(questions) < rows and drawn < end:
            questions = first_occurrences(torch.cat((questions, draw(drawn, max(rows, CHUNK)))))
            drawn += max(rows, CHUNK)
        if len(questions) == before:
            break
    return questions[:rows]


def set_hash(batch: Batch) -> str:
    """Return a hash of the questions and answers, twelve hexadecimal digits."""
    tokens = torch.cat((batch.source, batch.target), dim=1).cpu().numpy()
    return hashlib.sha256(tokens.tobytes()).hexdigest()[:12]


@torch.no_grad()
def score(population: Population, presentation: Presentation, source: Tensor) -> list[Score]:
    """Score every model of a population on the questions ``[B, S]``."""
    population.train(False)
    sums = torch.zeros(7, population.size, dtype=torch.float64)
    with return_large_blocks_to_os() if stream_length(presentation, source) >= LONG else nullcontext():
        for chunk in chunks(presentation, source):
            sums += _score_chunk(population, presentation, chunk).cpu()
    population.train(True)
    *counts, targets, losses, unanswered = sums
    losses = (losses / targets).masked_fill(unanswered > 0, torch.nan)
    rows = zip(*(count.int().tolist() for count in counts), losses.tolist(), unanswered.int().tolist(), strict=True)
    return [Score(*row) for row in rows]


def chunks(presentation: Presentation, source: Tensor) -> Iterator[Tensor]:
    """Split the questions into chunks of at most :data:`TOKENS_AT_ONCE` tokens, but at least one row."""
    return iter(source.split(max(1, TOKENS_AT_ONCE // stream_length(presentation, source))))


def stream_length(presentation: Presentation, source: Tensor) -> int:
    """Return the number of tokens of a row, source and prefix together."""
    return presentation(source[:1]).stream_length


def _score_chunk(population: Population, presentation: Presentation, source: Tensor) -> Tensor:
    """Return the sums (n, exact, tokens, right, targets, loss, unanswered) of each model, float64 ``[7, R]``."""
    batch = presentation(source)
    target = batch.target.expand(population.size, *batch.target.shape)
    # Teacher forcing gives the loss, and the answers where no decoding is needed.
    logits = _logits(population, batch.source, batch.prefix)
    targets = (target != IGNORE).sum((1, 2))
    losses = cross_entropy(logits, target) * targets
    answers = choose(logits)
    if presentation.mode == "generate" and presentation.graded_by_task:
        answers = decode(population, batch)
    answered = answers != NO_ANSWER
    # A task grades one model's answers at a time. It gets symbols only.
    grades = [presentation.grade(source, batch.target, answer) for answer in answers.clamp(min=0).unbind(0)]
    correct, counted = (torch.stack(masks) for masks in zip(*grades, strict=True))
    unanswered = ((counted | (target != IGNORE)) & ~answered).any(-1)
    right = correct & counted & answered
    exact = ((right | ~counted).all(-1) & ~unanswered).sum(-1)
    n, tokens = torch.full_like(losses, len(source)), counted.sum((1, 2))
    return torch.stack((n, exact, tokens, right.sum((1, 2)), targets, losses, unanswered.sum(-1))).double()


def choose(logits: Tensor) -> Tensor:
    """Return the most probable symbol, long ``[...]``, or :data:`NO_ANSWER`, from logits ``[..., V]``.

    There is no answer if a logit is NaN or infinity, or if all are minus infinity: the softmax is then not defined.
    """
    return logits.argmax(-1).masked_fill(~logits.amax(-1).isfinite(), NO_ANSWER)


def _logits(population: Population, source: Tensor, prefix: Tensor | None) -> Tensor:
    """Return the logits of all models on the same questions ``[B, S]``; a prefix may be ``[B, T]`` or ``[R, B, T]``."""
    source = source.expand(population.size, *source.shape)
    return population.logits(source, None if prefix is None else prefix.expand(population.size, *prefix.shape[-2:]))


@torch.no_grad()
def decode(population: Population, batch: Batch) -> Tensor:
    """Return each model's greedy answer, with its own tokens fed back: long ``[R, B, T]``.

    From the first :data:`NO_ANSWER` of a row on there is no answer.

    A population, or a model that cannot be stepped, predicts all positions in each pass and feeds its predictions back
    until they no longer change. In a causal model the first ``k`` tokens are those of the greedy answer after ``k``
    passes, so at most ``T`` passes are needed.
    """
    assert batch.prefix is not None
    if population.size == 1 and population.model.can_step:
        return _decode_stepping(population, batch)[None]
    # The first prefix has START everywhere; only its first position matters.
    prefix = batch.prefix.expand(population.size, -1, -1)[..., :1].repeat(1, 1, batch.prefix.shape[1])
    for _ in range(batch.prefix.shape[1]):
        answer = choose(_logits(population, batch.source, prefix))
        # The next prefix is START and the answer, one position later.
        next_prefix = torch.cat((prefix[..., :1], answer[..., :-1].clamp(min=0)), dim=2)
        if torch.equal(next_prefix, prefix):  # the answer was computed from itself, so it is the greedy one
            break
        prefix = next_prefix
    return _cut(answer)


def _decode_stepping(population: Population, batch: Batch) -> Tensor:
    """Return the greedy answer of one model, computed token by token: long ``[B, T]``."""
    assert batch.prefix is not None
    model = population.model
    state, token, answer = model.start(batch.source), batch.prefix[:, 0], []
    for _ in range(batch.prefix.shape[1]):
        logits, state = model.step(token.clamp(min=0), state)
        token = choose(logits)
        answer.append(token)
    return _cut(torch.stack(answer, dim=1))


def _cut(answer: Tensor) -> Tensor:
    """Put :data:`NO_ANSWER` after the first of them in each row ``[..., T]``."""
    return answer.masked_fill((answer == NO_ANSWER).cummax(-1).values, NO_ANSWER)
