"""Blockwise attention equals attention in one block: values, gradients, populations."""

import pytest
import torch
from equivalence import assert_close, assert_same
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.encoder import Encoder
from architectures.attention.transformer import Transformer
from architectures.language_model import LanguageModel
from architectures.parts import blockwise
from architectures.parts.attention import attend
from architectures.parts.blockwise import SIDE, blocks
from architectures.parts.kernels import replicas_ride_along
from architectures.parts.positions import ENCODINGS
from architectures.parts.scores import Additive
from architectures.seq2seq.luong import Luong

ROWS, HEADS, WIDTH = 2, 4, 16
SYMBOLS = ("0", "1", "2", "3")
BIASED = [name for name, kind in ENCODINGS.items() if kind.in_attention]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use blocks of at most 4 queries, so that short sequences are cut."""
    monkeypatch.setattr(blockwise, "SIDE", 4)


def qkv(queries: int, keys: int, groups: int = HEADS) -> list[Tensor]:
    torch.manual_seed(queries)
    shapes = (HEADS, queries), (groups, keys), (groups, keys)
    return [torch.randn(ROWS, heads, length, WIDTH // HEADS, dtype=torch.float64) for heads, length in shapes]


def in_one(*inputs: Tensor, **call: object) -> Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise, "SIDE", 10**6)
        return attend(*inputs, **call)


@pytest.mark.parametrize(("queries", "keys"), [(4, 4), (5, 5), (33, 33), (7, 40), (1, 50)])
@pytest.mark.parametrize("sight", [{}, {"causal": True}, *({"causal": True, "window": n} for n in (1, 3, 30))], ids=str)
@pytest.mark.usefixtures("narrow")
def test_blocks_change_nothing(queries: int, keys: int, sight: dict) -> None:
    call = {"kernel": "math", **sight}
    assert_same(lambda *x: attend(*x, **call), lambda *x: in_one(*x, **call), qkv(queries, keys, groups=2))


@pytest.mark.parametrize("shape", [(33,), (33, 33), (HEADS, 33, 33), (ROWS, 1, 33, 33), (33, 1)], ids=str)
@pytest.mark.usefixtures("narrow")
def test_a_bias_is_cut_with_the_scores(shape: tuple[int, ...]) -> None:
    inputs = [*qkv(33, 33), torch.randn(shape, dtype=torch.float64)]
    cut, known = (lambda q, k, v, b, form=form: form(q, k, v, bias=b, causal=True) for form in (attend, in_one))
    assert_same(cut, known, inputs)


@pytest.mark.usefixtures("narrow")
def test_other_scores_are_cut_too() -> None:
    score = Additive(HEADS, WIDTH // HEADS).double()
    cut, known = (lambda *x, form=form: form(*x, causal=True, score=score.function) for form in (attend, in_one))
    assert_same(cut, known, qkv(33, 33))


def logits(cls: type, position: str, window: int = 0, kernel: str = "math") -> tuple[Tensor, list[Tensor]]:
    """Return the logits of a model, and its gradients."""
    torch.manual_seed(0)
    options = {"heads": HEADS, "kernel": kernel, **({"window": window} if window else {})}
    model = LanguageModel(SYMBOLS, cls, options, width=WIDTH, depth=2, position=position).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    out = model(torch.randint(4, (ROWS, 40), generator=torch.Generator().manual_seed(1)), None)
    return out, list(torch.autograd.grad(out.square().sum(), list(model.parameters()), materialize_grads=True))


@pytest.mark.parametrize("position", ["none", *BIASED])
@pytest.mark.parametrize(("cls", "window"), [(Transformer, 0), (Transformer, 6), (Encoder, 0)])
def test_models_are_the_same(position: str, cls: type, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known, gradients = logits(cls, position, window)
    monkeypatch.setattr(blockwise, "SIDE", 4)
    out, ours = logits(cls, position, window)
    assert_close([out], [known])
    assert_close(ours, gradients)


@pytest.mark.usefixtures("narrow")
def test_populations_take_blocks() -> None:
    models = [LanguageModel(SYMBOLS, Transformer, {}, width=WIDTH, depth=1, position="fire").double() for _ in range(2)]
    stream = torch.randint(4, (2, ROWS, 20))
    stacked, _ = stack_module_state(list[nn.Module](models))
    with replicas_ride_along():
        together = vmap(lambda weights, x: functional_call(models[0], weights, (x, None)))(stacked, stream)
    assert_close([together], [torch.stack([model(x, None) for model, x in zip(models, stream, strict=True)])])


@pytest.mark.parametrize("score", ["dot", "concat"])
def test_an_alignment_is_cut_where_the_decoder_waits_for_nothing(score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Luong(SYMBOLS, width=8, score=score, input_feeding=False).double()
    source, prefix = torch.randint(4, (ROWS, 21)), torch.randint(4, (ROWS, 19))
    known, alignment = model(source, prefix), model.inspect(source, prefix)["alignment"]
    monkeypatch.setattr(blockwise, "SIDE", 4)
    assert_close([model(source, prefix), model.inspect(source, prefix)["alignment"]], [known, alignment])


@pytest.mark.parametrize("window", [0, 1, 100, 511, 3000])
@pytest.mark.parametrize(("queries", "keys"), [(10_000, 10_000), (700, 10_000), (1, 10_000), (513, 513), (512, 512)])
def test_blocks_are_bounded_and_miss_nothing(queries: int, keys: int, window: int) -> None:
    cut = list(blocks(queries, keys, causal=True, window=window))
    assert [row for rows, _ in cut for row in range(rows.start, rows.stop)] == list(range(queries))
    for rows, seen in cut:
        first, last = (keys - queries + row for row in (rows.start, rows.stop - 1))
        assert seen.stop == last + 1
        assert seen.start == (max(0, first + 1 - window) if window else 0) or len(cut) == 1
        assert (rows.stop - rows.start) * (seen.stop - seen.start) <= 2 * SIDE**2


def test_short_sequences_are_not_cut() -> None:
    assert list(blocks(512, 512)) == [(slice(0, 512), slice(0, 512))]
    assert len(list(blocks(513, 513))) == 2
