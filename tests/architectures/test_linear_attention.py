"""Linear attention: all forms agree, with each other, with the equations, and with flash-linear-attention."""

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
from fakes import naive, stand_in
from torch import Tensor

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.linear_attention import FORMS, LinearAttention, feature
from architectures.parts.kernel_choice import Choice
from architectures.parts.scans import decay

ROWS, WIDTH, HEADS = 2, 12, 3


def make(kernel: str, dtype: torch.dtype = torch.float64) -> LinearAttention:
    return LinearAttention(WIDTH, heads=HEADS, kernel=kernel).to(dtype)


def equation_9(mixer: LinearAttention, x: Tensor) -> Tensor:
    """The layer as a weighted mean, whose weights are products of features."""
    q, k, v = (m(x).view(*x.shape[:2], HEADS, -1) for m in (mixer.query, mixer.key, mixer.value))
    q, k = (torch.where(each > 0, each + 1, each.exp()) for each in (q, k))
    weights = torch.einsum("blhe,bmhe->bhlm", q, k).tril()
    mean = torch.einsum("bhlm,bmhv->blhv", weights / weights.sum(-1, keepdim=True), v)
    return mixer.out(mean.flatten(-2))


@pytest.mark.parametrize("kernel", ["parallel", "chunked"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(kernel: str, dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    assert_forms_agree(make(kernel, dtype), make("recurrent", dtype), x)


@pytest.mark.parametrize("kernel", ["recurrent", "chunked"])
def test_equals_the_papers_equation(kernel: str) -> None:
    torch.manual_seed(0)
    mixer = make(kernel)
    x = torch.randn(ROWS, 65, WIDTH, dtype=torch.float64)
    assert_close([mixer(x, context_of(x))], [equation_9(mixer, x)], tolerance=2e-6)  # the floor of the normaliser


@pytest.mark.parametrize("length", [1, 65])
def test_equals_flash_linear_attention(length: int) -> None:
    torch.manual_seed(length)
    q, k = torch.rand(2, ROWS, HEADS, length, 4)
    v = torch.randn(ROWS, HEADS, length, 4)

    by_position = (each.transpose(1, 2) for each in (q, k, v))
    theirs, _ = naive("linear_attn/naive.py").naive_recurrent_linear_attn(*by_position, scale=1.0, normalize=True)
    ours = decay.normalised(decay.chunked, q, k, v, q.new_zeros(length, 1), floor=0.0)
    assert_close([ours], [theirs.transpose(1, 2)])


def test_steps_equal_forward() -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make("chunked"), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_does_not_grow() -> None:
    model = LanguageModel(("a", "b"), LinearAttention, {"heads": HEADS}, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * HEADS * 4 * 5}


def test_weights_are_those_of_the_mean() -> None:
    torch.manual_seed(0)
    mixer, x = make("chunked"), torch.randn(ROWS, 9, WIDTH, dtype=torch.float64)
    mixer.key.bias.data.sub_(14)
    weights = mixer.weights(x, context_of(x))
    _, _, v = mixer._project(x)
    out = mixer.out((weights @ v).transpose(1, 2).flatten(-2))
    assert_close([out], [mixer(x, context_of(x))])
    assert float(weights.detach().sum(-1).min()) < 0.9  # the floor of the normaliser is in both


def test_features_are_not_rounded_to_zero() -> None:
    x = torch.tensor([-80.0, -18.0, 0.0, 2.0], requires_grad=True)
    assert (F.elu(x) + 1)[:2].tolist() == [0, 0]
    (gradient,) = torch.autograd.grad(feature(x).sum(), x)
    exact = x.detach().double().exp()
    torch.testing.assert_close(feature(x.detach())[:3], exact[:3].float(), rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient, exact.clamp(max=1).float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("kernel", ["recurrent", "parallel", "chunked"])
def test_population_equals_singles(kernel: str) -> None:
    torch.manual_seed(0)
    mixers = [make(kernel) for _ in range(3)]
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 70, WIDTH, dtype=torch.float64))


def test_package_serves_alone_and_in_a_population(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunk_linear_attn(q: Tensor, k: Tensor, v: Tensor, scale: float, normalize: bool) -> tuple[Tensor, None]:
        assert not normalize
        q, k, v = (each.transpose(1, 2) for each in (q * scale, k, v))
        return decay.recurrent(q, k, v, q.new_zeros(q.shape[-2], 1)).transpose(1, 2), None

    stand_in(monkeypatch, "fla.ops.linear_attn", chunk_linear_attn=chunk_linear_attn)
    torch.manual_seed(0)
    q, k, v = torch.randn(3, ROWS, HEADS, 9, 4, dtype=torch.float64)
    none = torch.zeros(9, 1, dtype=torch.float64)
    assert_same(lambda q, k, v: FORMS["fla"](q, k, v, none), lambda *qkv: decay.recurrent(*qkv, none), [q, k, v])
    mixers = [make("recurrent") for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="fla", cuda="fla", records={})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64))


def test_width_must_be_a_multiple_of_the_heads() -> None:
    with pytest.raises(ValueError, match="width=12 must be a multiple of 5"):
        LinearAttention(12, heads=5)
