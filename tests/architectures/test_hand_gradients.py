"""Gradients by hand: blocks of rows or sequences give the same results as all of them at once."""

import pytest
import torch
import torch.nn.functional as F
from equivalence import assert_same
from torch import Tensor
from torch.func import vmap

from architectures.parts import short_convolution
from architectures.parts.scans import decay, delta, rows, stepwise
from architectures.parts.short_convolution import ShortConvolution

ROWS, HEADS, LENGTH, WIDTH = 40, 4, 70, 3


def sequences(*shape: int) -> list[Tensor]:
    """Return queries, keys and values."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, *shape, LENGTH, WIDTH, dtype=torch.float64)
    return [q, F.normalize(k, dim=-1), v]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_convolution, "CACHED", 200)
    monkeypatch.setattr(rows, "CACHED", 8 * LENGTH**2)
    monkeypatch.setattr(stepwise, "BLOCK", 1)


def test_stepwise() -> None:
    inputs = [*sequences(ROWS, HEADS), -torch.rand(ROWS, HEADS, LENGTH, WIDTH, dtype=torch.float64)]
    assert ROWS * HEADS > 2 * 64
    assert_same(decay.stepwise, decay.recurrent, inputs)


def test_decay_chunks() -> None:
    inputs = [*sequences(ROWS, HEADS), -torch.rand(ROWS, HEADS, LENGTH, 1, dtype=torch.float64)]
    assert_same(decay.chunked, decay.recurrent, inputs)


def test_decay_chunks_of_heads_that_share_keys() -> None:
    q, k, _ = sequences(ROWS, 2, 1)
    v = torch.randn(ROWS, 2, HEADS, LENGTH, WIDTH, dtype=torch.float64)
    inputs = [q, k, v, -torch.rand(ROWS, 2, HEADS, LENGTH, 1, dtype=torch.float64)]
    assert_same(decay.chunked, decay.recurrent, inputs)
    population = [torch.stack([x, x / 2]) for x in inputs]
    assert_same(vmap(decay.chunked), decay.recurrent, population)


@pytest.mark.parametrize("shape", [(ROWS, HEADS, LENGTH, 1), (HEADS, LENGTH, 1), (LENGTH, 1)])
def test_delta_chunks(shape: tuple[int, ...]) -> None:
    beta = torch.rand(ROWS, HEADS, LENGTH, 1, dtype=torch.float64)
    inputs = [*sequences(ROWS, HEADS), beta, -torch.rand(shape, dtype=torch.float64)]
    assert_same(delta.chunked, delta.recurrent, inputs)


@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("length", [1, 2, 20])
def test_convolution(silu: bool, length: int) -> None:
    torch.manual_seed(0)
    layer = ShortConvolution(WIDTH, 4).double()

    def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x, silu))

    def theirs(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        padded = F.pad(x.mT, (3, 0))
        out = F.conv1d(padded, weight.T[:, None], bias, groups=WIDTH).mT
        return F.silu(out) if silu else out

    inputs = [torch.randn(9, length, WIDTH, dtype=torch.float64), layer.weight.detach(), layer.bias.detach()]
    assert_same(ours, theirs, inputs)
    population = [torch.stack([x, x / 2]) for x in inputs]
    assert_same(vmap(ours), lambda *all: torch.stack([theirs(*each) for each in zip(*all, strict=True)]), population)
