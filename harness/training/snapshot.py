"""A snapshot: what a trainer needs to go on from the middle of a training as though it had never stopped.

What belongs to one model is a row of a tensor or an entry of a list, so that a snapshot of a population can be cut
into snapshots of its parts.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.training.trainer import Trainer


@dataclass(frozen=True)
class Snapshot:
    """A moment of a training, on the CPU.

    Attributes:
        done, attended, logged, tokens: the trainer's counts; what is due after the step ``done`` is not yet done where
            ``attended`` is less.
        spent, validating: seconds of training so far, and of validation within them.
        rows: name -> ``[R, ...]``: values, what the optimizer remembers, losses, hashes of questions.
        models: for each model its curve and its kept checkpoints.
        random: the states of torch's generators, by device type; dropout and random places draw from them.
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

    def part(self, models: slice) -> "Snapshot":
        """Return the snapshot of some of the models."""
        return replace(self, rows={name: row[models] for name, row in self.rows.items()}, models=self.models[models])


def take(trainer: Trainer) -> Snapshot:
    """Return the present moment of a training."""
    return Snapshot(
        done=trainer.done,
        attended=trainer.attended,
        logged=trainer.logged,
        tokens=trainer.tokens,
        spent=time.perf_counter() - trainer.began,
        validating=trainer.validating,
        rows={name: row.detach().to("cpu", copy=True) for name, row in _rows(trainer).items()},
        models=[{"curve": list(m.curve), "checkpoints": dict(m.checkpoints)} for m in trainer.models],
        random=_random(trainer.device),
    )


@torch.no_grad()
def restore(trainer: Trainer, snapshot: Snapshot) -> None:
    """Bring a fresh trainer of the same cells to that moment."""
    trainer.done, trainer.attended = snapshot.done, snapshot.attended
    trainer.logged, trainer.tokens = snapshot.logged, snapshot.tokens
    trainer.spent, trainer.validating = snapshot.spent, snapshot.validating
    trainer.at.fill_(snapshot.done)
    for name, row in _rows(trainer).items():
        row.copy_(snapshot.rows[name])
    for model, kept in zip(trainer.models, snapshot.models, strict=True):
        model.curve, model.checkpoints = list(kept["curve"]), dict(kept["checkpoints"])
    torch.set_rng_state(snapshot.random["cpu"])
    if "cuda" in snapshot.random:
        torch.cuda.set_rng_state(snapshot.random["cuda"], trainer.device)


def _rows(trainer: Trainer) -> dict[str, Tensor]:
    """Return the trainer's own memory of what has happened so far, a row a model."""
    seen = trainer.seen[:, : min(trainer.done, trainer.remembered)]
    so_far = {"losses": trainer.losses[: trainer.done].T, "seen": seen}
    return {"values": trainer.population.values, **trainer.optimizer.rows(), **so_far}


def _random(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states
