"""Mamba: all forms agree, with each other, with a loop of their own, and with Hugging Face's mixer."""

import ast
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

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
from torch import Tensor

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear import mamba
from architectures.linear.mamba import Mamba
from architectures.parts.kernel_choice import Choice
from architectures.parts.kernels import KernelMissing
from architectures.parts.kernels.mamba_ssm import KERNEL, selective_scan
from architectures.parts.short_convolution import ShortConvolution

ROWS, WIDTH, STATE = 2, 6, 3
KERNELS = ["loop", "chunked", "stepwise"]


def make(kernel: str, dtype: torch.dtype = torch.float64, eigenvalues: str = "positive") -> Mamba:
    return Mamba(WIDTH, state=STATE, eigenvalues=eigenvalues, kernel=kernel).to(dtype)


def selective_scan_by_hand(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The kernel's contract: ``u``, ``delta`` [B, D, L], ``A`` [D, N], ``B``, ``C`` [B, G, N, L], G channel groups."""
    B, C = (each.repeat_interleave(u.shape[1] // each.shape[1], dim=1) for each in (B, C))
    h, out = torch.zeros(*u.shape[:2], A.shape[1], dtype=u.dtype), []
    for t in range(u.shape[2]):
        h = torch.exp(torch.einsum("bd,dn->bdn", delta[..., t], A)) * h
        h = h + torch.einsum("bd,bdn,bd->bdn", delta[..., t], B[..., t], u[..., t])
        out.append(torch.einsum("bdn,bdn->bd", h, C[..., t]))
    return torch.stack(out, dim=-1)


def by_hand(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The same in this project's layout."""
    u, delta, B, C = (each.transpose(1, 2) for each in (x, delta, B, C))
    return selective_scan_by_hand(u, delta, A.T, B[:, None], C[:, None]).transpose(1, 2)


def scan_inputs(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(length)
    x, delta = torch.randn(ROWS, length, WIDTH), torch.rand(ROWS, length, WIDTH)
    B, C = torch.randn(2, ROWS, length, STATE)
    return [each.to(dtype) for each in (x, delta, -torch.rand(STATE, WIDTH) * 5, B, C)]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package mamba_ssm, with a plain loop for a kernel."""
    module = ModuleType("mamba_ssm.ops.selective_scan_interface")
    module.selective_scan_fn = selective_scan_by_hand  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("form", KERNELS)
def test_scan_equals_the_loop_by_hand(form: str, length: int) -> None:
    assert_same(mamba.FORMS[form], by_hand, scan_inputs(length))


def authors_scan() -> Callable[..., Tensor]:
    """``selective_scan_ref`` of mamba-ssm, cut out of its file, which imports CUDA; it computes in float32."""
    found = find_spec("mamba_ssm")
    if found is None or found.origin is None:
        pytest.skip("mamba-ssm is not installed")
    file = Path(found.origin).parent / "ops" / "selective_scan_interface.py"
    (function,) = (
        node for node in ast.parse(file.read_text()).body if getattr(node, "name", "") == "selective_scan_ref"
    )
    names: dict[str, Any] = {"torch": torch, "F": F}
    exec(compile(ast.Module([function], []), str(file), "exec"), names)
    return names["selective_scan_ref"]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("form", KERNELS)
def test_scan_equals_the_authors(form: str, length: int) -> None:
    scan = authors_scan()

    def theirs(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        u, delta, B, C = (each.transpose(1, 2) for each in (x, delta, B, C))
        return scan(u, delta, A.T, B, C).transpose(1, 2)

    assert_same(mamba.FORMS[form], theirs, scan_inputs(length, torch.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    for kernel in KERNELS[1:]:
        assert_forms_agree(make(kernel, dtype), make("loop", dtype), x)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("length", [1, 2, 65])
def test_signed_eigenvalues(kernel: str, length: int) -> None:
    """The transition is ``2 exp(Delta A) - 1``; step sizes up to 2 reach both of its ends."""
    x, delta, A, B, C = scan_inputs(length)
    delta = 2 * delta

    def equation(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        h, out = torch.zeros(ROWS, STATE, WIDTH, dtype=x.dtype), []
        for t in range(length):
            h = (2 * torch.exp(delta[:, t, None] * A) - 1) * h + (delta * x)[:, t, None] * B[:, t, :, None]
            out.append((C[:, t, :, None] * h).sum(1))
        return torch.stack(out, dim=1)

    assert_same(lambda *inputs: mamba.FORMS[kernel](*inputs, True), equation, [x, delta, A, B, C])
    mixer = make(kernel, eigenvalues="signed")
    assert_steps_equal_forward(mixer, x)
    assert mixer.choice.on(torch.device("cpu")) == kernel


def test_signed_eigenvalues_have_no_package() -> None:
    with pytest.raises(ValueError, match="kernel=mamba_ssm supports positive eigenvalues only; use auto or chunked"):
        make("mamba_ssm", eigenvalues="signed")
    assert make("auto", eigenvalues="signed").choice == Choice("stepwise", "chunked", {})


@pytest.mark.parametrize("kernel", KERNELS)
def test_extreme_decays(kernel: str) -> None:
    """Step sizes from 0 to 300, so that a state forgets everything at some tokens and nothing at others."""
    torch.manual_seed(0)
    exact = make("loop")
    exact.step_size.weight.data.mul_(300)
    fast = make(kernel, torch.float32)
    fast.load_state_dict(exact.state_dict())
    exact.load_state_dict(fast.state_dict())
    x = torch.randn(ROWS, 65, WIDTH)
    (out, gradients), (expected, known) = run(fast, x), run(exact, x.double())
    assert_close([out, *gradients], [expected, *known])


@pytest.mark.parametrize("kernel", KERNELS)
def test_steps_equal_forward(kernel: str) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(kernel), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_does_not_grow() -> None:
    model = LanguageModel(("a", "b"), Mamba, {"kernel": "loop"}, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    inner = 2 * WIDTH
    assert sizes == {4 * ROWS * inner * (16 + 3)}


@pytest.mark.parametrize("kernel", KERNELS)
def test_population_equals_singles(kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(kernel) for _ in range(3)], x)


def test_initialization_is_the_papers() -> None:
    mixer = Mamba(64)
    torch.testing.assert_close(-mixer.A_log.exp()[:, 5], -torch.arange(1.0, 17))
    steps = F.softplus(mixer.step_size.bias.detach())
    assert 0.9e-3 < float(steps.min()) < 3e-3
    assert 0.3e-1 < float(steps.max()) < 1.1e-1


def test_short_convolution_equals_torch() -> None:
    torch.manual_seed(0)
    ours = ShortConvolution(WIDTH, 4).double()
    x = torch.randn(ROWS, 9, WIDTH, dtype=torch.float64)
    weight = ours.weight.T[:, None]
    theirs = F.conv1d(x.transpose(1, 2), weight, ours.bias, padding=3, groups=WIDTH)[..., :9].transpose(1, 2)
    assert_close([ours(x), ours(x[:, :2])], [theirs, theirs[:, :2]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [1, 65])
def test_equals_hugging_face(length: int) -> None:
    pytest.importorskip("transformers")
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    torch.manual_seed(0)
    ours = make("auto", torch.float32)
    config = MambaConfig(hidden_size=WIDTH, state_size=STATE, conv_kernel=4, expand=2, num_hidden_layers=1)
    theirs = MambaMixer(config, layer_idx=0)
    theirs.load_state_dict(
        {
            "A_log": ours.A_log.T,
            "D": ours.D,
            "conv1d.weight": ours.convolution.weight.T[:, None],
            "conv1d.bias": ours.convolution.bias,
            "in_proj.weight": ours.into.weight,
            "x_proj.weight": ours.select.weight,
            "dt_proj.weight": ours.step_size.weight,
            "dt_proj.bias": ours.step_size.bias,
            "out_proj.weight": ours.out.weight,
        }
    )
    x = torch.randn(ROWS, length, WIDTH)
    probe = torch.randn_like(x)
    out, expected = ours(x, context_of(x)), theirs(x)
    assert_close([out], [expected])
    (out * probe).sum().backward()
    (expected * probe).sum().backward()
    known = {
        "A_log": theirs.A_log.grad.T,
        "convolution.weight": theirs.conv1d.weight.grad[:, 0].T,
        "D": theirs.D.grad,
        "convolution.bias": theirs.conv1d.bias.grad,
        "into.weight": theirs.in_proj.weight.grad,
        "select.weight": theirs.x_proj.weight.grad,
        "step_size.weight": theirs.dt_proj.weight.grad,
        "step_size.bias": theirs.dt_proj.bias.grad,
        "out.weight": theirs.out_proj.weight.grad,
    }
    gradients = {name: p.grad for name, p in ours.named_parameters()}
    assert gradients.keys() == known.keys()
    assert_close([gradients[name] for name in known], list(known.values()))


def test_package_is_called_as_it_wants(stand_in: None) -> None:
    inputs = scan_inputs(9, torch.float32)
    assert_same(selective_scan, by_hand, inputs)


def test_package_serves_a_population(stand_in: None) -> None:
    torch.manual_seed(0)
    mixers = [make("loop", torch.float32) for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="mamba_ssm", cuda="mamba_ssm", records={})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 20, WIDTH))


@pytest.mark.skipif(KERNEL.obstacle() is None, reason="mamba_ssm is usable here")
def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(KernelMissing, match=r"kernel=mamba_ssm cannot be used here: .*lengthwise\[mamba\]"):
        Mamba(WIDTH, kernel="mamba_ssm")
    assert Mamba(WIDTH).choice.on(torch.device("cpu")) == "stepwise"


def test_native_block_has_no_feed_forward() -> None:
    model = LanguageModel(("a", "b"), Mamba, width=WIDTH)
    assert isinstance(model.layers[0].mixing.norm, torch.nn.RMSNorm)
    assert model.layers[0].feeding is None
