"""DeltaNet, Gated DeltaNet, DeltaProduct: forms agree with each other, Hugging Face's layer and loops by hand."""

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from equivalence import (
    assert_close,
    assert_forms_agree,
    assert_population_equals_singles,
    assert_same,
    assert_steps_equal_forward,
    context_of,
)
from torch import Tensor

from architectures.base import state_bytes
from architectures.linear.deltanet import DeltaNet
from architectures.linear.deltaproduct import DeltaProduct
from architectures.linear.gated_deltanet import GatedDeltaNet
from architectures.parts.delta_layer import Decay, DeltaLayer, unit
from architectures.parts.kernel_choice import Choice
from architectures.parts.kernels import KernelMissing
from architectures.parts.kernels.fla import KERNEL, delta_rule
from architectures.parts.scans import delta

ROWS, WIDTH, HEADS = 2, 12, 2
LAYERS = {
    "plain": (DeltaNet, {}),
    "gated": (GatedDeltaNet, {"eigenvalues": "signed"}),
    "product": (DeltaProduct, {"householders": 3, "decays": True}),
}


def make(layer: str, kernel: str = "auto", dtype: torch.dtype = torch.float64) -> DeltaLayer:
    cls, options = LAYERS[layer]
    return cls(WIDTH, heads=HEADS, kernel=kernel, **options).to(dtype)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("length", "dtype"), [(1, torch.float32), (65, torch.float32), (200, torch.float64)])
def test_forms_agree(layer: str, length: int, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    assert_forms_agree(make(layer, "auto", dtype), make(layer, "recurrent", dtype), x)


@pytest.mark.parametrize("layer", LAYERS)
def test_steps_equal_forward(layer: str) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(layer), torch.randn(ROWS, 40, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize("layer", LAYERS)
def test_population_equals_singles(layer: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 40, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(layer) for _ in range(3)], x)


def test_state_is_a_matrix_a_head() -> None:
    mixer = DeltaNet(WIDTH, heads=HEADS, expand=3)
    assert state_bytes(mixer.start(ROWS, torch.zeros(1))) == 4 * ROWS * (3 * 5 * WIDTH + HEADS * 6 * 18)


@torch.no_grad()
@pytest.mark.parametrize(("eigenvalues", "largest"), [("positive", 1.0), ("signed", 2.0)])
def test_eigenvalues(eigenvalues: Any, largest: float) -> None:
    """The eigenvalues of a transition are 1 and 1 - beta: down to 0, or down to -1."""
    mixer = DeltaNet(WIDTH, heads=HEADS, eigenvalues=eigenvalues)
    mixer.rate.weight.mul_(1e4)
    x = torch.randn(ROWS, 50, WIDTH)
    _, k, _, beta, _ = mixer._project(mixer.into(x), x)
    assert float(beta.max()) == pytest.approx(largest)
    assert float(beta.min()) == pytest.approx(0)
    transition = torch.eye(6) - (beta * k)[..., None] * k[..., None, :]
    smallest = torch.linalg.eigvalsh(transition)[..., 0]
    assert float(smallest.min()) == pytest.approx(1 - largest, abs=2e-2)


@torch.no_grad()
def test_decays_start_as_in_the_authors_code() -> None:
    torch.manual_seed(0)
    decay = Decay(64, 512)
    sizes = F.softplus(decay.step_size.bias)
    assert 0.9e-3 < float(sizes.min()) < 1.5e-3
    assert 0.07 < float(sizes.max()) < 0.101
    assert 0 < float(decay.A_log.exp().min()) < 0.5 < 15.5 < float(decay.A_log.exp().max()) <= 16


def test_unit_has_length_one_and_finite_gradients() -> None:
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(unit(x), F.normalize(x, dim=-1), rtol=0, atol=1e-5)
    zero = torch.zeros(4, requires_grad=True)
    unit(zero).sum().backward()
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize("decays", [True, False])
def test_product_equals_the_papers_equation(decays: bool) -> None:
    """Householder step after Householder step, for one head after another."""
    torch.manual_seed(0)
    steps, each, length = 3, WIDTH // HEADS, 9
    mixer = DeltaProduct(WIDTH, heads=HEADS, householders=steps, decays=decays).double()
    x = torch.randn(ROWS, length, WIDTH, dtype=torch.float64)
    q, k, v = F.silu(mixer.convolution(mixer.into(x))).split([WIDTH, steps * WIDTH, steps * WIDTH], dim=-1)
    q = unit(q.unflatten(-1, (HEADS, each))) * each**-0.5
    k, v = (z.unflatten(-1, (steps, HEADS, each)) for z in (k, v))
    beta = 2 * mixer.rate(x).sigmoid().unflatten(-1, (steps, HEADS))
    g = mixer.decay(x).exp() if decays else torch.ones(ROWS, length, HEADS, dtype=torch.float64)
    state, out = torch.zeros(ROWS, HEADS, each, each, dtype=torch.float64), []
    for i in range(length):
        state = g[:, i, :, None, None] * state
        for j in range(steps):
            key, rate = unit(k)[:, i, j], beta[:, i, j, :, None, None]
            transition = torch.eye(each) - rate * key[..., None] * key[..., None, :]
            state = transition @ state + rate * key[..., None] * v[:, i, j, :, None, :]
        out.append(torch.einsum("bhe,bhev->bhv", q[:, i], state))
    found = F.rms_norm(torch.stack(out, dim=1), (each,), mixer.norm.weight, eps=1e-5).flatten(-2)
    assert_close([mixer(x, context_of(x))], [mixer.out(found * F.silu(mixer.gate(x)))])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [1, 65])
def test_equals_hugging_face(length: int) -> None:
    """OLMo Hybrid has Gated DeltaNet with signed eigenvalues."""
    pytest.importorskip("transformers")
    from transformers import OlmoHybridConfig
    from transformers.models.olmo_hybrid.modeling_olmo_hybrid import OlmoHybridGatedDeltaNet

    torch.manual_seed(0)
    ours = GatedDeltaNet(WIDTH, heads=HEADS, eigenvalues="signed")
    ours.convolution.bias.data.zero_()  # theirs has none
    config = OlmoHybridConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        linear_num_value_heads=HEADS,
        linear_num_key_heads=HEADS,
        linear_key_head_dim=WIDTH // HEADS,
        linear_value_head_dim=2 * WIDTH // HEADS,
        linear_conv_kernel_dim=4,
        linear_allow_neg_eigval=True,
    )
    theirs = OlmoHybridGatedDeltaNet(config, layer_idx=0)
    query, key, value = ours.into.weight.split(ours.parts)
    theirs.load_state_dict(
        {
            "q_proj.weight": query,
            "k_proj.weight": key,
            "v_proj.weight": value,
            "conv1d.weight": ours.convolution.weight.T[:, None],
            "a_proj.weight": ours.decay.step_size.weight,
            "dt_bias": ours.decay.step_size.bias,
            "A_log": ours.decay.A_log,
            "b_proj.weight": ours.rate.weight,
            "g_proj.weight": ours.gate.weight,
            "o_norm.weight": ours.norm.weight,
            "o_proj.weight": ours.out.weight,
        }
    )
    x = torch.randn(ROWS, length, WIDTH)
    probe = torch.randn_like(x)
    out, expected = ours(x, context_of(x)), theirs(x)
    assert_close([out], [expected])
    (out * probe).sum().backward()
    (expected * probe).sum().backward()
    known = {
        "into.weight": torch.cat([each.weight.grad for each in (theirs.q_proj, theirs.k_proj, theirs.v_proj)]),
        "convolution.weight": theirs.conv1d.weight.grad[:, 0].T,
        "decay.step_size.weight": theirs.a_proj.weight.grad,
        "decay.step_size.bias": theirs.dt_bias.grad,
        "decay.A_log": theirs.A_log.grad,
        "rate.weight": theirs.b_proj.weight.grad,
        "gate.weight": theirs.g_proj.weight.grad,
        "norm.weight": theirs.o_norm.weight.grad,
        "out.weight": theirs.o_proj.weight.grad,
    }
    gradients = {name: p.grad for name, p in ours.named_parameters() if name != "convolution.bias"}
    assert gradients.keys() == known.keys()
    assert_close([gradients[name] for name in known], list(known.values()))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package fla, with the recurrent form for a kernel: ``[B, L, H, ...]``, rates and decays ``[B, L, H]``."""

    def chunk_gated_delta_rule(
        q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, scale: float
    ) -> tuple[Tensor, None]:
        inputs = (q * scale, k, v, beta[..., None], g[..., None])
        return delta.recurrent(*(x.transpose(1, 2) for x in inputs)).transpose(1, 2), None

    module = ModuleType("fla.ops.gated_delta_rule")
    module.chunk_gated_delta_rule = chunk_gated_delta_rule  # type: ignore[attr-defined]
    for name in ("fla", "fla.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_package_is_called_as_it_wants(stand_in: None) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, ROWS, HEADS, 9, 4, dtype=torch.float64)
    beta, decay = torch.rand(2, ROWS, HEADS, 9, 1, dtype=torch.float64)
    assert_same(delta_rule, delta.recurrent, [q, k, v, beta, -decay])


@pytest.mark.parametrize("layer", LAYERS)
def test_package_serves_a_population(stand_in: None, layer: str) -> None:
    torch.manual_seed(0)
    mixers = [make(layer, "recurrent") for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="fla", cuda="fla", records={})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 9, WIDTH, dtype=torch.float64))


@pytest.mark.skipif(KERNEL.obstacle() is None, reason="fla is usable here")
def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(KernelMissing, match="kernel=fla cannot be used here"):
        DeltaNet(WIDTH, heads=HEADS, kernel="fla")
    assert DeltaNet(WIDTH, heads=HEADS).choice.on(torch.device("cuda")) == "chunked"


def test_width_must_fit_the_heads() -> None:
    with pytest.raises(ValueError, match="width=10 must be a multiple of 4"):
        DeltaNet(10)
