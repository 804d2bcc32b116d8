"""Fitting without gradients: what stands in the trainer where an optimizer would, for models that bring their own.

Such a model overrides ``SequenceModel.fit``. It sees the batches that any other model would see, one at each step, and
is asked before it is told: the training loss of a step is that of a batch not yet fitted.
"""

import torch
from torch.nn.utils import vector_to_parameters

from harness.data.presentation import Presented
from harness.models.population import Population


class Fitting:
    """Calls ``fit`` with each model's own rows, one model after another; learning rates have no part in it.

    Like :class:`~harness.training.optimizer.AdamW` it has ``alive`` bool ``[R, 1]`` and ``lived`` long ``[R]``.
    """

    def __init__(self, population: Population) -> None:
        self.population, device = population, population.values.device
        self.alive = torch.ones(population.size, 1, dtype=torch.bool, device=device)
        self.lived = torch.zeros(population.size, dtype=torch.long, device=device)

    @torch.no_grad()
    def step(self, batch: Presented) -> None:
        """Fit the ``R x B`` rows of a step."""
        size = self.population.size
        parts = [[None] * size if rows is None else rows.chunk(size) for rows in batch]
        for index, part in enumerate(zip(*parts, strict=True)):
            if self.alive[index]:
                self._fit(index, Presented(*part))
        self.lived += self.alive[:, 0]

    def rows(self) -> dict[str, torch.Tensor]:
        """Return what is remembered of each model beside its parameters, a row a model."""
        return {"alive": self.alive, "lived": self.lived}

    def freeze(self, rows: torch.Tensor) -> None:
        """Stop the models where bool ``rows`` ``[R]`` is true."""
        self.alive &= ~rows[:, None]

    def _fit(self, index: int, batch: Presented) -> None:
        """Let the module's parameters be those of one model, and change them in place."""
        model = self.population.model
        vector_to_parameters(self.population.values[index], model.parameters())
        model.fit([batch])
