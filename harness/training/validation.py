"""Validation: the scores at training lengths that choose learning rates and stop fitted models.

The questions come from a random stream of their own, which neither training nor evaluation uses.
"""

from harness.config.lengths import even_grid
from harness.config.recipe import Recipe
from harness.data.batches import train_lengths
from harness.data.presentation import Presentation
from harness.data.rng import Purpose
from harness.evaluation.scoring import fixed_set, score
from harness.models.population import Population

ROWS = 128
"""Questions of each length."""
LENGTHS = 5
"""How many training lengths are scored; they are evenly spaced and include the shortest and the longest."""


def validate(population: Population, presentation: Presentation, key: str, recipe: Recipe) -> list[tuple[float, float]]:
    """Return (exact match, loss) of each model on the validation set, the mean over a few training lengths."""
    choices = train_lengths(presentation.task, recipe)
    picked = [choices[i] for i in even_grid(0, len(choices) - 1, LENGTHS)]
    device = population.values.device
    scores = [
        score(population, presentation, fixed_set(presentation, key, Purpose.VALIDATE, length, ROWS, device))
        for length in picked
    ]
    by_model = list(zip(*scores, strict=True))
    return [(sum(s.exact for s in m) / sum(s.n for s in m), sum(s.loss for s in m) / len(m)) for m in by_model]
