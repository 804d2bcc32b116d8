"""RetNet: all forms agree, with each other, with equation 5 in complex numbers, and with flash-linear-attention."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

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

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.retnet import FORMS, RetNet
from architectures.parts.kernel_choice import Choice
from architectures.parts.kernels import KernelMissing
from architectures.parts.kernels.fla import KERNEL, retention

ROWS, WIDTH, HEADS = 2, 12, 3
KERNELS = ["recurrent", "parallel", "chunked"]


def make(kernel: str, dtype: torch.dtype = torch.float64) -> RetNet:
    return RetNet(WIDTH, heads=HEADS, kernel=kernel).to(dtype)


def equation_8(mixer: RetNet, x: Tensor) -> Tensor:
    """The layer as the paper writes it: complex rotations, one decay matrix a head, one group norm over all heads."""
    length, each = x.shape[1], WIDTH // HEADS // 2
    n = torch.arange(length, dtype=torch.float64)
    angle = (n[:, None].float() * torch.pow(10000.0, -torch.arange(each) / each)).double()  # in float32, as RoPE has it
    turn = torch.polar(torch.ones_like(angle), angle)[:, None]  # [L, 1, E/2]
    q, k = (torch.complex(*w(x).unflatten(-1, (HEADS, 2, each)).unbind(-2)) * turn for w in (mixer.query, mixer.key))
    v = mixer.value(x).unflatten(-1, (HEADS, -1))
    gamma = 1 - 2 ** (-5 - torch.arange(HEADS, dtype=torch.float64))
    D = (gamma[:, None, None] ** (n[:, None] - n)).tril()
    scores = torch.einsum("blhe,bmhe->bhlm", q, k.conj()).real * (2 * each) ** -0.5 * D
    heads = torch.einsum("bhlm,bmhv->blhv", scores, v).flatten(-2)
    normed = F.group_norm(heads.flatten(0, 1), HEADS).unflatten(0, x.shape[:2])
    return mixer.out(F.silu(mixer.gate(x)) * normed)


def retention_inputs(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(length)
    q, k = torch.randn(2, ROWS, HEADS, length, 4, dtype=dtype)
    return [q, k, torch.randn(ROWS, HEADS, length, 8, dtype=dtype)]


def by_form(form: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return FORMS[form](q, k, v, RetNet(WIDTH, heads=q.shape[1])._log_decay(v))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package fla, with the recurrent form for a kernel."""

    def chunk_retention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, None]:
        q, k, v = (each.transpose(1, 2) for each in (q * scale, k, v))
        return by_form("recurrent", q, k, v).transpose(1, 2), None

    module = ModuleType("fla.ops.retention")
    module.chunk_retention = chunk_retention  # type: ignore[attr-defined]
    for name in ("fla", "fla.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("kernel", ["parallel", "chunked", "auto"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(kernel: str, dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    assert_forms_agree(make(kernel, dtype), make("recurrent", dtype), x)


@pytest.mark.parametrize("kernel", KERNELS)
def test_equals_the_papers_equations(kernel: str) -> None:
    torch.manual_seed(0)
    mixer = make(kernel)
    x = torch.randn(ROWS, 65, WIDTH, dtype=torch.float64)
    assert_close([mixer(x, context_of(x))], [equation_8(mixer, x)], tolerance=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("length", [1, 65])
def test_equals_flash_linear_attention(kernel: str, length: int) -> None:
    package = importlib.util.find_spec("fla")
    if package is None:
        pytest.skip("fla-core is not installed")
    path = Path(package.submodule_search_locations[0]) / "ops" / "retention" / "naive.py"
    spec = importlib.util.spec_from_file_location("naive_retention", path)
    naive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(naive)
    q, k, v = retention_inputs(length, torch.float32)
    assert_same(lambda q, k, v: by_form(kernel, q * 4**-0.5, k, v), naive.naive_retention, [q, k, v])


@pytest.mark.parametrize("kernel", KERNELS)
def test_steps_equal_forward(kernel: str) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(kernel), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_does_not_grow() -> None:
    model = LanguageModel(("a", "b"), RetNet, {"heads": HEADS}, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * HEADS * 4 * 8}


@pytest.mark.parametrize("kernel", KERNELS)
def test_population_equals_singles(kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 70, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(kernel) for _ in range(3)], x)


def test_package_is_called_as_it_wants(stand_in: None) -> None:
    assert_same(retention, lambda q, k, v: by_form("recurrent", q, k, v), retention_inputs(9))


def test_package_serves_a_population(stand_in: None) -> None:
    torch.manual_seed(0)
    mixers = [make("recurrent") for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="fla", cuda="fla", records={})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64))


@pytest.mark.skipif(KERNEL.obstacle() is None, reason="fla is usable here")
def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(KernelMissing, match="kernel=fla cannot be used here: fla-core "):
        RetNet(WIDTH, heads=HEADS, kernel="fla")
    assert RetNet(WIDTH, heads=HEADS).choice.on(torch.device("cpu")) == "chunked"


def test_heads_need_an_even_number_of_channels() -> None:
    with pytest.raises(ValueError, match="width=12 must be a multiple of 8"):
        RetNet(12, heads=4)
