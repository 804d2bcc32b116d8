"""Mamba-2: all forms agree, with each other, with a loop of their own, and with Hugging Face's mixer."""

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
from fakes import stand_in
from torch import Tensor

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.mamba2 import FORMS, Mamba2
from architectures.parts.kernel_choice import Choice
from architectures.parts.kernels import KernelMissing
from architectures.parts.kernels.mamba_ssm import KERNEL, chunk_scan

ROWS, WIDTH, STATE, HEADS, GROUPS = 2, 6, 3, 4, 2
FAST = ["parallel", "chunked"]
each_range = pytest.mark.parametrize("eigenvalues", ["positive", "signed"])


def make(kernel: str, dtype: torch.dtype = torch.float64, eigenvalues: str = "positive") -> Mamba2:
    mixer = Mamba2(WIDTH, state=STATE, heads=HEADS, groups=GROUPS, eigenvalues=eigenvalues, kernel=kernel)
    return mixer.to(dtype)


def ssd(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, signed: bool = False) -> Tensor:
    """The equation for x [B, L, H, P], delta [B, L, H], A [H], B and C [B, L, G, N], one position after another."""
    B, C = (each.repeat_interleave(x.shape[2] // each.shape[2], dim=2) for each in (B, C))
    h, out = 0, []
    for t in range(x.shape[1]):
        a = torch.exp(delta[:, t] * A)
        a = 2 * a - 1 if signed else a
        h = a[..., None, None] * h + torch.einsum("bh,bhn,bhp->bhnp", delta[:, t], B[:, t], x[:, t])
        out.append(torch.einsum("bhn,bhnp->bhp", C[:, t], h))
    return torch.stack(out, dim=1)


def scan_inputs(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(length)
    x, delta = torch.randn(ROWS, length, HEADS, 5), torch.rand(ROWS, length, HEADS)
    B, C = torch.randn(2, ROWS, length, GROUPS, STATE)
    return [each.to(dtype) for each in (x, delta, -torch.rand(HEADS) * 5, B, C)]


@each_range
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [1, 65])
def test_scan_equals_the_loop_by_hand(form: str, length: int, eigenvalues: str) -> None:
    mixer = make(form, eigenvalues=eigenvalues)

    def ours(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        with torch.no_grad():
            mixer.A_log.copy_(torch.log(-A))
        return mixer._attend(FORMS[form], x, delta, B, C)

    x, delta, A, B, C = scan_inputs(length)
    signed = eigenvalues == "signed"
    assert_same(lambda x, d, B, C: ours(x, d, A, B, C), lambda x, d, B, C: ssd(x, d, A, B, C, signed), [x, delta, B, C])


@each_range
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(dtype: torch.dtype, length: int, eigenvalues: str) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    for kernel in FAST:
        assert_forms_agree(make(kernel, dtype, eigenvalues), make("recurrent", dtype, eigenvalues), x)


@each_range
@pytest.mark.parametrize("kernel", [*FAST, "recurrent"])
def test_extreme_decays(kernel: str, eigenvalues: str) -> None:
    """Step sizes from 0 to 100, so that a head forgets everything at some tokens and nothing at others."""
    torch.manual_seed(0)
    exact, fast = make("recurrent", eigenvalues=eigenvalues), make(kernel, torch.float32, eigenvalues)
    exact.into.weight.data[-HEADS:].mul_(100)
    fast.load_state_dict(exact.state_dict())
    exact.load_state_dict(fast.state_dict())
    x = torch.randn(ROWS, 65, WIDTH)
    (out, gradients), (expected, known) = run(fast, x), run(exact, x.double())
    assert_close([out, *gradients], [expected, *known], tolerance=2e-5)


@each_range
def test_steps_equal_forward(eigenvalues: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(ROWS, 65, WIDTH, dtype=torch.float64)
    assert_steps_equal_forward(make("chunked", eigenvalues=eigenvalues), x)


def test_state_does_not_grow() -> None:
    options = {"state": STATE, "heads": HEADS, "groups": GROUPS}
    model = LanguageModel(("a", "b"), Mamba2, options, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    inner = 2 * WIDTH
    assert sizes == {4 * ROWS * (inner * STATE + 3 * (inner + 2 * GROUPS * STATE))}


@each_range
@pytest.mark.parametrize("kernel", FORMS)
def test_population_equals_singles(kernel: str, eigenvalues: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(kernel, eigenvalues=eigenvalues) for _ in range(3)], x)


def test_initialization_is_the_papers() -> None:
    torch.manual_seed(0)
    mixer = Mamba2(256, heads=256)
    steps, rates = F.softplus(mixer.step_size.detach()), mixer.A_log.detach().exp()
    assert 0.9e-3 < float(steps.min()) < 1.2e-3
    assert 0.9e-2 < float(steps.median()) < 1.1e-2  # uniform in its logarithm
    assert 0.8e-1 < float(steps.max()) < 1.1e-1
    assert 1 <= float(rates.min()) < 1.5
    assert 7 < float(rates.median()) < 10
    assert 15.5 < float(rates.max()) <= 16.001
    assert bool((mixer.D == 1).all())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [1, 65])
def test_equals_hugging_face(length: int) -> None:
    pytest.importorskip("transformers")
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    torch.manual_seed(0)
    ours = make("auto", torch.float32)
    torch.nn.init.normal_(ours.scale)
    sizes = {"num_heads": HEADS, "head_dim": 2 * WIDTH // HEADS, "n_groups": GROUPS, "state_size": STATE}
    config = Mamba2Config(hidden_size=WIDTH, conv_kernel=4, expand=2, chunk_size=16, num_hidden_layers=1, **sizes)
    theirs = Mamba2Mixer(config, layer_idx=0)
    names = {"into.weight": "in_proj.weight", "out.weight": "out_proj.weight", "scale": "norm.weight"}
    names |= {"step_size": "dt_bias", "convolution.weight": "conv1d.weight", "convolution.bias": "conv1d.bias"}
    named = {names.get(name, name): parameter for name, parameter in ours.named_parameters()}
    theirs.load_state_dict({n: p.T[:, None] if n == "conv1d.weight" else p for n, p in named.items()})
    x = torch.randn(ROWS, length, WIDTH)
    probe = torch.randn_like(x)
    out, expected = ours(x, context_of(x)), theirs(x)
    assert_close([out], [expected])
    ((out * probe).sum() + (expected * probe).sum()).backward()
    known = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    known["conv1d.weight"] = known["conv1d.weight"][:, 0].T
    assert named.keys() == known.keys()
    assert_close([named[name].grad for name in known], list(known.values()))


def test_package_serves_alone_and_in_a_population(monkeypatch: pytest.MonkeyPatch) -> None:
    def mamba_chunk_scan_combined(*inputs: Tensor, chunk_size: int) -> Tensor:
        return ssd(*(each.double() for each in inputs)).to(inputs[0])

    name = "mamba_ssm.ops.triton.ssd_combined"
    stand_in(monkeypatch, name, mamba_chunk_scan_combined=mamba_chunk_scan_combined)
    assert_same(chunk_scan, ssd, scan_inputs(9, torch.float32))
    mixers = [make("recurrent", torch.float32) for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="mamba_ssm", cuda="mamba_ssm", records={})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 20, WIDTH))


@pytest.mark.skipif(KERNEL.obstacle() is None, reason="mamba_ssm is usable here")
def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(KernelMissing, match=r"kernel=mamba_ssm cannot be used here: .*lengthwise\[mamba\]"):
        make("mamba_ssm")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"heads": 5}, "width=12 must be a multiple of 5"),
        ({"heads": 4, "groups": 3}, "heads=4 must be a multiple of groups=3; groups=1 is always valid"),
        (
            {"heads": 4, "eigenvalues": "signed", "kernel": "mamba_ssm"},
            "supports positive eigenvalues only; use auto or chunked",
        ),
    ],
)
def test_invalid_options_are_errors(options: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Mamba2(WIDTH, **options)
