"""The model at the beginning of a stage, from which preference learning does not stray too far."""

import torch
from torch import Tensor

from harness.data.presentation import Batch
from harness.models.population import Population
from harness.training.stages.answers import by_model, token_log_probabilities


class Reference:
    """The parameters of all models at one step.

    Attributes:
        values: float ``[R, P]``; ``None`` until :meth:`keep` is called.
    """

    def __init__(self, population: Population) -> None:
        self.population, self.values = population, None

    values: Tensor | None

    def keep(self) -> None:
        """Keep the present parameters."""
        self.values = self.population.values.detach().clone()

    @torch.no_grad()
    def token_log_probabilities(self, batch: Batch) -> Tensor:
        """Return the log-probability of each target token of ``R x B`` rows, float ``[R, B, T]``."""
        assert self.values is not None
        source, prefix, target = by_model(batch, self.population.size)
        self.population.train(False)
        logits = self.population.logits(source, prefix, self.values)
        self.population.train(True)
        return token_log_probabilities(logits, target)

    def state(self) -> dict[str, Tensor]:
        """Return the parameters for a snapshot."""
        return {} if self.values is None else {"reference": self.values}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the parameters of a snapshot."""
        if "reference" in state:
            self.values = state["reference"].to(self.population.values)
