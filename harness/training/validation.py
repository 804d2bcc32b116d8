"""Validation: the scores at training lengths that choose learning rates, stop fitted models and let lengths grow.

The questions come from a random stream of their own, which neither training nor evaluation uses.
"""

from harness.config.lengths import even_grid
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.data.rng import Purpose
from harness.data.step_lengths import train_lengths
from harness.evaluation.scoring import Score, fixed_set, score
from harness.models.population import Population

ROWS = 128
"""Questions of each length."""
LENGTHS = 5
"""How many training lengths are scored; they are evenly spaced and include the shortest and the longest."""
ALL_ROWS = 1024
"""Questions with which all training lengths together are tested; each length has at least :data:`FEWEST`."""
FEWEST = 32

MASTERED = 0.99
"""Exact match at the longest length in use from which on training lengths grow."""


def validation_lengths(choices: list[int]) -> list[int]:
    """Return the training lengths that validation scores."""
    return [choices[index] for index in even_grid(0, len(choices) - 1, LENGTHS)]


def validate(population: Population, presentation: Presentation, key: str, recipe: Recipe) -> list[tuple[float, float]]:
    """Return (exact match, loss) of each model on the validation set, the mean over a few training lengths."""
    picked = validation_lengths(train_lengths(presentation.task, recipe))
    by_model = list(zip(*(_score(population, presentation, key, length, ROWS) for length in picked), strict=True))
    return [(sum(s.exact for s in m) / sum(s.n for s in m), sum(s.loss for s in m) / len(m)) for m in by_model]


def solve_all_lengths(population: Population, presentation: Presentation, key: str, recipe: Recipe) -> list[bool]:
    """Return of each model whether it answers all questions right at every training length."""
    choices = train_lengths(presentation.task, recipe)
    solved, rows = [True] * population.size, max(FEWEST, ALL_ROWS // len(choices))
    for length in reversed(choices):  # long questions are the hardest, so an unfitted model fails early
        scores = _score(population, presentation, key, length, rows)
        solved = [before and score.exact == score.n for before, score in zip(solved, scores, strict=True)]
        if not any(solved):
            break
    return solved


def masters(population: Population, presentation: Presentation, key: str, length: int) -> bool:
    """Whether all models answer nearly all questions of a length right."""
    return all(s.exact >= MASTERED * s.n for s in _score(population, presentation, key, length, ROWS))


def _score(population: Population, presentation: Presentation, key: str, length: int, rows: int) -> list[Score]:
    questions = fixed_set(presentation, key, Purpose.VALIDATE, length, rows, population.values.device)
    return score(population, presentation, questions)
