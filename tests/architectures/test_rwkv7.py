"""RWKV-7: all forms agree with each other and with the authors' block; later layers reuse first-layer values."""

import math
import sys
from types import ModuleType

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
from architectures.language_model import LanguageModel
from architectures.linear.rwkv7 import FIRST_VALUE, RWKV7, Biased
from architectures.parts.kernel_choice import Choice
from architectures.parts.kernels import KernelMissing, fla
from architectures.parts.scans import dplr

ROWS, WIDTH, HEADS, RANK = 2, 12, 2, 3


def make(kernel: str = "auto", dtype: torch.dtype = torch.float64, layer: int = 0) -> RWKV7:
    """Return a layer without zeros in its parameters, so that all paths matter."""
    mixer = RWKV7(WIDTH, heads=HEADS, rank=RANK, kernel=kernel)
    mixer.initialize(layer, 2)
    for parameter in mixer.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return mixer.to(dtype)


def block_by_hand(m: RWKV7, x: Tensor, first: Tensor | None = None) -> Tensor:
    """The authors' block, named as there; ``mix_all`` is their ``x_r`` .. ``x_g``, the state is [values, keys]."""
    (B, T, C), H, N = x.shape, HEADS, WIDTH // HEADS

    def shifted(z: Tensor) -> Tensor:
        return torch.cat((torch.zeros(B, 1, C, dtype=z.dtype), z[:, :-1]), dim=1) - z

    def lora(part: Biased, z: Tensor) -> Tensor:
        return part.bias + z @ part.down @ part.up

    ln1 = m.time_norm(x)
    xr, xw, xk, xv, xa, xg = (ln1 + shifted(ln1) * x_ for x_ in m.mix_all)
    r, k, v = m.receptance(xr), m.key(xk), m.value(xv)
    w = m.decay.bias + torch.tanh(xw @ m.decay.down) @ m.decay.up
    w = torch.exp(-torch.exp(-F.softplus(-w) - 0.5))
    if first is not None:
        v = v + (first - v) * torch.sigmoid(lora(m.residual, xv))
    a = torch.sigmoid(lora(m.rate, xa))
    g = torch.sigmoid(xg @ m.gate.down) @ m.gate.up
    kk = F.normalize((k * m.removal_scale).view(B, T, H, N), dim=-1)
    k = k * (1 + (a - 1) * m.key_boost)
    r, w, k, v, a = (z.view(B, T, H, N) for z in (r, w, k, v, a))
    state, out = torch.zeros(B, H, N, N, dtype=x.dtype), []
    for t in range(T):
        removed = torch.einsum("bhi,bhj->bhij", -kk[:, t], kk[:, t] * a[:, t])
        state = state * w[:, t, :, None, :] + state @ removed + v[:, t, :, :, None] * k[:, t, :, None, :]
        out.append((state @ r[:, t, :, :, None])[..., 0])
    y = F.group_norm(torch.stack(out, dim=1).view(B * T, C), H, m.norm.weight, m.norm.bias, eps=64e-5).view(B, T, C)
    y = y + ((r * k * m.bonus[:, 0]).sum(-1, keepdim=True) * v).view(B, T, C)
    mixed = m.out(y * g)
    ln2 = m.channel.norm(x + mixed)
    return mixed + m.channel.value(F.relu(m.channel.key(ln2 + shifted(ln2) * (1 - m.channel.mix_key))) ** 2)


@pytest.mark.parametrize("kernel", ["recurrent", "chunked", "stepwise"])
def test_equals_the_authors_block(kernel: str) -> None:
    torch.manual_seed(0)
    mixer = make(kernel)
    x = torch.randn(ROWS, 40, WIDTH, dtype=torch.float64)
    assert_close([mixer(x, context_of(x))], [block_by_hand(mixer, x)])


def test_values_of_the_first_layer_return() -> None:
    torch.manual_seed(0)
    mixer, context = make(layer=1), context_of(x := torch.randn(ROWS, 9, WIDTH, dtype=torch.float64))
    context.shared[FIRST_VALUE] = first = torch.randn_like(x)
    assert_close([mixer(x, context)], [block_by_hand(mixer, x, first)])
    assert make(layer=0).residual is None


@pytest.mark.parametrize(("length", "dtype"), [(1, torch.float32), (65, torch.float32), (200, torch.float64)])
def test_forms_agree(length: int, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    for kernel in ("chunked", "stepwise"):
        assert_forms_agree(make(kernel, dtype), make("recurrent", dtype), x)


def test_steps_equal_forward() -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(), torch.randn(ROWS, 40, WIDTH, dtype=torch.float64))


def test_population_equals_singles() -> None:
    torch.manual_seed(0)
    assert_population_equals_singles([make() for _ in range(3)], torch.randn(3, ROWS, 40, WIDTH, dtype=torch.float64))


def test_state_is_a_matrix_a_head_and_two_tokens() -> None:
    assert state_bytes(make().start(ROWS, torch.zeros(1))) == 4 * ROWS * (2 * WIDTH + HEADS * 6 * 6)


@torch.no_grad()
def test_initialization_is_the_authors() -> None:
    width, each = 64, 16
    layers = [layer.mixer for layer in LanguageModel(("a", "b"), RWKV7, width=width, depth=3).layers]
    for index, mixer in enumerate(layers):
        deep, shallow = index / 2, 1 - index / 3
        for n in (0, 17, 63):
            zigzag = ((n % each) - (each - 1) / 2) / ((each - 1) / 2)
            zigzag *= abs(zigzag)
            linear = n / (width - 1) - 0.5
            www = -6 + 6 * (n / (width - 1)) ** (1 + deep**0.3)
            assert float(mixer.decay.bias[n]) == pytest.approx(www + 0.5 + zigzag * 2.5, abs=1e-5)
            assert float(mixer.rate.bias[n]) == pytest.approx(-0.19 + zigzag * 0.3 + linear * 0.4, abs=1e-5)
            assert float(mixer.mix_all[1, n]) == pytest.approx(1 - (n / width) ** (0.9 * shallow), abs=1e-5)
            assert float(mixer.channel.mix_key[n]) == pytest.approx((n / width) ** (shallow**4), abs=1e-5)
    assert float(layers[0].key.weight.abs().max()) <= 0.05 / math.sqrt(width)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package fla, with the recurrent form for a kernel: ``[B, L, H, E]``."""

    def chunk_dplr_delta_rule(*inputs: Tensor, scale: float) -> tuple[Tensor, None]:
        q, *rest = (x.transpose(1, 2) for x in inputs)
        return dplr.recurrent(q * scale, *rest).transpose(1, 2), None

    module = ModuleType("fla.ops.generalized_delta_rule")
    module.chunk_dplr_delta_rule = chunk_dplr_delta_rule  # type: ignore[attr-defined]
    for name in ("fla", "fla.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_package_is_called_as_it_wants(stand_in: None) -> None:
    torch.manual_seed(0)
    assert_same(fla.dplr, dplr.recurrent, list(torch.randn(6, ROWS, HEADS, 9, 4, dtype=torch.float64) / 3))


def test_package_serves_a_population(stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(fla, "dplr_cannot", lambda q: None)
    mixers = [make("recurrent") for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="fla", cuda="fla", records={})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 9, WIDTH, dtype=torch.float64))


def test_float32_is_beyond_the_package() -> None:
    """``auto`` falls back to another form; a named kernel raises an error."""
    mixer, x = make(dtype=torch.float32), torch.randn(ROWS, 3, WIDTH)
    mixer.choice = Choice(cpu="fla", cuda="fla", records={"fla": "fla 1.0"})
    mixer(x, context_of(x))
    assert mixer.kernel_in_use == "chunked"
    mixer.kernel = "fla"
    with pytest.raises(ValueError, match="kernel=fla takes float16 or bfloat16 here, not float32; use auto or chunked"):
        mixer(x, context_of(x))


@pytest.mark.skipif(fla.KERNEL.obstacle() is None, reason="fla is usable here")
def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(KernelMissing, match="kernel=fla cannot be used here"):
        RWKV7(WIDTH, heads=HEADS, kernel="fla")
