"""The result of a training: what is known of each model, and of the population."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from harness.models.population import Population


@dataclass
class Trained:
    """The result of training one model.

    ``curve`` has one entry per log point: step and loss, and after a validation validation_exact and validation_loss.
    ``fitted_at`` is the step after which it first solved every training length, ``None`` if it never did.
    ``checkpoints`` maps steps to weights. ``distinct`` is the share of distinct questions among those drawn.
    ``seen`` is the share of the test questions of a length that are among the draws.
    ``failure`` says why the model did not finish; it is empty if it did.
    """

    steps_used: int = 0
    fitted_at: int | None = None
    failure: str = ""
    curve: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    distinct: float = 1.0
    seen: dict[int, float] = field(default_factory=dict)


@dataclass
class Training:
    """A trained population, the result of each model, and the seconds by phase.

    ``tokens`` counts source and prefix tokens of one model. ``programs`` says for each part of a step whether a GPU
    replayed it as a CUDA graph.
    """

    population: Population
    models: list[Trained]
    seconds: dict[str, float]
    tokens: int
    programs: dict[str, str]
