"""The delta rule and its generalisation: forms agree at any decay and rate, and with flash-linear-attention's loops."""

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from equivalence import DTYPES, LENGTHS, assert_close, assert_same, with_gradients
from torch import Tensor
from torch.func import vmap

from architectures.parts.scans import delta, dplr
from architectures.parts.scans.final_state import with_state

ROWS, HEADS, WIDTH, VALUES = 2, 3, 4, 5
EXTREMES = torch.tensor([-1000.0, -100.0, -7.4, -1e-3, -1e-7, 0.0], dtype=torch.float64)


def delta_inputs(length: int) -> list[Tensor]:
    """Return inputs with keys of norm one and rates up to 2."""
    torch.manual_seed(length)
    q, k = F.normalize(torch.randn(2, ROWS, HEADS, length, WIDTH, dtype=torch.float64), dim=-1)
    v = torch.randn(ROWS, HEADS, length, VALUES, dtype=torch.float64)
    beta, decay = torch.rand(2, ROWS, HEADS, length, 1, dtype=torch.float64)
    return [q, k, v, 2 * beta, decay.log()]


def dplr_inputs(length: int) -> list[Tensor]:
    """Return inputs as in RWKV-7: the read value is written back under the same key, times a rate, with minus sign."""
    q, k, v, *_ = delta_inputs(length)
    rate, decay = torch.rand(2, ROWS, HEADS, length, WIDTH, dtype=torch.float64)
    erased = F.normalize(torch.randn_like(k), dim=-1)
    return [q, k, v, -erased, erased * rate, -0.6 * decay]


INPUTS = {delta: delta_inputs, dplr: dplr_inputs}
CASES = [
    pytest.param(rule, form, id=f"{rule.__name__.rpartition('.')[2]} {index}")
    for rule, forms in (
        (delta, (delta.chunked, partial(delta.chunked, chunk=7), delta.chunked_by_autograd)),
        (dplr, (dplr.chunked, partial(dplr.chunked, chunk=4), dplr.stepwise)),
    )
    for index, form in enumerate(forms)
]


@pytest.mark.parametrize(("rule", "form"), CASES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(rule: ModuleType, form: Callable[..., Tensor], dtype: torch.dtype, length: int) -> None:
    assert_same(form, rule.recurrent, [x.to(dtype) for x in INPUTS[rule](length)])


@pytest.mark.parametrize(("rule", "form"), CASES)
@pytest.mark.parametrize("length", [1, 2, 65])
def test_final_state_is_that_of_the_equation(rule: ModuleType, form: Callable[..., Tensor], length: int) -> None:
    q, *updates = INPUTS[rule](length)
    state = torch.zeros(ROWS, HEADS, WIDTH, VALUES, dtype=torch.float64)
    for update in zip(*(x.unbind(-2) for x in updates), strict=True):
        state = rule.update(state, *update)
    assert_close(with_state(form, q, *updates), [form(q, *updates), state])


@pytest.mark.parametrize(("rule", "form"), [*CASES, (delta, delta.recurrent), (dplr, dplr.recurrent)])
def test_extreme_decays(rule: ModuleType, form: Callable[..., Tensor]) -> None:
    inputs = INPUTS[rule](200)
    inputs[-1] = EXTREMES[torch.randint(len(EXTREMES), inputs[-1].shape)]
    if rule is dplr:
        inputs[3] = inputs[3] * inputs[-1].exp()  # what has decayed cannot be erased
    out, gradients = with_gradients(form, [x.float() for x in inputs])
    expected, known = with_gradients(rule.recurrent, [x.float().double() for x in inputs])
    assert_close([out], [expected])
    assert_close(gradients, known)


def test_reflections() -> None:
    """With a rate of 2 and no decay every transition is a reflection, so that the state never decays."""
    q, k, v, *_ = delta_inputs(200)
    beta, log_decay = torch.full_like(v[..., :1], 2), torch.zeros(200, 1)
    rule = [q.float(), k.float(), v.float(), beta.float(), log_decay]
    expected = delta.recurrent(q, k, v, beta, log_decay.double())
    assert_close([delta.chunked(*rule)], [expected])
    same_key = k[..., :1, :].expand_as(k)
    assert_same(delta.chunked, delta.recurrent, [q, same_key, v, beta, log_decay.double()])


def test_a_rate_of_one_replaces_the_value_of_a_key() -> None:
    _, k, v, beta, log_decay = delta_inputs(20)
    out = delta.recurrent(k, k, v, torch.ones_like(beta), log_decay)
    assert_close([out], [v])


def test_the_delta_rule_is_diagonal_plus_rank_one() -> None:
    q, k, v, beta, log_decay = inputs = delta_inputs(65)
    same = (q, k, beta * v, -k * log_decay.exp(), beta * k, log_decay.expand_as(k))
    assert_close([dplr.chunked(*same)], [delta.recurrent(*inputs)])


@pytest.mark.parametrize(("rule", "form"), CASES)
def test_batches_under_vmap(rule: ModuleType, form: Callable[..., Tensor]) -> None:
    inputs = [torch.stack([x, x.flip(0)]) for x in INPUTS[rule](20)]
    assert_same(vmap(form), lambda *all: torch.stack([form(*each) for each in zip(*all, strict=True)]), inputs)


@pytest.mark.parametrize("form", [delta.chunked, dplr.chunked])
def test_half_precision_runs(form: Callable[..., Tensor]) -> None:
    inputs = (delta_inputs if form is delta.chunked else dplr_inputs)(65)
    out = form(*(x.bfloat16() for x in inputs))
    assert out.dtype == torch.bfloat16
    assert_close([out.double()], [form(*inputs)], tolerance=0.05)


def naive(name: str) -> ModuleType:
    """Load the loops of flash-linear-attention by path, because the package imports only on machines with a GPU."""
    package = importlib.util.find_spec("fla")
    if package is None:
        pytest.skip("fla-core is not installed")
    path = Path(package.submodule_search_locations[0]) / "ops" / name / "naive.py"
    spec = importlib.util.spec_from_file_location(f"naive_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def heads_last(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Call a function that takes and returns ``[B, L, H, ...]``."""
    return lambda *inputs: function(*(x.transpose(1, 2) for x in inputs)).transpose(1, 2)


@pytest.mark.parametrize("form", [delta.recurrent, delta.chunked])
@pytest.mark.parametrize("length", [1, 65])
def test_delta_rule_equals_flash_linear_attention(form: Callable[..., Tensor], length: int) -> None:
    q, k, v, beta, log_decay = (x.float() for x in delta_inputs(length))
    plain, gated = naive("delta_rule").delta_rule_recurrence, naive("gated_delta_rule").naive_recurrent_gated_delta_rule
    none = torch.zeros(length, 1)
    assert_same(
        lambda q, k, v, beta: form(q * WIDTH**-0.5, k, v, beta, none),
        lambda q, k, v, beta: plain(q, k, v, beta)[0],
        [q, k, v, beta],
    )
    assert_same(
        form,
        heads_last(lambda q, k, v, beta, g: gated(q, k, v, beta[..., 0], g[..., 0], scale=1.0)[0]),
        [q, k, v, beta, log_decay],
    )


@pytest.mark.parametrize("form", [dplr.recurrent, dplr.chunked])
@pytest.mark.parametrize("length", [1, 65])
def test_diagonal_plus_low_rank_equals_flash_linear_attention(form: Callable[..., Tensor], length: int) -> None:
    theirs = naive("generalized_delta_rule/dplr").dplr_recurrence
    inputs = [x.float() for x in dplr_inputs(length)]
    assert_same(lambda q, *rest: form(q * WIDTH**-0.5, *rest), lambda *all: theirs(*all)[0], inputs)


@pytest.mark.parametrize("form", [delta.recurrent, delta.chunked])
def test_products_equal_flash_linear_attention(form: Callable[..., Tensor]) -> None:
    """Three corrections a token: the decay comes before the first, the query after the last."""
    q, k, v, beta, log_decay = (x.float() for x in delta_inputs(3 * 25))
    theirs = naive("gated_delta_product").naive_recurrent_gated_delta_product

    def ours(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
        decays = F.pad(log_decay, (0, 2)).flatten(-2)[..., None]
        return form(q.repeat_interleave(3, dim=-2), k, v, beta, decays)[..., 2::3, :]

    assert_same(
        ours,
        heads_last(lambda q, k, v, beta, g: theirs(q, k, v, g[..., 0], beta[..., 0], 1.0, num_householder=3)[0]),
        [q[..., ::3, :], k, v, beta, log_decay[..., ::3, :]],
    )


@pytest.mark.parametrize("form", [dplr.stepwise, delta.chunked])
def test_gradients_by_hand_have_no_second_derivative(form: Callable[..., Tensor]) -> None:
    inputs = [x.requires_grad_() for x in (dplr_inputs if form is dplr.stepwise else delta_inputs)(65)]
    (gradient,) = torch.autograd.grad(form(*inputs).square().sum(), inputs[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
