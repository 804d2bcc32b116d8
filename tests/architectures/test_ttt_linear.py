"""TTT-Linear: forms agree, gradients are those of autograd, states those of fla, and it has the delta rule in it."""

import pytest
import torch
from equivalence import assert_close, assert_forms_agree, context_of
from fakes import naive
from torch import Tensor
from torch.func import functional_call

from architectures.linear.ttt_linear import TTTLinear
from architectures.parts.scans import delta

WIDTH, HEADS, E = 8, 2, 4


def layer(length: int, **options: object) -> tuple[TTTLinear, Tensor]:
    torch.manual_seed(0)
    mixer = TTTLinear(WIDTH, heads=HEADS, **options).double()
    for parameter in (mixer.factor_change, mixer.scale, mixer.shift, mixer.first_bias):
        torch.nn.init.normal_(parameter, mean=0.5)
    return mixer, torch.randn(2, length, WIDTH, dtype=torch.float64)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("length", [1, 10, 23])
def test_forms_agree(length: int, batch: int) -> None:
    ours, x = layer(length, batch=batch, kernel="chunked")
    assert_forms_agree(ours, layer(length, batch=batch, kernel="recurrent")[0], x)


def test_the_inner_gradient_is_that_of_autograd() -> None:
    mixer, _ = layer(1)
    z, target = torch.randn(2, 2, HEADS, 1, E, dtype=torch.float64).unbind(0)
    z.requires_grad_()
    normed = torch.nn.functional.layer_norm(z, (E,), eps=1e-6) * mixer.scale + mixer.shift
    (expected,) = torch.autograd.grad((normed - target).square().sum() / 2, z)
    assert_close([mixer._gradient(z, target)], [expected])


def test_the_state_is_that_of_flash_linear_attention() -> None:
    """With one rate for all tokens: its naive form has a rate for each query, not for each key."""
    mixer, x = layer(12, batch=4)
    torch.nn.init.zeros_(mixer.rate.weight)
    p = mixer._project(x, torch.arange(12)[None] % 4)
    q, k, v = p.q[..., :-1], p.k[..., :-1], p.target + p.k[..., :-1]
    first, bias = (z.float().expand(2, -1, -1, -1) for z in (mixer.first, mixer.first_bias))
    eta = p.rate * mixer._factors().repeat(3)[:, None]
    inputs = [z.detach().float().transpose(1, 2).contiguous() for z in (q, k, v, eta)]
    function = naive("ttt/naive.py").chunk_ttt_linear_ref
    norm = mixer.scale[:, 0], mixer.shift[:, 0]
    sizes = {"scale": 1.0, "mini_batch_size": 4, "output_final_state": True}
    _, *expected = function(*inputs[:3], *norm, inputs[3], initial_state=first, initial_state_bias=bias, **sizes)
    state = mixer.prefill(x, context_of(x))[1][0]
    assert_close([state.float()], [torch.cat(expected, dim=2)])


def test_without_the_norm_and_with_batches_of_one_it_is_the_delta_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    mixer, x = layer(9, batch=1)
    monkeypatch.setattr(TTTLinear, "_gradient", lambda self, z, target: z - target)
    zeros = {name: torch.zeros_like(z) for name, z in mixer.named_parameters() if name in ("first", "first_bias")}
    p = mixer._project(x, torch.zeros(1, 9, dtype=torch.long))
    rule = delta.recurrent(p.q, p.k, p.target, mixer._factors() * p.rate, torch.zeros_like(p.rate))
    assert_close([functional_call(mixer, zeros, (x, context_of(x)))], [mixer._output(rule, p.q)])


def test_rows_can_be_at_different_places_of_a_mini_batch() -> None:
    mixer, x = layer(5, batch=4)
    states = [mixer.prefill(x[:1, :length], context_of(x[:1, :length]))[1] for length in (3, 4)]
    mixed = tuple(torch.cat(parts) for parts in zip(*states, strict=True))
    out, _ = mixer.step(x[:, 4], mixed, context_of(x))
    expected = [mixer.step(x[row : row + 1, 4], state, context_of(x))[0] for row, state in enumerate(states)]
    assert_close([out], [torch.cat(expected)])
