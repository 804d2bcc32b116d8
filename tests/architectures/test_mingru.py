"""minGRU and minLSTM: all forms agree, with the equations of the paper and with its scan in logarithms."""

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
    run,
)
from fakes import naive, stand_in
from torch import Tensor

from architectures.linear.mingru import MinGRU
from architectures.linear.minlstm import MinLSTM
from architectures.parts.kernel_choice import Choice
from architectures.parts.min_rnn import GatedAverage

ROWS, WIDTH = 2, 6
BOTH = [MinGRU, MinLSTM]
Form = Callable[[GatedAverage, Tensor], Tensor]


def section_3(mixer: GatedAverage, x: Tensor) -> Tensor:
    """Sections 3.1.3 and 3.2.3, step by step, with the candidates of appendix B."""
    *gates, candidate = mixer.into(mixer.convolution(x)).chunk(mixer.gates + 1, dim=-1)
    gates = [each.sigmoid() for each in gates]
    keep, take = (1 - gates[0], gates[0]) if len(gates) == 1 else (each / sum(gates) for each in gates)
    h, out = 0.0, []
    for t in range(x.shape[1]):
        h = keep[:, t] * h + take[:, t] * torch.where(candidate >= 0, candidate + 0.5, candidate.sigmoid())[:, t]
        out.append(h)
    return mixer.out(torch.stack(out, dim=1))


def appendix_b(mixer: GatedAverage, x: Tensor) -> Tensor:
    """Appendix B: the scan of Heinsen 2023 on logarithms."""
    *gates, candidate = mixer.into(mixer.convolution(x)).chunk(mixer.gates + 1, dim=-1)
    difference = -gates[0] if len(gates) == 1 else F.softplus(-gates[1]) - F.softplus(-gates[0])
    log_keep, log_take = -F.softplus(-difference), -F.softplus(difference)
    log_g = torch.where(candidate >= 0, (candidate.relu() + 0.5).log(), -F.softplus(-candidate))
    since = log_keep.cumsum(1)
    return mixer.out((since + torch.logcumsumexp(log_take + log_g - since, dim=1)).exp())


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package fla, with its own naive recurrence for a kernel."""
    stand_in(monkeypatch, "fla.ops.hgrn", fused_recurrent_hgrn=naive("hgrn/naive.py").naive_recurrent_hgrn)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("eigenvalues", ["positive", "signed"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(cls: type[GatedAverage], eigenvalues: str, dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    fast, exact = (cls(WIDTH, eigenvalues=eigenvalues, kernel=k).to(dtype) for k in ("chunked", "recurrent"))
    exact.into.weight.data.mul_(3)
    assert_forms_agree(fast, exact, torch.randn(ROWS, length, WIDTH, dtype=dtype))


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("theirs", [section_3, appendix_b])
@pytest.mark.parametrize("kernel", ["recurrent", "chunked"])
def test_equals_the_papers_equations(cls: type[GatedAverage], theirs: Form, kernel: str) -> None:
    torch.manual_seed(0)
    mixer = cls(WIDTH, kernel=kernel).double()
    mixer.into.weight.data.mul_(3)
    x = torch.randn(ROWS, 20, WIDTH, dtype=torch.float64)
    assert_same(lambda x: mixer(x, context_of(x)), lambda x: theirs(mixer, x), [x])


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("kernel", ["recurrent", "chunked"])
def test_extreme_gates(cls: type[GatedAverage], kernel: str) -> None:
    """Gates so wide open and so tightly shut that float32 rounds them to one and to zero."""
    torch.manual_seed(0)
    exact, fast = cls(WIDTH, kernel="recurrent"), cls(WIDTH, kernel=kernel)
    exact.into.weight.data[: -exact.inner].mul_(300)
    fast.load_state_dict(exact.state_dict())
    x = torch.randn(ROWS, 65, WIDTH)
    (out, gradients), (expected, known) = run(fast, x), run(exact.double(), x.double())
    assert_close([out], [expected])
    assert_close(gradients, known)


@pytest.mark.parametrize("cls", BOTH)
def test_linear_candidates_can_be_negative(cls: type[GatedAverage]) -> None:
    mixer = cls(WIDTH, candidate="linear")
    _, candidate = mixer._project(torch.randn(ROWS, 20, WIDTH))
    assert bool((candidate < 0).any())


def test_signed_eigenvalues_turn_a_state_around() -> None:
    mixer = MinGRU(WIDTH, eigenvalues="signed")
    torch.testing.assert_close(mixer._decay(torch.tensor([-40.0, 0.0, 40.0])), torch.tensor([1.0, 0.0, -1.0]))


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("eigenvalues", ["positive", "signed"])
def test_steps_equal_forward(cls: type[GatedAverage], eigenvalues: str) -> None:
    torch.manual_seed(0)
    mixer = cls(WIDTH, eigenvalues=eigenvalues).double()
    assert_steps_equal_forward(mixer, torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize("cls", BOTH)
def test_population_equals_singles(cls: type[GatedAverage]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([cls(WIDTH).double() for _ in range(3)], x)


def on_package(cls: type[GatedAverage]) -> GatedAverage:
    mixer = cls(WIDTH, kernel="recurrent")
    mixer.choice = Choice(cpu="fla", cuda="fla", records={})
    return mixer


@pytest.mark.parametrize("cls", BOTH)
def test_package_is_called_as_it_wants(cls: type[GatedAverage], package: None) -> None:
    torch.manual_seed(0)
    x = torch.randn(ROWS, 20, WIDTH)
    assert_forms_agree(on_package(cls), cls(WIDTH, kernel="recurrent"), x)


def test_package_serves_a_population(package: None) -> None:
    torch.manual_seed(0)
    assert_population_equals_singles([on_package(MinGRU) for _ in range(3)], torch.randn(3, ROWS, 20, WIDTH))


def test_package_has_no_signed_eigenvalues() -> None:
    with pytest.raises(ValueError, match="kernel=fla supports positive eigenvalues only; use auto or chunked"):
        MinGRU(WIDTH, eigenvalues="signed", kernel="fla")
