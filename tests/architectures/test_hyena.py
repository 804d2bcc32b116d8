"""Hyena: both forms agree with each other and with the paper's matrix product; filters do not depend on the length."""

import math

import pytest
import torch
from equivalence import (
    DTYPES,
    LENGTHS,
    assert_close,
    assert_forms_agree,
    assert_population_equals_singles,
    assert_same,
    assert_steps_equal_forward,
    context_of,
)
from torch import Tensor

from architectures.base import state_bytes
from architectures.convolution.hyena import Filters, Hyena
from architectures.language_model import LanguageModel

ROWS, WIDTH = 2, 4


def make(kernel: str, dtype: torch.dtype = torch.float64, order: int = 2) -> Hyena:
    return Hyena(WIDTH, order=order, hidden=8, kernel=kernel).to(dtype)


def product_of_matrices(mixer: Hyena, u: Tensor) -> Tensor:
    """Section 3.2: ``y = D_x^N S_h^N ... D_x^1 S_h^1 v``, a matrix for every channel, with filters entry by entry."""
    length = u.shape[1]
    filters = torch.stack([filter_entry(mixer.filters, t) for t in range(length)])  # [L, N, D]
    z, *gates = mixer.convolution(mixer.into(u)).chunk(mixer.order + 1, dim=-1)
    for n, gate in enumerate(gates):
        S = torch.zeros(WIDTH, length, length, dtype=u.dtype)
        for t in range(length):
            S = S + torch.stack([torch.diag(h.expand(length - t), -t) for h in filters[t, n]])
        S = S + torch.diag_embed(mixer.bias[n][:, None].expand(-1, length))
        z = torch.einsum("btd,dts,bsd->btd", gate, S, z)
    return mixer.out(z)


def filter_entry(filters: Filters, place: int) -> Tensor:
    """Return equation 7 at one position, ``[N, D]``."""
    t = place / filters.span
    turns = [2 * math.pi * k * t for k in range(filters.bands)]
    h = torch.tensor([t, *map(math.cos, turns), *(-math.sin(angle) for angle in turns)], dtype=torch.float64)
    for linear, sine in zip(filters.linears, filters.sines, strict=True):
        h = torch.sin(sine.frequency * linear(h))
    alpha = torch.linspace(math.log(100) / 0.3, math.log(100) / 1.5, WIDTH, dtype=torch.float64)
    return filters.out(h).view(-1, WIDTH) * torch.exp(-alpha * t)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    assert_forms_agree(make("fft", dtype), make("direct", dtype), x)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("kernel", ["direct", "fft"])
def test_equals_the_papers_matrices(order: int, kernel: str) -> None:
    torch.manual_seed(0)
    mixer = make(kernel, order=order)
    x = torch.randn(ROWS, 20, WIDTH, dtype=torch.float64)
    assert_same(lambda x: mixer(x, context_of(x)), lambda x: product_of_matrices(mixer, x), [x])


def test_filters_do_not_depend_on_the_length() -> None:
    filters = make("fft").filters
    assert_close([filters(5), filters(63)], [filters(200)[:5], filters(200)[:63]])


def test_filters_fade_in_the_papers_time() -> None:
    filters = Filters(WIDTH, 1, span=10, bands=2, hidden=8).double()
    window = filters._window(torch.tensor([[0.3], [1.5]], dtype=torch.float64))
    torch.testing.assert_close(window[[0, 1], [0, -1]], torch.full((2,), 0.01, dtype=torch.float64))


@pytest.mark.parametrize("order", [1, 3])
def test_steps_equal_forward(order: int) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make("auto", order=order), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_is_the_past() -> None:
    model = LanguageModel(("a", "b"), Hyena, width=WIDTH, depth=1)
    for length in (1, 9, 30):
        size = state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long)))
        assert size == 4 * ROWS * WIDTH * (2 * 3 + 2 * length)


@pytest.mark.parametrize("kernel", ["direct", "fft"])
def test_population_equals_singles(kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(kernel) for _ in range(3)], x)
