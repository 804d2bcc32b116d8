"""The shortcut audit: how well a task can be answered without its algorithm.

Each simple reader of :mod:`harness.evaluation.readers` is fitted on inputs of training lengths and scored on new ones,
at training lengths and beyond. A score of a model means little where a simple reader reaches it. The strongest reader
is therefore printed as a second floor next to chance.

A lookup reader answers with the most frequent target of what it sees, and with the most frequent target of the position
where it has not seen that before. A linear reader is a multinomial logistic regression, fitted by L-BFGS.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.config.lengths import Span, even_grid
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose, Stream
from harness.evaluation.chance import chance, fractions_right
from harness.evaluation.readers import LINEAR_READERS, POSITIONS, Reader, constant, readers_of
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE

FITTED_LENGTHS = 8
FIT_ROWS, TEST_ROWS = 256, 512
"""Inputs of each length on which readers are fitted and scored."""
LINEAR_POSITIONS = 8192
"""Asked positions that a linear reader is fitted on at most."""
ITERATIONS, PENALTY = 60, 1e-4
SOLVED, NEARLY_ALL = 0.99, 0.9
"""Exact match, and token accuracy, from which a reader is marked."""
FIRST_LENGTHS = 8
"""Lengths on which readers are fitted where a task has none of the training lengths."""


class ReaderScore(NamedTuple):
    """A reader at one length: exact match and token accuracy, as fractions."""

    reader: str
    exact: float
    token: float


@dataclass
class Audit:
    """The fitted readers of a task.

    Args:
        presentation: how the task is asked.
        key: names the task's data, usually the task's spec.
        lengths: training lengths; a few of them are used, evenly spaced.
    """

    presentation: Presentation
    key: str
    lengths: Sequence[int]
    fitted: dict[str, "LookupTable | LinearMap"] = field(init=False)

    def __post_init__(self) -> None:
        chosen = [self.lengths[i] for i in even_grid(0, len(self.lengths) - 1, FITTED_LENGTHS)]
        batches = [self._batch(length, FIT_ROWS, seed=0) for length in chosen]
        task, alphabet = self.presentation.task, len(self.presentation.symbols)
        readers = readers_of(self.presentation.mode, task.online)
        self.fitted = {
            name: (LinearMap if name in LINEAR_READERS else LookupTable)(reader, batches, alphabet)
            for name, reader in readers.items()
        }

    def scores(self, length: int) -> list[ReaderScore]:
        """Score all readers on new inputs of one length."""
        source = self._source(length, TEST_ROWS, seed=1)
        batch = self.presentation(source)
        return [self._score(name, source, batch, fitted.predict(batch)) for name, fitted in self.fitted.items()]

    def by_kind(self, length: int) -> tuple[list[ReaderScore], list[ReaderScore]]:
        """Return the scores of the readers that are the task's algorithm, and those of all others."""
        scores, algorithm = self.scores(length), self.presentation.task.algorithm_readers
        return [s for s in scores if s.reader in algorithm], [s for s in scores if s.reader not in algorithm]

    def shortcuts(self, length: int) -> list[ReaderScore]:
        """Return the readers that solve the task at a length although they are not its algorithm."""
        _, others = self.by_kind(length)
        return [score for score in others if score.exact >= SOLVED]

    def floor(self, length: int) -> ReaderScore:
        """Return the best reader at a length, without those that are the task's own algorithm."""
        _, others = self.by_kind(length)
        return best_of(others)

    def _source(self, length: int, rows: int, seed: int) -> Tensor:
        return self.presentation.task.sample(length, Stream.of([seed], self.key, Purpose.SHORTCUT, length, rows, "cpu"))

    def _batch(self, length: int, rows: int, seed: int) -> Batch:
        return self.presentation(self._source(length, rows, seed))

    def _score(self, name: str, source: Tensor, batch: Batch, prediction: Tensor) -> ReaderScore:
        return ReaderScore(name, *fractions_right(self.presentation, source, batch.target, prediction))


def best_of(scores: Iterable[ReaderScore]) -> ReaderScore:
    """Return the reader with the best exact match, of equal ones that with the best token accuracy."""
    return max(scores, key=lambda score: (score.exact, score.token))


class AuditRow(NamedTuple):
    """A task at one length.

    Attributes:
        is_trained: whether readers were fitted at lengths up to this one.
        chance: exact match of guessing.
        best: the strongest reader that is not the task's algorithm.
        algorithm: the readers that are.
    """

    length: int
    is_trained: bool
    chance: float
    best: ReaderScore
    algorithm: list[ReaderScore]

    @property
    def is_shortcut(self) -> bool:
        """Whether the best reader solves the task, or nearly all of its tokens."""
        return self.best.exact >= SOLVED or self.best.token >= NEARLY_ALL


def audit_task(spec: Spec, train_lengths: Span, test_length: int) -> list[AuditRow]:
    """Audit a task at its longest training length and at the longest length up to ``test_length`` beyond it.

    A task without a length in ``train_lengths`` is fitted on its shortest ones.
    """
    task = build_task(spec)
    presentation = Presentation(task)
    low, high = train_lengths.low, train_lengths.high
    within = [length for length in range(low, high + 1) if length in task.lengths]
    trained = within or list(task.lengths[:FIRST_LENGTHS])
    beyond = [length for length in range(trained[-1] + 1, test_length + 1) if length in task.lengths][-1:]
    audit, rows = Audit(presentation, str(spec), trained), []
    for length in (trained[-1], *beyond):
        algorithm, others = audit.by_kind(length)
        guess = chance(presentation, str(spec), length).exact
        rows.append(AuditRow(length, length <= trained[-1], guess, best_of(others), algorithm))
    return rows


class LookupTable:
    """Answers with the most frequent target of a feature; of unseen features, with that of the position.

    Args:
        reader: computes the features, long ``[B, T]``.
        batches: what it is fitted on.
        alphabet: number of symbols.
    """

    def __init__(self, reader: Reader, batches: Iterable[Batch], alphabet: int) -> None:
        self.reader, self.alphabet = reader, alphabet
        features, positions, targets = [], [], []
        for batch in batches:
            asked = batch.target != IGNORE
            features.append(reader(batch, alphabet)[asked])
            positions.append(constant(batch, alphabet)[asked])
            targets.append(batch.target[asked])
        target = torch.cat(targets)
        self.seen, index = torch.cat(features).unique(return_inverse=True)
        self.answers = _most_frequent(index, target, len(self.seen), alphabet)
        self.fallback = _most_frequent(torch.cat(positions), target, POSITIONS + 1, alphabet)

    def predict(self, batch: Batch) -> Tensor:
        """Return an answer for each position, long ``[B, T]``."""
        feature = self.reader(batch, self.alphabet)
        index = torch.searchsorted(self.seen, feature.contiguous()).clamp(max=len(self.seen) - 1)
        fallback = self.fallback[constant(batch, self.alphabet)]
        return torch.where(self.seen[index] == feature, self.answers[index], fallback)


def _most_frequent(index: Tensor, target: Tensor, size: int, alphabet: int) -> Tensor:
    counts = torch.bincount(index * alphabet + target, minlength=size * alphabet)
    return counts.view(size, alphabet).argmax(1)


class LinearMap:
    """A multinomial logistic regression on features ``[B, T, F]``; the arguments are those of :class:`LookupTable`."""

    def __init__(self, reader: Reader, batches: Iterable[Batch], alphabet: int) -> None:
        self.reader, self.alphabet = reader, alphabet
        asked = [(batch, batch.target != IGNORE) for batch in batches]
        features = torch.cat([reader(batch, alphabet)[where] for batch, where in asked])
        target = torch.cat([batch.target[where] for batch, where in asked])
        step = -(-len(target) // LINEAR_POSITIONS)  # every so many positions, so that all lengths take part
        features, target = features[::step], target[::step]
        self.mean, self.scale = features.mean(0), features.std(0, correction=0) + 1e-6
        self.classes, label = target.unique(return_inverse=True)
        self.weight = self._fit((features - self.mean) / self.scale, label)

    def _fit(self, features: Tensor, label: Tensor) -> Tensor:
        """Return the weights with the bias in the last row, float ``[F + 1, classes]``."""
        # An optimizer of torch would import torch's compiler, which takes a second in each process.
        from scipy.optimize import minimize

        inputs = F.pad(features, (0, 1), value=1.0)
        shape = inputs.shape[1], len(self.classes)

        def loss_and_gradient(values: Any) -> tuple[float, Any]:
            weight = torch.from_numpy(values).to(inputs).view(shape).requires_grad_()
            loss = F.cross_entropy(inputs @ weight, label) + PENALTY * weight.square().sum()
            (gradient,) = torch.autograd.grad(loss, weight)
            return loss.item(), gradient.double().flatten().numpy()

        start = torch.zeros(shape, dtype=torch.float64).flatten().numpy()
        best = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        return torch.from_numpy(best.x).to(inputs).view(shape)

    def predict(self, batch: Batch) -> Tensor:
        """Return an answer for each position, long ``[B, T]``."""
        features = (self.reader(batch, self.alphabet) - self.mean) / self.scale
        return self.classes[(F.pad(features, (0, 1), value=1.0) @ self.weight).argmax(-1)]
