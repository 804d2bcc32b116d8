"""Luong attention is the equations of its paper for every score, with and without input feeding."""

import math

import pytest
import torch
from test_seq2seq import SYMBOLS, WIDTH, assert_forms_agree, assert_same_gradients, build, close, tokens
from torch import Tensor, nn

from architectures.base import state_bytes
from architectures.parts.alignment import SCORES
from architectures.seq2seq.luong import Luong

Pair = tuple[Tensor, Tensor]


def lstm(layer: nn.LSTM, x: Tensor, state: Pair) -> Pair:
    """One update of one row, gate by gate."""
    h, c = state
    parts = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    i, f, g, o = (w @ x + u @ h + b + d for w, u, b, d in zip(*(part.chunk(4) for part in parts), strict=True))
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def run_layers(layers: nn.ModuleList, x: Tensor, states: list[Pair]) -> tuple[Tensor, list[Pair]]:
    after = []
    for layer, state in zip(layers, states, strict=True):
        after.append(lstm(layer.cell, x, state))
        x = after[-1][0]
    return x, after


def score_of(model: Luong, name: str, h: Tensor, s: Tensor) -> Tensor:
    """Section 3.1, for one pair of states."""
    if name == "dot":
        return h @ s
    if name == "general":
        return h @ model.score.query.weight.T @ s
    whole = torch.cat((model.score.query.weight, model.score.key.weight), dim=1)
    return model.score.score.weight[0] @ torch.tanh(whole @ torch.cat((h, s)))


def by_hand(model: Luong, name: str, feeding: bool, source: list[int], prefix: list[int]) -> Pair:
    """One row, position by position: (logits, alignments)."""
    states = [(torch.zeros(WIDTH, dtype=torch.float64),) * 2 for _ in model.encoder]
    annotations = []
    for token in reversed(source):
        top, states = run_layers(model.encoder, model.source_embedding.weight[token], states)
        annotations.insert(0, top)
    fed, logits, alignments = torch.zeros(WIDTH, dtype=torch.float64), [], []
    for token in prefix:
        y = model.target_embedding.weight[token]
        h, states = run_layers(model.decoder, torch.cat((y, fed)) if feeding else y, states)
        weights = torch.stack([score_of(model, name, h, s) for s in annotations]).exp()
        alignment = weights / weights.sum()
        c = sum(a * s for a, s in zip(alignment, annotations, strict=True))
        fed = torch.tanh(model.combine.weight @ torch.cat((c, h)))
        logits.append(model.head.weight @ fed)
        alignments.append(alignment)
    return torch.stack(logits), torch.stack(alignments)


@pytest.mark.parametrize("length", [1, 2, 9])
@pytest.mark.parametrize("feeding", [True, False])
@pytest.mark.parametrize("name", SCORES)
def test_it_is_the_papers_equations(name: str, feeding: bool, length: int) -> None:
    model = build(Luong, score=name, input_feeding=feeding)
    source, prefix = tokens(length), tokens(length + 1)
    rows = [by_hand(model, name, feeding, *row) for row in zip(source.tolist(), prefix.tolist(), strict=True)]
    expected, alignments = (torch.stack(each) for each in zip(*rows, strict=True))
    logits = model(source, prefix)
    close(logits, expected)
    close(model.inspect(source, prefix)["alignment"], alignments)
    assert_same_gradients(logits, expected, list(model.parameters()))


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_its_forms_agree(dtype: torch.dtype, length: int) -> None:
    assert_forms_agree(Luong, dtype, length, input_feeding=False)


def test_its_forms_agree_with_input_feeding() -> None:
    assert_forms_agree(Luong, torch.float64, 65, input_feeding=True)


@pytest.mark.parametrize(("name", "kept"), [("dot", 1), ("general", 1), ("concat", 2)])
def test_what_is_kept_of_the_source(name: str, kept: int) -> None:
    """The annotations, for ``concat`` also its half of the scores; then two layers and the attentional state."""
    sizes = [state_bytes(build(Luong, score=name).start(tokens(length)[:1])) for length in (5, 9)]
    row = WIDTH * 8
    assert sizes == [kept * length * row + 5 * row for length in (5, 9)]


def test_the_kernel_is_that_of_what_need_not_wait() -> None:
    source = tokens(3)
    for feeding, loops in ((True, 2), (False, 0)):
        model = build(Luong, input_feeding=feeding, kernel="torch")
        model(source, source)
        assert [layer.kernel_in_use for layer in model.decoder].count("loop") == loops


def test_it_starts_with_the_gain_of_the_paper() -> None:
    values = torch.cat([p.detach().flatten() for p in Luong(SYMBOLS, width=40).parameters()])
    bound = 0.1 * math.sqrt(1000 / 40)
    assert 0.99 * bound < float(values.abs().max()) <= bound
