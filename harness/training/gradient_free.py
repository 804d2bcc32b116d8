"""Training without gradients: the replacement of an optimizer for models that override ``SequenceModel.fit``.

Such a model sees the batches that any other model would see, one in each step. The loss of a step is computed before
the batch is fitted.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from harness.data.presentation import Batch
from harness.models.population import Population


class GradientFree:
    """Calls ``fit`` with each model's own rows, one model after another. Learning rates have no effect.

    Like :class:`~harness.training.optimizer.AdamW` it has ``alive`` bool ``[R, 1]`` and ``lived`` long ``[R]``.
    """

    needs_gradients: ClassVar[bool] = False
    capturable: ClassVar[bool] = False

    def __init__(self, population: Population) -> None:
        self.population, device = population, population.values.device
        self.alive = torch.ones(population.size, 1, dtype=torch.bool, device=device)
        self.lived = torch.zeros(population.size, dtype=torch.long, device=device)

    @torch.no_grad()
    def step(self, factor: float | Tensor, batch: Batch) -> None:
        """Fit the ``R x B`` rows of a step; ``factor`` is not used."""
        size = self.population.size
        chunks = [[None] * size if rows is None else rows.chunk(size) for rows in batch]
        for index, model_batch in enumerate(zip(*chunks, strict=True)):
            if self.alive[index]:
                self._fit(index, Batch(*model_batch))
        self.lived += self.alive[:, 0]

    def rows(self) -> dict[str, Tensor]:
        """Return the state that is kept for each model next to its parameters, one row for each model."""
        return {"alive": self.alive, "lived": self.lived}

    def model_state(self, index: int) -> dict[str, Any]:
        """Return nothing: the parameters are all that a model has learned."""
        return {}

    def load_model_state(self, index: int, state: dict[str, Any]) -> None:
        """Do nothing."""

    def freeze(self, rows: Tensor) -> None:
        """Stop the models where bool ``rows`` ``[R]`` is true."""
        self.alive &= ~rows[:, None]

    def _fit(self, index: int, batch: Batch) -> None:
        """Fit one model in place: make the module's tensors views of its own, then call ``fit``."""
        self.population.bind(index)
        self.population.model.fit([batch])
        self.population.read_back(index)
