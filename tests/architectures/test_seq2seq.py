"""The encoder-decoders equal their papers' equations, their steps equal forward, and their decoders are causal."""

import math

import equivalence
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.base import SequenceModel
from architectures.parts.kernels import replicas_ride_along
from architectures.seq2seq.bahdanau import Bahdanau
from architectures.seq2seq.lstm_encdec import LSTMEncDec
from architectures.seq2seq.luong import Luong
from architectures.seq2seq.rnn_encdec import RNNEncDec

SYMBOLS = ("a", "b", "c", "<start>", "<end>", "<blank>", "<think>")
BLANK = SYMBOLS.index("<blank>")
WIDTH, ROWS = 4, 3


def build(cls: type[SequenceModel], **options: object) -> SequenceModel:
    """Build a small model in double precision."""
    torch.manual_seed(0)
    return cls(SYMBOLS, width=WIDTH, **options).double()


def tokens(length: int) -> Tensor:
    return torch.randint(len(SYMBOLS), (ROWS, length))


def assert_same_gradients(ours: Tensor, theirs: Tensor, parameters: list[Tensor]) -> None:
    """Compare the gradients of a sum of squares, relative to the largest."""
    left, right = (torch.autograd.grad(out.square().sum(), parameters) for out in (ours, theirs))
    scale = max(float(each.abs().max()) for each in right)
    for mine, known in zip(left, right, strict=True):
        torch.testing.assert_close(mine, known, rtol=0, atol=1e-9 * scale)


def assert_forms_agree(cls: type[SequenceModel], dtype: torch.dtype, length: int, **options: object) -> None:
    """The loop and torch's operator give the same logits and gradients."""
    models = [build(cls, kernel=kernel, **options).to(dtype) for kernel in ("loop", "torch")]
    source, prefix = tokens(length), tokens(length)
    outs = [model(source, prefix) for model in models]
    equivalence.assert_close(outs[:1], outs[1:])
    gradients = [torch.autograd.grad(o.square().sum(), [*m.parameters()]) for o, m in zip(outs, models, strict=True)]
    equivalence.assert_close(*gradients)


def close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


MODELS = [
    (LSTMEncDec, {"kernel": "loop"}),
    (LSTMEncDec, {"depth": 3, "reverse_source": False}),
    (Bahdanau, {"kernel": "loop"}),
    (Bahdanau, {}),
    (RNNEncDec, {}),
    (Luong, {}),
    (Luong, {"input_feeding": False, "reverse_source": False, "score": "concat"}),
]
each_model = pytest.mark.parametrize(
    ("cls", "options"), MODELS, ids=lambda value: getattr(value, "__name__", str(value))
)


@each_model
@pytest.mark.parametrize("length", [1, 2, 65])
def test_steps_equal_forward(cls: type[SequenceModel], options: dict, length: int) -> None:
    model, source, prefix = build(cls, **options), tokens(length), tokens(length + 2)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        out, state = model.step(token, state)
        logits.append(out)
    close(torch.stack(logits, 1), model(source, prefix))


@each_model
def test_the_future_of_the_prefix_is_unseen_and_the_whole_source_is_seen(
    cls: type[SequenceModel], options: dict
) -> None:
    model, source, prefix = build(cls, **options), tokens(6), tokens(8)
    before = model(source, prefix)
    later = prefix.clone()
    later[:, 5] = (later[:, 5] + 1) % len(SYMBOLS)
    after = model(source, later)
    close(after[:, :5], before[:, :5])
    assert (after[:, 5:] != before[:, 5:]).all()
    for place in range(6):
        other = source.clone()
        other[:, place] = (other[:, place] + 1) % len(SYMBOLS)
        assert (model(other, prefix) != before).all()


@each_model
def test_no_prefix_means_blanks(cls: type[SequenceModel], options: dict) -> None:
    model, source = build(cls, **options), tokens(6)
    close(model(source, None), model(source, torch.full_like(source, BLANK)))


def test_without_a_blank_the_last_symbol_is_fed() -> None:
    model = LSTMEncDec(("a", "b"), width=WIDTH)
    source = torch.tensor([[0, 1, 1]])
    assert torch.equal(model(source, None), model(source, torch.ones_like(source)))


@each_model
def test_a_population_equals_its_members(cls: type[SequenceModel], options: dict) -> None:
    options = {key: value for key, value in options.items() if key != "kernel"}
    torch.manual_seed(0)
    members = [cls(SYMBOLS, width=WIDTH, **options).double() for _ in range(3)]
    source, prefix = torch.randint(len(SYMBOLS), (3, ROWS, 6)), torch.randint(len(SYMBOLS), (3, ROWS, 5))
    parameters, buffers = stack_module_state(members)

    def call(values: dict[str, Tensor], source: Tensor, prefix: Tensor) -> Tensor:
        return functional_call(members[0], (values, buffers), (source, prefix))

    with replicas_ride_along():
        together = vmap(call)(parameters, source, prefix)
    alone = torch.stack([m(s, p) for m, s, p in zip(members, source, prefix, strict=True)])
    close(together, alone)
    gradients = torch.autograd.grad(together.square().sum(), list(parameters.values()))
    known = torch.autograd.grad(alone.square().sum(), [p for member in members for p in member.parameters()])
    scale = max(float(each.abs().max()) for each in known)
    for index, gradient in enumerate(gradients):
        expected = torch.stack(known[index :: len(parameters)])
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kernel", ["loop", "torch"])
def test_lstm_encdec_is_two_deep_lstms(kernel: str, reverse: bool) -> None:
    model = build(LSTMEncDec, depth=2, reverse_source=reverse, kernel=kernel)
    sides = []
    for layers in (model.encoder, model.decoder):
        deep = nn.LSTM(WIDTH, WIDTH, num_layers=2, batch_first=True).double()
        deep.load_state_dict(
            {
                name.replace("l0", f"l{i}"): p
                for i, layer in enumerate(layers)
                for name, p in layer.cell.named_parameters()
            }
        )
        sides.append(deep)
    source, prefix = tokens(7), tokens(5)
    read = source.flip(1) if reverse else source
    _, state = sides[0](model.source_embedding(read))
    expected = model.head(sides[1](model.target_embedding(prefix), state)[0])
    logits = model(source, prefix)
    close(logits, expected)
    shared = [model.source_embedding.weight, model.target_embedding.weight, model.head.weight]
    for ours, theirs in zip(
        *(torch.autograd.grad(out.square().sum(), shared) for out in (logits, expected)), strict=True
    ):
        close(ours, theirs)


def test_lstm_encdec_starts_with_the_gain_of_the_paper() -> None:
    values = torch.cat([p.detach().flatten() for p in LSTMEncDec(SYMBOLS, width=40).parameters()])
    bound = 0.08 * math.sqrt(1000 / 40)
    assert 0.99 * bound < float(values.abs().max()) <= bound


def gru(layer: nn.GRU, x: Tensor, s: Tensor, extra: list[Tensor] | None = None) -> Tensor:
    """One update of one row, gate by gate; ``extra`` is what the context adds to each gate."""
    driven = zip(
        layer.weight_ih_l0.chunk(3), layer.bias_ih_l0.chunk(3), extra or [torch.zeros_like(s)] * 3, strict=True
    )
    recurrent = zip(layer.weight_hh_l0.chunk(3), layer.bias_hh_l0.chunk(3), strict=True)
    (r, z, n), (r_s, z_s, n_s) = [w @ x + b + c for w, b, c in driven], [u @ s + b for u, b in recurrent]
    reset, keep = 1 / (1 + (-r - r_s).exp()), 1 / (1 + (-z - z_s).exp())
    return (1 - keep) * torch.tanh(n + reset * n_s) + keep * s


def bahdanau_by_hand(model: Bahdanau, source: list[int], prefix: list[int]) -> tuple[Tensor, Tensor]:
    """Section 3 and appendix A of the paper for one row, position by position: (logits, alignments)."""
    words = [model.source_embedding.weight[token] for token in source]
    ahead, back = [], []
    s = torch.zeros(WIDTH, dtype=torch.float64)
    for x in words:
        s = gru(model.ahead.cell, x, s)
        ahead.append(s)
    s = torch.zeros(WIDTH, dtype=torch.float64)
    for x in reversed(words):
        s = gru(model.back.cell, x, s)
        back.insert(0, s)
    h = [torch.cat(pair) for pair in zip(ahead, back, strict=True)]

    w_a, u_a, v_a = model.query.weight, model.key.weight, model.score.weight[0]
    s = torch.tanh(model.initial.weight @ back[0] + model.initial.bias)
    logits, alignments = [], []
    for token in prefix:
        y = model.target_embedding.weight[token]
        energies = [v_a @ torch.tanh(w_a @ s + u_a @ h_j) for h_j in h]
        total = sum(e.exp() for e in energies)
        alignment = [e.exp() / total for e in energies]
        c = sum(a * h_j for a, h_j in zip(alignment, h, strict=True))
        s = gru(model.decoder.cell, y, s, [gate @ c for gate in model.into_gates.weight.chunk(3)])
        deep = model.deep.weight @ torch.cat((s, y, c)) + model.deep.bias
        maxout = torch.stack([torch.maximum(deep[2 * k], deep[2 * k + 1]) for k in range(WIDTH)])
        logits.append(model.head.weight @ maxout + model.head.bias)
        alignments.append(torch.stack(alignment))
    return torch.stack(logits), torch.stack(alignments)


@pytest.mark.parametrize("length", [1, 2, 9])
def test_bahdanau_is_the_papers_equations(length: int) -> None:
    model, source, prefix = build(Bahdanau), tokens(length), tokens(length + 1)
    rows = [bahdanau_by_hand(model, *row) for row in zip(source.tolist(), prefix.tolist(), strict=True)]
    expected, alignments = (torch.stack(each) for each in zip(*rows, strict=True))
    logits = model(source, prefix)
    close(logits, expected)
    close(model.inspect(source, prefix)["alignment"], alignments)
    assert_same_gradients(logits, expected, list(model.parameters()))


@pytest.mark.parametrize("prefix_length", [None, 5])
@pytest.mark.parametrize("cls", [Bahdanau, Luong])
def test_alignments_are_distributions_over_the_source(cls: type[SequenceModel], prefix_length: int | None) -> None:
    model, source = build(cls), tokens(7)
    alignment = model.inspect(source, None if prefix_length is None else tokens(prefix_length))["alignment"]
    assert alignment.shape == (ROWS, prefix_length or 7, 7)
    assert (alignment > 0).all()
    close(alignment.sum(-1), torch.ones_like(alignment[..., 0]))


def test_bahdanau_starts_with_orthogonal_recurrences() -> None:
    model = Bahdanau(SYMBOLS, width=WIDTH)
    for layer in (model.ahead, model.back, model.decoder):
        for gate in layer.cell.weight_hh_l0.detach().chunk(3):
            torch.testing.assert_close(gate @ gate.T, torch.eye(WIDTH))
