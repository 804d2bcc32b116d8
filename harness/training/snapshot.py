"""Snapshots: the state of a trainer between two steps, from which a fresh trainer resumes bit for bit.

Everything that belongs to one model is one row of a tensor or one item of a list. The snapshot of a population can
therefore be split into snapshots of smaller populations. A *checkpoint* is a set of weights that is evaluated; a
snapshot contains the checkpoints that its models have so far.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


class StateError(Exception):
    """The state of a training cannot be stored; the message says why."""


@dataclass(frozen=True)
class Snapshot:
    """The resumable state of a trainer, on the CPU. Snapshot files use the names of the attributes.

    Attributes:
        done: training steps so far.
        attended: steps after which validation and logging are done too; it may be one less than ``done``.
        logged: steps whose losses are in the curves.
        tokens: source and prefix tokens of one model so far.
        spent: seconds of training so far.
        validating: seconds of validation within them.
        rows: name -> ``[R, ...]``: parameters, buffers, the optimizer's state, losses, hashes of questions.
        models: for each model its curve, its checkpoints, the step at which it fitted, and the state of an optimizer of
            the user.
        in_use: training lengths in use, where they grow by mastery.
        random: the states of torch's generators by device type; dropout and random positions draw from them.
    """

    done: int
    attended: int
    logged: int
    tokens: int
    spent: float
    validating: float
    rows: dict[str, Tensor]
    models: list[dict[str, Any]]
    random: dict[str, Tensor]
    in_use: int = 1

    def part(self, models: slice) -> "Snapshot":
        """Return the snapshot of some of the models."""
        return replace(self, rows={name: row[models] for name, row in self.rows.items()}, models=self.models[models])


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's random generators on the CPU and, for a GPU, on the device."""
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def set_generator_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the states of torch's random generators to those of :func:`generator_states`."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
