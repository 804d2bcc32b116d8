"""Training without gradients: the replacement of an optimizer for models that override ``SequenceModel.fit``.

Such a model sees the batches that any other model would see, one in each step. The loss of a step is computed before
the batch is fitted.
"""

from typing import ClassVar

import torch
from torch import Tensor

from harness.data.presentation import Batch
from harness.models.population import Population
from harness.training.optimizer import PopulationOptimizer


class GradientFree(PopulationOptimizer):
    """Calls ``fit`` with each model's own rows, one model after another. Learning rates have no effect."""

    needs_gradients: ClassVar[bool] = False
    capturable: ClassVar[bool] = False

    def __init__(self, population: Population) -> None:
        super().__init__(population.size, population.values.device)
        self.population = population

    @torch.no_grad()
    def step(self, factor: float | Tensor, batch: Batch) -> None:
        """Fit the ``R x B`` rows of a step; ``factor`` is not used."""
        size = self.population.size
        chunks = [[None] * size if rows is None else rows.chunk(size) for rows in batch]
        for index, model_batch in enumerate(zip(*chunks, strict=True)):
            if self.alive[index]:
                self._fit(index, Batch(*model_batch))
        self.lived += self.alive[:, 0]

    def _fit(self, index: int, batch: Batch) -> None:
        """Fit one model in place: make the module's tensors views of its own, then call ``fit``."""
        self.population.bind(index)
        self.population.model.fit([batch])
        self.population.read_back(index)
