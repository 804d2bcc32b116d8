"""LRU: all forms agree, with each other and with the paper's sum of powers; it starts on the paper's ring."""

import math

import pytest
import torch
import torch.nn.functional as F
from equivalence import (
    DTYPES,
    LENGTHS,
    assert_forms_agree,
    assert_population_equals_singles,
    assert_same,
    assert_steps_equal_forward,
    context_of,
)
from torch import Tensor

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.lru import LRU

ROWS, WIDTH, STATE = 2, 6, 5
KERNELS = ["recurrent", "chunked"]


def make(kernel: str, dtype: torch.dtype = torch.float64) -> LRU:
    return LRU(WIDTH, state=STATE, kernel=kernel).to(dtype)


def powers_of_the_eigenvalues(mixer: LRU, u: Tensor) -> Tensor:
    """``y_k = Re(sum_j C diag(lambda)^(k-j) gamma B u_j) + D u_k`` (equation 7, unrolled), then the block."""
    time = torch.arange(u.shape[1], dtype=torch.float64)
    exponent = torch.complex(-mixer.nu_log.exp(), mixer.theta_log.exp())
    delay = (time[:, None] - time).clamp(min=0)
    powers = torch.exp(delay[..., None] * exponent) * (time[:, None] >= time)[..., None]  # [L, L, N]
    B, C = torch.complex(mixer.B[0], mixer.B[1]), torch.complex(mixer.C[0], mixer.C[1])
    projected = torch.einsum("bjd,dn,n->bjn", u + 0j, B, mixer.gamma_log.exp() + 0j)
    y = torch.einsum("kjn,bjn,nd->bkd", powers, projected, C).real + mixer.D * u
    value, gate = mixer.glu(F.gelu(y)).chunk(2, dim=-1)
    return value * gate.sigmoid()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    assert_forms_agree(make("chunked", dtype), make("recurrent", dtype), x)


@pytest.mark.parametrize("kernel", KERNELS)
def test_equals_the_papers_equations(kernel: str) -> None:
    torch.manual_seed(0)
    mixer = make(kernel)
    x = torch.randn(ROWS, 30, WIDTH, dtype=torch.float64)
    assert_same(lambda x: mixer(x, context_of(x)), lambda x: powers_of_the_eigenvalues(mixer, x), [x])


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_decays(dtype: torch.dtype) -> None:
    """Some eigenvalues are zero in float32, and some do not decay in 65 steps."""
    torch.manual_seed(0)
    fast, exact = make("chunked", dtype), make("recurrent", dtype)
    exact.nu_log.data.copy_(torch.tensor([1e3, 200.0, 7.4, 1e-3, 1e-7]).log())
    assert_forms_agree(fast, exact, torch.randn(ROWS, 65, WIDTH, dtype=dtype))


@pytest.mark.parametrize("kernel", KERNELS)
def test_steps_equal_forward(kernel: str) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(kernel), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_does_not_grow() -> None:
    model = LanguageModel(("a", "b"), LRU, {"state": STATE}, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * 2 * STATE}


@pytest.mark.parametrize("kernel", KERNELS)
def test_population_equals_singles(kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(kernel) for _ in range(3)], x)


@pytest.mark.parametrize(("r_min", "r_max", "max_phase"), [(0.0, 1.0, 2 * math.pi), (0.9, 0.999, math.pi / 10)])
def test_starts_on_the_papers_ring(r_min: float, r_max: float, max_phase: float) -> None:
    """Uniform on the ring: the squared radius is uniform between the squares of the two, the phase from zero."""
    torch.manual_seed(0)
    mixer = LRU(4, state=20_000, r_min=r_min, r_max=r_max, max_phase=max_phase)
    eigenvalues = mixer.eigenvalues().detach()
    share = (eigenvalues.abs() ** 2 - r_min**2) / (r_max**2 - r_min**2)
    for uniform in (share, mixer.theta_log.detach().exp() / max_phase):
        deciles = torch.quantile(uniform, torch.linspace(0, 1, 11))
        torch.testing.assert_close(deciles, torch.linspace(0, 1, 11), atol=0.015, rtol=0)
    torch.testing.assert_close(mixer.gamma_log.exp() ** 2 + eigenvalues.abs() ** 2, torch.ones(20_000))


def test_states_of_white_noise_are_as_large_as_it() -> None:
    """Proposition 3.3: with gamma, E|x|^2 = |B u|^2, which is one on average for unit noise, whatever the radius."""
    torch.manual_seed(0)
    mixer = LRU(32, state=200, r_min=0.5, r_max=0.99)
    decay, inputs = mixer.eigenvalues(), mixer._input_projection(torch.randn(4, 2000, 32))
    state, power = torch.zeros(4, 200, dtype=torch.cfloat), []
    for each in inputs.unbind(1):
        state = decay * state + each
        power.append(state.abs() ** 2)
    mean = torch.stack(power[500:]).mean((0, 1)).detach()
    assert 0.9 < float(mean.mean()) < 1.1


def test_radii_are_in_order() -> None:
    with pytest.raises(ValueError, match=r"r_min=0.9 must be less than r_max=0.5"):
        LRU(WIDTH, r_min=0.9, r_max=0.5)
