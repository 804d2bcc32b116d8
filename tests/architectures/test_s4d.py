"""S4D: both forms agree, with each other and with the paper's kernel, and start where the paper starts."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
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
from torch.func import vmap

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.s4d import BLOCK, S4D
from architectures.parts import long_convolution

ROWS, WIDTH, STATE = 2, 4, 6
KERNELS = ["recurrent", "convolution"]
INITS = ["lin", "inv", "real"]
RULES = ["zoh", "bilinear"]


def make(kernel: str, dtype: torch.dtype = torch.float64, init: str = "lin", rule: str = "zoh") -> S4D:
    return S4D(WIDTH, state=STATE, init=init, discretization=rule, kernel=kernel).to(dtype)


def by_the_kernel(mixer: S4D, rule: str, u: Tensor) -> Tensor:
    """The paper's kernel, ``2 Re(C B_ V)`` with ``V`` the powers written as exponentials, and a sum over all delays."""
    imaginary = torch.zeros_like(mixer.decay_log) if mixer.frequency is None else mixer.frequency
    A, dt = torch.complex(-mixer.decay_log.exp(), imaginary), mixer.delta_log.exp()
    C = torch.complex(mixer.C[0], torch.zeros_like(mixer.C[0])) / 2 if len(mixer.C) == 1 else torch.complex(*mixer.C)
    if rule == "zoh":
        log_a, b = dt * A, (torch.exp(dt * A) - 1) / A
    else:
        log_a, b = torch.log((1 + dt * A / 2) / (1 - dt * A / 2)), dt / (1 - dt * A / 2)
    length = u.shape[1]
    V = torch.exp(log_a[..., None] * torch.arange(length))  # [D, M, L]
    K = 2 * torch.einsum("dm,dml->dl", C * b, V).real
    y = sum(F.pad(K[:, delay] * u[:, : length - delay], (0, 0, delay, 0)) for delay in range(length))
    value, gate = mixer.glu(F.gelu(y + mixer.D * u)).chunk(2, dim=-1)
    return value * gate.sigmoid()


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(init: str, rule: str, dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    fast, exact = (make(kernel, dtype, init, rule) for kernel in ("convolution", "recurrent"))
    assert_forms_agree(fast, exact, torch.randn(ROWS, length, WIDTH, dtype=dtype))


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_equals_the_papers_equations(init: str, rule: str, kernel: str) -> None:
    torch.manual_seed(0)
    mixer = make(kernel, init=init, rule=rule)
    x = torch.randn(ROWS, 30, WIDTH, dtype=torch.float64)
    assert_same(lambda x: mixer(x, context_of(x)), lambda x: by_the_kernel(mixer, rule, x), [x])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_steps(rule: str, dtype: torch.dtype) -> None:
    """Step sizes so small that 65 steps hardly change a state, or so large that one step erases or negates it."""
    torch.manual_seed(0)
    fast, exact = (make(kernel, dtype, rule=rule) for kernel in ("convolution", "recurrent"))
    exact.delta_log.data.copy_(torch.tensor([1e-6, 1e-3, 10.0, 1e3]).log()[:, None])
    assert_forms_agree(fast, exact, torch.randn(ROWS, 65, WIDTH, dtype=dtype))


@pytest.mark.parametrize("init", INITS)
def test_steps_equal_forward(init: str) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make("auto", init=init), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize("init", INITS)
def test_state_does_not_grow(init: str) -> None:
    model = LanguageModel(("a", "b"), S4D, {"state": STATE, "init": init}, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * WIDTH * STATE}


@pytest.mark.parametrize("init", ["lin", "real"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_population_equals_singles(init: str, kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(kernel, init=init) for _ in range(3)], x)


def test_transitions_start_as_in_the_paper() -> None:
    """S4D-Lin, S4D-Inv and S4D-Real, entry by entry; the step sizes are log-uniform between their ends."""
    N = 64
    known = {
        "lin": [complex(-0.5, math.pi * n) for n in range(N // 2)],
        "inv": [complex(-0.5, N / math.pi * (N / (2 * n + 1) - 1)) for n in range(N // 2)],
        "real": [-(n + 1.0) for n in range(N)],
    }
    for init, expected in known.items():
        A = S4D(3, state=N, init=init).transition().detach()
        torch.testing.assert_close(A, torch.tensor(expected).to(A.dtype).repeat(3, 1))
    torch.manual_seed(0)
    share = (S4D(5000).delta_log.detach()[:, 0] - math.log(0.001)) / math.log(100)
    torch.testing.assert_close(share.quantile(torch.linspace(0, 1, 11)), torch.linspace(0, 1, 11), atol=0.03, rtol=0)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("length", [BLOCK, BLOCK + 1, 2 * BLOCK + 100])
def test_filters_of_any_number_of_blocks_are_the_kernel(length: int, init: str) -> None:
    torch.manual_seed(0)
    mixer = make("convolution", init=init)
    first = torch.zeros(1, length, WIDTH, dtype=torch.float64)
    first[:, 0] = 1
    assert_close([mixer.filters(length)], [mixer._run_recurrence(first)[0]])


@pytest.mark.parametrize("length", LENGTHS)
def test_convolutions_agree(length: int) -> None:
    torch.manual_seed(length)
    x, filters = torch.randn(ROWS, length, 3, dtype=torch.float64), torch.randn(length, 3, dtype=torch.float64)
    assert_same(long_convolution.fft, long_convolution.direct, [x, filters])
    by_torch = F.conv1d(F.pad(x.mT, (length - 1, 0)), filters.T[:, None].flip(-1), groups=3).mT
    assert_close([long_convolution.direct(x, filters)], [by_torch])


@pytest.mark.parametrize("form", [long_convolution.fft, long_convolution.direct])
def test_convolutions_batch_under_vmap(form: Callable[[Tensor, Tensor], Tensor]) -> None:
    x, filters = torch.randn(3, ROWS, 20, 4, dtype=torch.float64), torch.randn(3, 20, 4, dtype=torch.float64)
    assert_same(vmap(form), lambda *all: torch.stack([form(*each) for each in zip(*all, strict=True)]), [x, filters])


def test_states_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="state=7 must be even"):
        S4D(WIDTH, state=7)
