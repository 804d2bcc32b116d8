"""The population's AdamW is torch's AdamW after ``clip_grad_norm_``, for every row by itself."""

import pytest
import torch
from torch import Tensor

from harness.training.optimizer import AdamW

STEPS, SIZE = 25, 30
RATES = torch.tensor([1e-3, 3e-2, 0.3], dtype=torch.float64)
FACTORS = [min(1.0, (step + 1) / 5) for step in range(STEPS)]


def start() -> Tensor:
    return torch.randn(len(RATES), SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gradients(step: int) -> Tensor:
    """Gradients from tiny to large, so that some are clipped and some are not."""
    drawn = torch.randn(len(RATES), SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1 + step))
    return drawn * 10.0 ** (step % 5 - 3)


def ours(spoil: dict[int, tuple[int, float]] | None = None, **options: float) -> tuple[list[Tensor], AdamW]:
    """Return the values after every step; ``spoil`` puts a value into a row's gradient at a step."""
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


def theirs(row: int, weight_decay: float, clip: float) -> Tensor:
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
def test_is_torchs(weight_decay: float, clip: float) -> None:
    history, _ = ours(weight_decay=weight_decay, clip=clip)
    for row in range(len(RATES)):
        torch.testing.assert_close(history[-1][row], theirs(row, weight_decay, clip), rtol=1e-12, atol=1e-12)


def test_clipping_changes_what_it_should() -> None:
    assert not torch.equal(ours(clip=1.0)[0][-1], ours()[0][-1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_stops_alone(value: float) -> None:
    healthy, _ = ours(clip=1.0, weight_decay=0.1)
    spoiled, optimizer = ours({9: (1, value)}, clip=1.0, weight_decay=0.1)
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
    free, _ = ours(weight_decay=0.1)
    assert torch.equal(history[-1][0], history[3][0])
    assert torch.equal(history[-1][1:], free[-1][1:])
    assert optimizer.lived.tolist() == [4, STEPS, STEPS]


def test_no_gradient_at_all_is_fine() -> None:
    values, before = start(), start()
    AdamW(values, torch.zeros_like(values), RATES, clip=1.0).step(1.0)
    assert torch.equal(values, before)
