"""The RNN encoder-decoder is the equations of Cho et al. 2014, appendix A, with the one difference its file names."""

import pytest
import torch
from test_seq2seq import ROWS, SYMBOLS, WIDTH, assert_forms_agree, assert_same_gradients, build, close, gru, tokens
from torch import Tensor

from architectures.seq2seq.rnn_encdec import RNNEncDec


def by_hand(model: RNNEncDec, source: list[int], prefix: list[int]) -> Tensor:
    """One row, position by position; the decoder's input matrix is cut into its W and its C."""
    h = torch.zeros(WIDTH, dtype=torch.float64)
    for token in source:
        h = gru(model.encoder.cell, model.source_embedding.weight[token], h)
    c = torch.tanh(model.summarize.weight @ h + model.summarize.bias)
    h = torch.tanh(model.initial.weight @ c + model.initial.bias)
    o_h, o_y, o_c = model.maxout.weight.split(WIDTH, dim=1)
    logits = []
    for token in prefix:
        y = model.target_embedding.weight[token]
        h = gru(model.decoder.cell, torch.cat((y, c)), h)
        s = o_h @ h + o_y @ y + o_c @ c + model.maxout.bias
        logits.append(model.head.weight @ torch.maximum(s[0::2], s[1::2]) + model.head.bias)
    return torch.stack(logits)


@pytest.mark.parametrize("length", [1, 2, 9])
def test_it_is_the_papers_equations(length: int) -> None:
    model, source, prefix = build(RNNEncDec), tokens(length), tokens(length + 1)
    expected = torch.stack([by_hand(model, *row) for row in zip(source.tolist(), prefix.tolist(), strict=True)])
    logits = model(source, prefix)
    close(logits, expected)
    assert_same_gradients(logits, expected, list(model.parameters()))


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_its_forms_agree(dtype: torch.dtype, length: int) -> None:
    assert_forms_agree(RNNEncDec, dtype, length)


def test_the_summary_reaches_every_step() -> None:
    """The summary affects the output directly, not only through the decoder's state."""
    model, prefix = build(RNNEncDec), tokens(3)
    summary, hidden = model.start(tokens(4))
    before, after = (model.decode(prefix, (each, hidden))[0] for each in (summary, -summary))
    assert summary.shape == (ROWS, WIDTH)
    assert (before != after).all()


def test_it_starts_with_orthogonal_recurrences() -> None:
    model = RNNEncDec(SYMBOLS, width=WIDTH)
    for layer in (model.encoder, model.decoder):
        for gate in layer.cell.weight_hh_l0.detach().chunk(3):
            torch.testing.assert_close(gate @ gate.T, torch.eye(WIDTH))
