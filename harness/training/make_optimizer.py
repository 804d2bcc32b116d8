"""Makes the optimizer of a population: AdamW over all rows, or a user's torch optimizer for each model."""

import torch
from torch import Tensor

from harness.config.recipe import ADAMW, Recipe
from harness.models.population import Population
from harness.models.tensors import as_real
from harness.training.custom import CustomOptimizer
from harness.training.optimizer import AdamW, RowOptimizer, undecayed


def make_optimizer(population: Population, recipe: Recipe, rates: Tensor) -> RowOptimizer:
    """Return the optimizer of a population under a recipe; ``rates`` ``[R]`` are the peak learning rates."""
    if recipe.optimizer != ADAMW:
        return CustomOptimizer(population, recipe, rates)
    decay = decay_row(population, recipe.weight_decay) if recipe.weight_decay else 0.0
    betas = (recipe.beta1, recipe.beta2)
    return AdamW(population.values, population.grads, rates, weight_decay=decay, clip=recipe.clip, betas=betas)


def decay_row(population: Population, weight_decay: float) -> Tensor:
    """Return the weight decay of each parameter, float ``[P]``."""
    exempt, row = undecayed(population.model), torch.zeros_like(population.values[0])
    for name, view in population.layout.unpack(row).items():
        if name not in exempt:
            as_real(view).fill_(weight_decay)
    return row
