"""GLA: all forms agree, with each other, with the equations, and with flash-linear-attention."""

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
from fakes import naive, stand_in
from torch import Tensor

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.gla import FORMS, GLA
from architectures.parts.kernel_choice import Choice
from architectures.parts.scans import decay

ROWS, WIDTH, HEADS = 2, 12, 3


def make(kernel: str, dtype: torch.dtype = torch.float64) -> GLA:
    return GLA(WIDTH, heads=HEADS, rank=3, kernel=kernel).to(dtype)


def by_the_equations(mixer: GLA, x: Tensor) -> Tensor:
    """Section 4.4, one head and one position after another, without logarithms."""
    low = x @ mixer.forget[0].weight.T
    alpha = torch.sigmoid(low @ mixer.forget[1].weight.T + mixer.forget[1].bias) ** (1 / 16)
    q, k, v, alpha = (each.chunk(HEADS, -1) for each in (mixer.query(x), mixer.key(x), mixer.value(x), alpha))
    heads = []
    for each_q, each_k, each_v, each_alpha in zip(q, k, v, alpha, strict=True):
        S, out = 0, []
        for t in range(x.shape[1]):
            S = each_alpha[:, t, :, None] * S + each_k[:, t, :, None] * each_v[:, t, None]
            out.append((each_q[:, t, :, None] * S).sum(1) * each_q.shape[-1] ** -0.5)
        o = torch.stack(out, 1)
        heads.append(o / (o.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight)
    return mixer.out(F.silu(mixer.gate(x)) * torch.cat(heads, -1))


def inputs(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(length)
    q, k, forget = torch.randn(3, ROWS, HEADS, length, 4, dtype=dtype)
    return [q, k, torch.randn(ROWS, HEADS, length, 8, dtype=dtype), F.logsigmoid(forget)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    for kernel in ("parallel", "chunked", "stepwise"):
        assert_forms_agree(make(kernel, dtype), make("recurrent", dtype), x)


@pytest.mark.parametrize("kernel", ["recurrent", "chunked", "stepwise"])
def test_equals_the_papers_equations(kernel: str) -> None:
    torch.manual_seed(0)
    mixer, x = make(kernel), torch.randn(ROWS, 33, WIDTH, dtype=torch.float64)
    assert_close([mixer(x, context_of(x))], [by_the_equations(mixer, x)])


def test_extreme_decays() -> None:
    """Gates from exp(-40) to 1, so that some rows forget everything at some tokens and nothing at others."""
    torch.manual_seed(0)
    exact, fast = make("recurrent"), make("chunked", torch.float32)
    exact.forget[1].weight.data.mul_(2000)
    fast.load_state_dict(exact.state_dict())
    exact.load_state_dict(fast.state_dict())
    x = torch.randn(ROWS, 65, WIDTH)
    _, _, _, log_decay = fast._project(x)
    assert float(log_decay.detach().min()) < -40 < -1e-3 < float(log_decay.detach().max())
    (out, gradients), (expected, known) = run(fast, x), run(exact, x.double())
    assert_close([out], [expected])
    assert_close(gradients, known, tolerance=2e-5)


@pytest.mark.parametrize("length", [1, 65])
def test_equals_flash_linear_attention(length: int) -> None:
    def theirs(*all: Tensor) -> Tensor:
        return naive("gla/naive.py").naive_recurrent_gla(*(each.transpose(1, 2) for each in all))[0].transpose(1, 2)

    for form in ("recurrent", "chunked"):
        q, *others = inputs(length, torch.float32)
        with torch.no_grad():
            assert_close([FORMS[form](q * 4**-0.5, *others)], [theirs(q, *others)])


def test_steps_equal_forward() -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make("chunked"), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_does_not_grow() -> None:
    model = LanguageModel(("a", "b"), GLA, {"heads": HEADS}, width=WIDTH, depth=1)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * HEADS * 2 * 4}


@pytest.mark.parametrize("kernel", ["recurrent", "chunked", "stepwise"])
def test_population_equals_singles(kernel: str) -> None:
    torch.manual_seed(0)
    mixers = [make(kernel) for _ in range(3)]
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 40, WIDTH, dtype=torch.float64))


def test_package_serves_alone_and_in_a_population(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunk_gla(q: Tensor, k: Tensor, v: Tensor, g: Tensor, scale: float) -> tuple[Tensor, None]:
        q, k, v, g = (each.transpose(1, 2) for each in (q * scale, k, v, g))
        return decay.recurrent(q, k, v, g).transpose(1, 2), None

    stand_in(monkeypatch, "fla.ops.gla", chunk_gla=chunk_gla)
    assert_same(FORMS["fla"], decay.recurrent, inputs(9))
    mixers = [make("recurrent") for _ in range(3)]
    for mixer in mixers:
        mixer.choice = Choice(cpu="fla", cuda="fla", records={"fla": "fla 1.0"})
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64))
    assert {mixer.kernel_in_use for mixer in mixers} == {"fla 1.0"}


def test_heads_need_an_even_number_of_channels() -> None:
    with pytest.raises(ValueError, match="width=12 must be a multiple of 8"):
        GLA(12, heads=4)
