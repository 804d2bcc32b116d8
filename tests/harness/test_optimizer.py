"""AdamW of a population: each row is updated as by torch's AdamW after ``clip_grad_norm_``."""

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.bench.workload import make_workload
from harness.registry.catalog import Catalog
from harness.training.make_optimizer import decay_row
from harness.training.optimizer import AdamW, undecayed

STEPS, SIZE = 25, 30
RATES = torch.tensor([1e-3, 3e-2, 0.3], dtype=torch.float64)
FACTORS = [min(1.0, (step + 1) / 5) for step in range(STEPS)]


def start() -> Tensor:
    return torch.randn(len(RATES), SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gradients(step: int) -> Tensor:
    """Return gradients from tiny to large, so that some are clipped and some are not."""
    gradient = torch.randn(len(RATES), SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1 + step))
    return gradient * 10.0 ** (step % 5 - 3)


def train(spoil: dict[int, tuple[int, float]] | None = None, **options: Any) -> tuple[list[Tensor], AdamW]:
    """Return the values after each step; ``spoil`` maps steps to a row and a value for its gradient."""
    values, grads, history = start(), torch.zeros(len(RATES), SIZE, dtype=torch.float64), []
    optimizer = AdamW(values, grads, RATES, **options)
    for step in range(STEPS):
        grads.copy_(gradients(step))
        if spoil and step in spoil:
            row, value = spoil[step]
            grads[row, 7] = value
        optimizer.step(FACTORS[step])
        history.append(values.clone())
    return history, optimizer


def train_with_torch(row: int, weight_decay: float, clip: float) -> Tensor:
    """Train one row with torch."""
    value = torch.nn.Parameter(start()[row])
    optimizer = torch.optim.AdamW([value], lr=1.0, weight_decay=weight_decay)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = float(RATES[row]) * FACTORS[step]
        value.grad = gradients(step)[row]
        if clip:
            torch.nn.utils.clip_grad_norm_([value], clip)
        optimizer.step()
    return value.detach()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_equals_torch(weight_decay: float, clip: float) -> None:
    history, _ = train(weight_decay=weight_decay, clip=clip)
    for row in range(len(RATES)):
        torch.testing.assert_close(history[-1][row], train_with_torch(row, weight_decay, clip), rtol=1e-12, atol=1e-12)


def test_clipping_changes_the_values() -> None:
    assert not torch.equal(train(clip=1.0)[0][-1], train()[0][-1])


def test_weight_decay_can_differ_between_parameters() -> None:
    decays = torch.zeros(SIZE, dtype=torch.float64)
    decays[:10] = 0.1
    mixed, with_decay, without = (train(weight_decay=decay)[0][-1] for decay in (decays, 0.1, 0.0))
    assert torch.equal(mixed[:, :10], with_decay[:, :10])
    assert torch.equal(mixed[:, 10:], without[:, 10:])


@pytest.mark.parametrize("architecture", ["mamba", "lru", "transformer"])
def test_the_trainer_decays_matrices_only(architecture: str) -> None:
    trainer = make_workload(architecture, Catalog(), "cpu").trainer()
    row = decay_row(trainer.population, 0.1)
    named = trainer.population.layout.unpack(row)
    exempt = {name for name, decay in named.items() if not decay.any()}
    assert all(
        torch.view_as_real(d).eq(0.1).all() if d.is_complex() else d.eq(0.1).all()
        for n, d in named.items()
        if n not in exempt
    )
    assert exempt == undecayed(trainer.population.model)
    assert {name for name, decay in named.items() if decay.dim() < 2} <= exempt
    assert ("layers.0.mixer.A_log" in exempt) == (architecture == "mamba")
    assert "embedding.weight" not in exempt


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_only_a_row_that_is_not_finite_is_frozen(value: float) -> None:
    healthy, _ = train(clip=1.0, weight_decay=0.1)
    spoiled, optimizer = train({9: (1, value)}, clip=1.0, weight_decay=0.1)
    assert torch.equal(spoiled[-1][[0, 2]], healthy[-1][[0, 2]])
    assert all(torch.equal(after[1], healthy[8][1]) for after in spoiled[9:])
    assert optimizer.alive[:, 0].tolist() == [True, False, True]
    assert optimizer.lived.tolist() == [STEPS, 9, STEPS]


def test_a_frozen_row_never_moves_again() -> None:
    values, grads = start(), torch.zeros(len(RATES), SIZE, dtype=torch.float64)
    optimizer, history = AdamW(values, grads, RATES, weight_decay=0.1), []
    for step in range(STEPS):
        if step == 4:
            optimizer.freeze(torch.tensor([True, False, False]))
        grads.copy_(gradients(step))
        optimizer.step(FACTORS[step])
        history.append(values.clone())
    free, _ = train(weight_decay=0.1)
    assert torch.equal(history[-1][0], history[3][0])
    assert torch.equal(history[-1][1:], free[-1][1:])
    assert optimizer.lived.tolist() == [4, STEPS, STEPS]


def test_zero_gradients_change_nothing() -> None:
    values, before = start(), start()
    AdamW(values, torch.zeros_like(values), RATES, clip=1.0).step(1.0)
    assert torch.equal(values, before)
