"""Attention with forget gates, other scales and other normalizers: references, and what they reduce to."""

import math
from dataclasses import replace

import pytest
import torch
from equivalence import assert_close, assert_same, context_of
from fakes import naive
from torch import Tensor

from architectures.attention.adaptive_transformer import AdaptiveTransformer
from architectures.attention.fox import Fox
from architectures.attention.transformer import Transformer
from architectures.base import causal_mask
from architectures.language_model import LanguageModel
from architectures.parts.normalizers import entmax, softmax, softmax_with_sink, stick_breaking
from architectures.parts.positions.alibi import slopes
from architectures.parts.positions.base import Encoding, Setting

LENGTH, WIDTH, HEADS = 9, 8, 2
MASK = causal_mask(LENGTH, LENGTH, torch.device("cpu"))


def scores(spread: float = 2.0) -> Tensor:
    torch.manual_seed(0)
    return spread * torch.randn(2, HEADS, LENGTH, LENGTH, dtype=torch.float64)


def model(mixer: type, position: str = "none", **options: object) -> LanguageModel:
    """Return a model of one layer in double precision; equal modules of two models start equal."""
    torch.manual_seed(0)
    sizes = {"width": WIDTH, "depth": 1, "position": position, "block": "shared"}
    built = LanguageModel(("a", "b", "c"), mixer, {"heads": HEADS, **options}, **sizes)
    return built.double().eval()


def same_weights(ours: LanguageModel, theirs: LanguageModel) -> None:
    """Copy the weights of a plain transformer; what only our model has stays as it is."""
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not unexpected
    assert all("gate" in name or "slope" in name or "adapt" in name for name in missing)


SOURCE = torch.randint(3, (2, LENGTH), generator=torch.Generator().manual_seed(0))


def entmax_by_bisection(scores: Tensor, mask: Tensor) -> Tensor:
    """Find the threshold of each row as the zero of a decreasing function."""
    halves = scores.masked_fill(~mask, -math.inf) / 2
    low, high = halves.amax(-1, keepdim=True) - 1, halves.amax(-1, keepdim=True)
    for _ in range(80):
        middle = (low + high) / 2
        is_low = (halves - middle).clamp(min=0).square().sum(-1, keepdim=True) >= 1
        low, high = torch.where(is_low, middle, low), torch.where(is_low, high, middle)
    return (halves - low).clamp(min=0).square()


@pytest.mark.parametrize("spread", [1e-3, 2.0, 50.0])
def test_entmax_equals_bisection_and_its_gradient_the_formula(spread: float) -> None:
    z = scores(spread).requires_grad_()
    weights = entmax(z, MASK)
    assert_close([weights], [entmax_by_bisection(z.detach(), MASK)], tolerance=1e-7)
    assert_close([weights.sum(-1)], [torch.ones(2, HEADS, LENGTH, dtype=torch.float64)])
    probe = torch.randn_like(weights)
    (gradient,) = torch.autograd.grad((weights * probe).sum(), z)
    root = weights.detach().sqrt()  # s = p^(2 - alpha) of Peters et al. 2019, proposition 2
    expected = root * (probe - (root * probe).sum(-1, keepdim=True) / root.sum(-1, keepdim=True))
    assert_close([gradient], [expected])


def test_equal_scores_get_equal_weights() -> None:
    uniform = softmax(torch.zeros(1, 1, LENGTH, LENGTH), MASK)
    assert_close([entmax(torch.zeros(1, 1, LENGTH, LENGTH), MASK)], [uniform])


@pytest.mark.parametrize("length", [1, 2, 33])
def test_stick_breaking_equals_flash_linear_attention(length: int) -> None:
    torch.manual_seed(length)
    q, k, v = torch.randn(3, 2, HEADS, length, 4, dtype=torch.float64).unbind(0)
    mask = causal_mask(length, length, q.device)

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        function = naive("stickbreaking_attn/naive.py").naive_stickbreaking_attn
        out, rest = function(*(x.transpose(1, 2) for x in (q, k, v)))
        return out.transpose(1, 2) + rest.transpose(1, 2)[..., None] * v  # the rest goes to the own value

    assert_same(lambda q, k, v: stick_breaking(q @ k.mT / 2, mask) @ v, theirs, [q, k, v])


def test_a_sink_is_one_more_key_without_a_value() -> None:
    z, sink = scores(), torch.tensor([0.5, -1.0], dtype=torch.float64)
    odds = z.exp() * MASK
    expected = odds / (odds.sum(-1, keepdim=True) + sink.exp()[:, None, None])
    assert_close([softmax_with_sink(z, MASK, sink)], [expected])


@pytest.mark.parametrize("position", ["none", "rope", "alibi"])
def test_softmax_without_a_scale_is_a_transformer(position: str) -> None:
    ours, theirs = (
        model(AdaptiveTransformer, position, scale="none", normalizer="softmax"),
        model(Transformer, position),
    )
    same_weights(ours, theirs)
    assert_close([ours(SOURCE, None)], [theirs(SOURCE, None)])
    assert_close(list(ours.inspect(SOURCE, None).values()), list(theirs.inspect(SOURCE, None).values()))


@pytest.mark.parametrize("position", ["none", "rope"])
def test_gates_of_one_are_a_transformer(position: str) -> None:
    ours, theirs = model(Fox, position, gate_bias=80.0), model(Transformer, position)
    same_weights(ours, theirs)
    assert_close([ours(SOURCE, None)], [theirs(SOURCE, None)])


def test_constant_gates_are_alibi() -> None:
    ours, theirs = model(Fox), model(Transformer, "alibi")
    same_weights(ours, theirs)
    gate = ours.layers[0].mixer.gate
    torch.nn.init.zeros_(gate.weight)
    gate.bias.data.copy_(-torch.log(torch.expm1(slopes(HEADS).double())))  # log sigmoid of it is minus the slope
    assert_close([ours(SOURCE, None)], [theirs(SOURCE, None)])


def test_the_forget_gate_is_that_of_flash_linear_attention() -> None:
    mixer, x = Fox(WIDTH, heads=HEADS), torch.randn(2, LENGTH, WIDTH)
    torch.nn.init.normal_(mixer.gate.weight)

    def ours(x: Tensor) -> Tensor:
        return mixer(x, replace(context_of(x), encoding=Encoding(Setting(WIDTH))))

    def theirs(x: Tensor) -> Tensor:
        function = naive("forgetting_attn/naive.py").naive_forgetting_attn
        tensors = (mixer.attention.queries(x), *mixer.attention.memorize(x))
        out = function(*(z.transpose(1, 2) for z in tensors), torch.nn.functional.logsigmoid(mixer.gate(x)))
        return mixer.attention.out(out.flatten(2))

    assert_same(ours, theirs, [x])


def test_the_scale_of_a_query_is_a_function_of_its_own_number_of_keys() -> None:
    x = torch.randn(2, LENGTH, WIDTH, dtype=torch.float64)
    log = AdaptiveTransformer(WIDTH, heads=HEADS, scale="log").double()
    torch.nn.init.constant_(log.slope, 0.5)
    count = torch.arange(1, LENGTH + 1, dtype=torch.float64)
    assert_close([log._factors(x, x[:, None])[:, :, 0]], [(0.5 * count.log()).expand(HEADS, -1)])
    adaptive = AdaptiveTransformer(WIDTH, heads=HEADS).double()
    torch.nn.init.normal_(adaptive.adapt.weight)
    strength, power = adaptive.adapt(x).split(HEADS, dim=-1)
    gamma = 2 * torch.tanh(power)
    expected = 1 + torch.nn.functional.softplus(strength) * (count + 1).log()[:, None] ** gamma
    assert_close([adaptive._factors(x, x[:, None])[..., 0].transpose(1, 2)], [expected])
    assert_close([adaptive._factors(x[:, -1:], x[:, None])[..., 0]], [expected[:, -1:].transpose(1, 2)])
