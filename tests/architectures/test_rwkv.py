"""RWKV-4 and RWKV-6: all forms agree, with each other, with Hugging Face, and with flash-linear-attention."""

import math
from collections.abc import Callable
from functools import partial

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
    with_gradients,
)
from fakes import naive, stand_in
from torch import Tensor, nn

from architectures.base import Mixer, state_bytes
from architectures.language_model import LanguageModel
from architectures.linear import rwkv4, rwkv6
from architectures.linear.rwkv4 import RWKV4
from architectures.linear.rwkv6 import RWKV6
from architectures.parts.kernel_choice import Choice
from architectures.parts.scans import decay

ROWS, WIDTH, HEADS = 2, 12, 3
CLASSES = {"rwkv4": RWKV4, "rwkv6": partial(RWKV6, heads=HEADS, rank=3)}
FAST = [("rwkv4", "scan"), ("rwkv4", "chunked"), *(("rwkv6", kernel) for kernel in ("parallel", "chunked", "stepwise"))]
each_name = pytest.mark.parametrize("name", CLASSES)
each_fast_form = pytest.mark.parametrize(("name", "kernel"), FAST)


@torch.no_grad()
def make(name: str, kernel: str = "auto", dtype: torch.dtype = torch.float64, **options: bool) -> Mixer:
    """Return the mixer of the second of three layers, without zeros in its parameters, so that all paths matter."""
    mixer = CLASSES[name](WIDTH, kernel=kernel, **options)
    mixer.initialize(1, 3)
    for parameter in mixer.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return mixer.to(dtype)


def wkv_inputs(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return keys, values, decays and bonuses of RWKV-4."""
    torch.manual_seed(length)
    k, v = torch.randn(2, ROWS, length, WIDTH)
    return [each.to(dtype) for each in (k, v, torch.linspace(-5, 3, WIDTH).exp(), torch.randn(WIDTH))]


def as_softmax(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """The weighted mean of RWKV-4: its weights are a softmax over the past of every channel."""
    time = torch.arange(k.shape[1], dtype=k.dtype)
    past = (time[:, None] - 1 - time)[..., None]  # [t, i, 1]
    logits = torch.where(past >= 0, k[:, None] - past * w, (k + u)[:, None])  # [B, t, i, D]
    return (logits.masked_fill(past < -1, -torch.inf).softmax(2) * v[:, None]).sum(2)


@pytest.mark.parametrize("form", ["recurrent", "scan", "chunked"])
@pytest.mark.parametrize("length", LENGTHS)
def test_wkv_is_a_softmax_over_the_past(form: str, length: int) -> None:
    assert_same(rwkv4.FORMS[form], as_softmax, wkv_inputs(length))


@pytest.mark.parametrize(("keys", "tolerance"), [(2, 1e-5), (100, 1e-3)])
@pytest.mark.parametrize("form", ["recurrent", "scan", "chunked"])
def test_wkv_of_extreme_keys_and_decays(form: str, keys: float, tolerance: float) -> None:
    """Decays from exp(-20) to 1; keys up to 300, where float32 has steps of 3e-5 and ``exp`` overflows."""
    k, v, _, u = wkv_inputs(200)
    w = torch.linspace(-9, 3, WIDTH, dtype=torch.float64).exp()
    inputs = [each.float() for each in (k * keys, v, w, u)]
    out, gradients = with_gradients(rwkv4.FORMS[form], inputs)
    expected, known = with_gradients(as_softmax, [each.double() for each in inputs])
    assert_close([out], [expected], tolerance)
    assert_close(gradients, known, tolerance)


@each_fast_form
@pytest.mark.parametrize("dtype", DTYPES)
def test_forms_agree(name: str, kernel: str, dtype: torch.dtype) -> None:
    for length in LENGTHS:
        torch.manual_seed(length)
        x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
        assert_forms_agree(make(name, kernel, dtype), make(name, "recurrent", dtype), x)


@each_fast_form
@pytest.mark.parametrize(("dtype", "rate"), [(torch.float64, 800.0), (torch.float32, 100.0)])
def test_rates_whose_exponential_is_infinite(name: str, kernel: str, dtype: torch.dtype, rate: float) -> None:
    """A channel with the strongest decay has no memory; other channels and all gradients stay accurate."""
    torch.manual_seed(0)
    reference, x = make(name, "recurrent", dtype), torch.randn(ROWS, 65, WIDTH, dtype=dtype)
    reference.decay.data[::3] = rate
    assert_forms_agree(make(name, kernel, dtype), reference, x)
    stronger = make(name, kernel, dtype)
    stronger.load_state_dict(reference.state_dict())
    stronger.decay.data[::3] = 2 * rate
    assert_close([stronger(x, context_of(x))], [reference(x, context_of(x))])
    assert all(gradient.isfinite().all() for gradient in run(stronger, x)[1])


@each_name
def test_steps_equal_forward(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(ROWS, 65, WIDTH, dtype=torch.float64)
    for channel_mixing in (True, False):
        assert_steps_equal_forward(make(name, channel_mixing=channel_mixing), x)


@each_name
def test_state_does_not_grow(name: str) -> None:
    cls, options, own = {"rwkv4": (RWKV4, {}, 3), "rwkv6": (RWKV6, {"heads": HEADS}, WIDTH // HEADS)}[name]
    model = LanguageModel(("a", "b"), cls, options, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * WIDTH * (2 + own)}


@pytest.mark.parametrize(("name", "kernel"), [*FAST, ("rwkv4", "recurrent"), ("rwkv6", "recurrent")])
def test_population_equals_singles(name: str, kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(name, kernel) for _ in range(3)], x)


def test_rwkv4_spreads_decays_over_channels_and_layers() -> None:
    """Rates from exp(-5) to exp(3) in every layer, more slow ones in deep layers."""
    mixers = [RWKV4(64) for _ in range(3)]
    for layer, mixer in enumerate(mixers):
        mixer.initialize(layer, 3)
    for layer, mixer in enumerate(mixers):
        channel = torch.arange(64)
        torch.testing.assert_close(mixer.decay.data, -5 + 8 * (channel / 63) ** (0.7 + 1.3 * layer / 2))
        torch.testing.assert_close(mixer.mix_key.data, (channel / 64) ** (1 - layer / 3))
        torch.testing.assert_close(mixer.channel.mix_key.data, mixer.mix_key.data)
        assert [round(float(each - math.log(0.3)), 3) for each in mixer.bonus.data[:4]] == [0.0, 0.5, -0.5, 0.0]
    assert float(mixers[0].decay.data.mean()) > float(mixers[1].decay.data.mean()) > float(mixers[2].decay.data.mean())


def test_rwkv6_spreads_decays_over_channels_and_layers() -> None:
    mixer, channel = RWKV6(64), torch.arange(64)
    mixer.initialize(2, 3)
    torch.testing.assert_close(mixer.decay.data, -6 + 5 * (channel / 63) ** 2.0)
    torch.testing.assert_close(mixer.bonus.data.flatten()[::3], 1 - (channel / 63)[::3])
    x = torch.randn(1, 5, 64)
    _, _, _, log_decay, _ = mixer._project(x, torch.zeros_like(x))
    at_start = -mixer.decay.exp().view(4, 1, 16).expand_as(log_decay)
    assert_close([log_decay], [at_start])  # the same for all tokens, until the low-rank map is trained


def for_hugging_face(mixer: RWKV4, of: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Return parts of our parameters, under the names and in the shapes of Hugging Face."""
    parts = {"attention": mixer, "feed_forward": mixer.channel, "ln1": mixer.time_norm, "ln2": mixer.channel.norm}
    names = {"decay": "time_decay", "bonus": "time_first", "out.weight": "output.weight"}
    names |= {f"mix_{each}": f"time_mix_{each}" for each in ("key", "value", "receptance")}
    weights = {}
    for where, part in parts.items():
        for name, value in part.named_parameters():
            if not name.startswith(("channel.", "time_norm.", "norm.")):
                weights[f"{where}.{names.get(name, name)}"] = of(value)[None, None] if "mix" in name else of(value)
    return weights


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [2, 65])
def test_rwkv4_equals_hugging_face(length: int) -> None:
    pytest.importorskip("transformers")
    from transformers import RwkvConfig
    from transformers.models.rwkv.modeling_rwkv import RwkvBlock

    torch.manual_seed(length)
    ours = make("rwkv4", dtype=torch.float32)
    theirs = RwkvBlock(RwkvConfig(hidden_size=WIDTH, num_hidden_layers=3, context_length=64), layer_id=1)
    theirs.load_state_dict(for_hugging_face(ours, Tensor.detach))
    x = torch.randn(ROWS, length, WIDTH)
    probe = torch.randn_like(x)
    out, expected = x + ours(x, context_of(x)), theirs(x)[0]
    assert_close([out], [expected])
    ((out * probe).sum() + (expected * probe).sum()).backward()
    gradients = for_hugging_face(ours, lambda parameter: parameter.grad)
    known = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert gradients.keys() == known.keys()
    assert_close([gradients[name] for name in known], list(known.values()))


def rwkv6_inputs(length: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Receptance, keys, values, logarithms of decays from -7.4 to -1e-7, bonus."""
    torch.manual_seed(length)
    q, k, v = torch.randn(3, ROWS, HEADS, length, 4, dtype=dtype)
    decays = torch.tensor([-7.4, -1.0, -1e-3, -1e-7], dtype=dtype)
    log_decay = decays[torch.randint(4, (ROWS, HEADS, length, 4))]
    return [q, k, v, log_decay, torch.randn(HEADS, 1, 4, dtype=dtype)]


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunked", "stepwise"])
@pytest.mark.parametrize("length", [1, 2, 65])
def test_rwkv6_equals_flash_linear_attention(form: str, length: int) -> None:
    r, k, v, log_decay, u = rwkv6_inputs(length)
    theirs, _ = naive("rwkv6/recurrent_naive.py").naive_recurrent_rwkv6(r, k, v, log_decay, u[:, 0], scale=1.0)
    assert_close([decay.with_bonus(rwkv6.FORMS[form], r, k, v, log_decay, u)], [theirs])


@pytest.mark.parametrize("factor", [1.0, 20.0])
def test_rwkv6_at_extreme_decays(factor: float) -> None:
    """Decays of exp(-7.4) and of exp(-148) among weak ones."""
    r, k, v, log_decay, u = rwkv6_inputs(200)
    inputs = [r, k, v, log_decay * factor, u]
    out, gradients = with_gradients(partial(decay.with_bonus, decay.chunked), inputs)
    exact = [each.double() for each in inputs]
    expected, known = with_gradients(partial(decay.with_bonus, decay.recurrent), exact)
    assert_close([out], [expected])
    assert_close(gradients, known)


def finch(mixer: RWKV6, x: Tensor) -> Tensor:
    """The block of RWKV-6 after the paper, one position after another; in the order of PARTS."""
    normed, back, state, out, p = mixer.time_norm(x), torch.zeros(ROWS, WIDTH), 0, [], dict(mixer.named_parameters())
    for now in normed.unbind(1):
        low = torch.tanh((now + (back - now) * p["mix_first"]) @ p["mix_down"]).chunk(5, -1)
        shares = [base + a @ b for base, a, b in zip(p["mix_all"], low, p["mix_up"], strict=True)]
        w, k, v, r, g = (now + (back - now) * share for share in shares)
        w = torch.exp(-torch.exp(p["decay"] + torch.tanh(w @ p["decay_down"]) @ p["decay_up"]))
        k, v, r, w = (each.view(ROWS, HEADS, -1) for each in (mixer.key(k), mixer.value(v), mixer.receptance(r), w))
        kv = k[..., :, None] * v[..., None, :]
        seen = torch.einsum("bhi,bhij->bhj", r, state + p["bonus"].transpose(1, 2) * kv)
        state, back = w[..., None] * state + kv, now
        normal = F.layer_norm(seen, seen.shape[-1:], eps=64e-5).flatten(1) * p["norm.weight"] + p["norm.bias"]
        out.append(mixer.out(F.silu(mixer.gate(g)) * normal))
    return torch.stack(out, 1)


def channel_mixing(part: nn.Module, x: Tensor) -> Tensor:
    """``sigmoid(r') * (max(k', 0)^2 W_v)``."""
    x = part.norm(x)
    back = torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1)
    k, r = (x * mu + back * (1 - mu) for mu in (part.mix_key, part.mix_receptance))
    return torch.sigmoid(part.receptance(r)) * part.value(part.key(k).clamp(min=0) ** 2)


@pytest.mark.parametrize("kernel", ["recurrent", "chunked"])
def test_rwkv6_equals_the_paper(kernel: str) -> None:
    torch.manual_seed(0)
    mixer, x = make("rwkv6", kernel), torch.randn(ROWS, 33, WIDTH, dtype=torch.float64)
    mixed = finch(mixer, x)
    assert_close([mixer(x, context_of(x))], [mixed + channel_mixing(mixer.channel, x + mixed)])


@each_name
def test_time_mixing_alone_can_be_had(name: str) -> None:
    torch.manual_seed(0)
    alone, x = make(name, channel_mixing=False), torch.randn(ROWS, 9, WIDTH, dtype=torch.float64)
    whole = make(name)
    whole.load_state_dict(alone.state_dict(), strict=False)
    nn.init.zeros_(whole.channel.value.weight)
    normed = whole.time_norm(x)  # alone, the block around it has the norm
    assert_close([whole(x, context_of(x))], [alone(normed, context_of(x))])
    assert alone.channel is None


@each_name
def test_package_serves_alone_and_in_a_population(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def chunk_gla(q: Tensor, k: Tensor, v: Tensor, g: Tensor, scale: float) -> tuple[Tensor, None]:
        q, k, v, g = (each.transpose(1, 2) for each in (q * scale, k, v, g))
        return decay.recurrent(q, k, v, g).transpose(1, 2), None

    def fused_recurrent_hgrn(x: Tensor, g: Tensor) -> tuple[Tensor, None]:
        states = [torch.zeros_like(x[:, 0])]
        for each_x, each_g in zip(x.unbind(1), g.unbind(1), strict=True):
            states.append(each_g.exp() * states[-1] + each_x)
        return torch.stack(states[1:], 1), None

    kernels = {"fla.ops.gla": chunk_gla, "fla.ops.hgrn": fused_recurrent_hgrn}
    for module, kernel in kernels.items():
        stand_in(monkeypatch, module, **{kernel.__name__: kernel})
    torch.manual_seed(0)
    mixers = [make(name) for _ in range(3)]
    reference, x = make(name, "recurrent"), torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64)
    reference.load_state_dict(mixers[0].state_dict())
    for mixer in mixers:
        mixer.choice = Choice(cpu="fla", cuda="fla", records={})
    (out, gradients), (expected, known) = run(mixers[0], x[0]), run(reference, x[0])
    assert_close([out, *gradients], [expected, *known])
    assert_population_equals_singles(mixers, x)
