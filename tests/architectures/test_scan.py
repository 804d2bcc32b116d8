"""Every form of a linear recurrence equals the explicit sum, at any decay."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from equivalence import DTYPES, LENGTHS, assert_close, assert_same, with_gradients
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.func import vmap

from architectures.parts.scans import decay, diagonal
from architectures.parts.scans.final_state import with_state

ROWS, HEADS, WIDTH, VALUES = 2, 3, 4, 5
DIAGONAL = [diagonal.chunked, partial(diagonal.chunked, chunk=1), partial(diagonal.chunked, chunk=16)]
MATRIX = [
    decay.recurrent,
    decay.parallel,
    decay.chunked,
    partial(decay.chunked, chunk=16),
    decay.chunked_by_autograd,
    decay.stepwise,
]
EXTREMES = torch.tensor([-1000.0, -100.0, -7.4, -1e-3, -1e-7, 0.0], dtype=torch.float64)


def spelled_out(a: Tensor, u: Tensor) -> Tensor:
    """Return ``h_t = sum_j (a_{j+1} ... a_t) u_j``, computing every product separately."""
    sums = [sum(a[:, j + 1 : t + 1].prod(1) * u[:, j] for j in range(t + 1)) for t in range(u.shape[1])]
    return torch.stack(sums, dim=1)


def spelled_out_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return ``o_t = sum_j (q_t . (a_{j+1} ... a_t k_j)) v_j``, computing every sum of logarithms separately."""
    out = []
    for t in range(v.shape[-2]):
        kept = [log_decay[..., j + 1 : t + 1, :].sum(-2).exp() * k[..., j, :] for j in range(t + 1)]
        out.append(sum((q[..., t, :] * key).sum(-1, keepdim=True) * v[..., j, :] for j, key in enumerate(kept)))
    return torch.stack(out, dim=-2)


def attention_inputs(length: int, kind: str, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(length)
    q, k = torch.randn(2, ROWS, HEADS, length, WIDTH, dtype=torch.float64)
    v = torch.randn(ROWS, HEADS, length, VALUES, dtype=torch.float64)
    shapes = {"constant": (HEADS, 1, 1), "by head": (ROWS, HEADS, length, 1), "by row": (ROWS, HEADS, length, WIDTH)}
    shape = shapes[kind]
    log_decay = torch.rand(shape, dtype=torch.float64).log().expand(*shape[:-2], length, shape[-1])
    return [each.to(dtype) for each in (q, k, v, log_decay)]


def test_loop_is_the_sum_it_stands_for() -> None:
    a, u = torch.randn(2, ROWS, 9, WIDTH, dtype=torch.float64)
    assert_same(diagonal.loop, spelled_out, [a, u])


@pytest.mark.parametrize("form", DIAGONAL)
@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex128])
@pytest.mark.parametrize("length", LENGTHS)
def test_chunked_scan_equals_loop(form: Callable[..., Tensor], dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    a, u = torch.randn(2, ROWS, length, WIDTH, 2, dtype=dtype)
    a = a / a.abs().clamp(min=1)
    a[:, length // 2] = 0
    assert_same(form, diagonal.loop, [a, u])


@pytest.mark.parametrize("kind", ["constant", "by head", "by row"])
def test_recurrent_is_the_sum_it_stands_for(kind: str) -> None:
    assert_same(decay.recurrent, spelled_out_attention, attention_inputs(9, kind, torch.float64))


@pytest.mark.parametrize("form", MATRIX[1:])
@pytest.mark.parametrize("kind", ["constant", "by head", "by row"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_of_attention_agree(form: Callable[..., Tensor], kind: str, dtype: torch.dtype, length: int) -> None:
    assert_same(form, decay.recurrent, attention_inputs(length, kind, dtype))


@pytest.mark.parametrize("form", [diagonal.loop, *DIAGONAL])
def test_extreme_decays_in_the_scan(form: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    a = EXTREMES[torch.randint(len(EXTREMES), (ROWS, 200, WIDTH))].exp()
    u = torch.randn(ROWS, 200, WIDTH, dtype=torch.float64)
    out, gradients = with_gradients(form, [a.float(), u.float()])
    expected, known = with_gradients(diagonal.loop, [a, u])
    assert_close([out], [expected])
    assert_close(gradients, known)


@pytest.mark.parametrize("form", MATRIX)
@pytest.mark.parametrize("kind", ["by head", "by row"])
@pytest.mark.parametrize("decays", [EXTREMES, EXTREMES[2:3]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_decays_in_linear_attention(
    form: Callable[..., Tensor], kind: str, decays: Tensor, dtype: torch.dtype
) -> None:
    for length in LENGTHS:
        q, k, v, like = attention_inputs(length, kind, torch.float64)
        log_decay = decays[torch.randint(len(decays), like.shape)].to(dtype)
        out, gradients = with_gradients(form, [each.to(dtype) for each in (q, k, v, log_decay)])
        expected, known = with_gradients(decay.recurrent, [q, k, v, log_decay.double()])
        assert_close([out], [expected])
        assert_close(gradients, known)


def test_row_decays_are_not_stored_for_every_pair() -> None:
    sizes: list[int] = []
    inputs = [each.requires_grad_() for each in attention_inputs(64, "by row", torch.float64)]
    with saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
        decay.parallel(*inputs)
    assert max(sizes) == ROWS * HEADS * 64**2


@pytest.mark.parametrize("form", [diagonal.loop, *DIAGONAL])
def test_scans_batch_under_vmap(form: Callable[..., Tensor]) -> None:
    a, u = torch.rand(2, 3, ROWS, 20, WIDTH, dtype=torch.float64)
    assert_same(vmap(form), lambda a, u: torch.stack([form(*each) for each in zip(a, u, strict=True)]), [a, u])


@pytest.mark.parametrize("form", MATRIX)
def test_linear_attention_batches_under_vmap(form: Callable[..., Tensor]) -> None:
    inputs = [torch.stack([each, each.flip(0), each / 2]) for each in attention_inputs(20, "by row", torch.float64)]
    assert_same(vmap(form), lambda *all: torch.stack([form(*each) for each in zip(*all, strict=True)]), inputs)


def test_the_normaliser_is_the_sum_of_the_weights() -> None:
    q, k, v, log_decay = attention_inputs(9, "by head", torch.float64)
    weights = decay.scores(q.abs(), k.abs(), log_decay)
    mean = (weights / weights.sum(-1, keepdim=True)) @ v
    for form in MATRIX:
        assert_close([decay.normalised(form, q.abs(), k.abs(), v, log_decay, floor=0.0)], [mean])


@pytest.mark.parametrize("form", MATRIX)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_bonus_is_for_the_present_token(form: Callable[..., Tensor], length: int) -> None:
    def by_hand(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, bonus: Tensor) -> Tensor:
        state, out = torch.zeros(ROWS, HEADS, WIDTH, VALUES, dtype=q.dtype), []
        for t in range(length):
            new = k[..., t, :, None] * v[..., t, None, :]
            out.append((q[..., t, :, None] * (state + bonus[..., 0, :, None] * new)).sum(-2))
            state = log_decay[..., t, :, None].exp() * state + new
        return torch.stack(out, -2)

    inputs = [*attention_inputs(length, "by row", torch.float64), torch.randn(HEADS, 1, WIDTH, dtype=torch.float64)]
    assert_same(partial(decay.with_bonus, form), by_hand, inputs)


SIGNED = torch.tensor([-1.0, -0.999, -1e-4, 0.0, 1e-6, 0.5, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("form", MATRIX)
@pytest.mark.parametrize("dtype", DTYPES)
def test_decays_of_either_sign(form: Callable[..., Tensor], dtype: torch.dtype) -> None:
    def by_hand(q: Tensor, k: Tensor, v: Tensor, a: Tensor) -> Tensor:
        state, out = torch.zeros(ROWS, HEADS, WIDTH, VALUES, dtype=q.dtype), []
        for t in range(65):
            state = a[..., t, :, None] * state + k[..., t, :, None] * v[..., t, None, :]
            out.append((q[..., t, :, None] * state).sum(-2))
        return torch.stack(out, -2)

    q, k, v, like = attention_inputs(65, "by head", dtype)
    a = SIGNED[torch.randint(len(SIGNED), like.shape)].to(dtype)
    out, gradients = with_gradients(partial(decay.signed, form), [q, k, v, a])
    expected, known = with_gradients(by_hand, [each.double() for each in (q, k, v, a)])
    assert_close([out], [expected])
    assert_close(gradients, known)


@pytest.mark.parametrize("kind", ["constant", "by head", "by row"])
@pytest.mark.parametrize("length", [1, 2, 65])
def test_final_state_is_that_of_the_equation(length: int, kind: str) -> None:
    q, k, v, log_decay = attention_inputs(length, kind, torch.float64)
    log_decay = torch.where(torch.rand(log_decay.shape) < 0.2, EXTREMES[0], log_decay)
    state = torch.zeros(ROWS, HEADS, WIDTH, VALUES, dtype=torch.float64)
    for update in zip(*(x.unbind(-2) for x in (k, v, log_decay)), strict=True):
        state = decay.update(state, *update)
    assert_close([decay.final_state(k, v, log_decay)], [state])
    for form in MATRIX:
        assert_close(with_state(form, q, k, v, log_decay), [form(q, k, v, log_decay), state])
