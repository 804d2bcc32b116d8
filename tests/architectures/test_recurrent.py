"""Recurrent layers equal torch's, their steps equal forward, and populations equal single models."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.base import Context, Lookup, Mixer
from architectures.language_model import LanguageModel
from architectures.parts.kernels import replicas_ride_along
from architectures.parts.recurrence import GRULayer, LSTMLayer, Recurrence, RNNLayer
from architectures.recurrent.bilstm import BiLSTM
from architectures.recurrent.gru import GRU
from architectures.recurrent.lstm import LSTM
from architectures.recurrent.rnn import RNN
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model

LAYERS = [(LSTMLayer, nn.LSTM), (GRULayer, nn.GRU), (RNNLayer, nn.RNN)]
MIXERS = [(LSTM, nn.LSTM), (GRU, nn.GRU), (RNN, nn.RNN), (BiLSTM, nn.LSTM)]
LENGTHS = [1, 2, 63, 64, 65, 200]
INPUTS, WIDTH, ROWS = 5, 7, 3


def pair(layer: type[Recurrence], library: type[nn.RNNBase], kernel: str, dtype: torch.dtype) -> tuple:
    """Two layers, one for each direction, and torch's bidirectional module with the same weights."""
    torch.manual_seed(0)
    ahead = layer(INPUTS, WIDTH, kernel).to(dtype)
    back = layer(INPUTS, WIDTH, kernel, reverse=True).to(dtype)
    theirs = library(INPUTS, WIDTH, batch_first=True, bidirectional=True).to(dtype)
    theirs.load_state_dict(
        {
            f"{name}{suffix}": p
            for ours, suffix in ((ahead, ""), (back, "_reverse"))
            for name, p in ours.cell.named_parameters()
        }
    )
    return ahead, back, theirs


def assert_close(ours: list[Tensor], theirs: list[Tensor], dtype: torch.dtype) -> None:
    """Compare relative to the largest entry of all."""
    scale = max(float(each.detach().abs().max()) for each in theirs)
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-5}[dtype] * scale
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=tolerance)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("layer", "library"), LAYERS)
@pytest.mark.parametrize(
    ("kernel", "dtype"),
    [
        ("loop", torch.float64),
        ("loop", torch.float32),
        ("torch", torch.float64),
        ("manual", torch.float64),
        ("manual", torch.float32),
    ],
)
def test_both_directions_equal_torch(
    layer: type[Recurrence], library: type[nn.RNNBase], kernel: str, dtype: torch.dtype, length: int
) -> None:
    ahead, back, theirs = pair(layer, library, kernel, dtype)
    x = torch.randn(ROWS, length, INPUTS, dtype=dtype, requires_grad=True)
    (forwards, last), (backwards, first) = ahead(x), back(x)
    expected, ends = theirs(x)
    final = ends[0] if isinstance(ends, tuple) else ends
    assert_close([torch.cat((forwards, backwards), -1), last[0], first[0]], [expected, *final], dtype)
    probe = torch.randn_like(expected)
    ours = torch.autograd.grad(
        (torch.cat((forwards, backwards), -1) * probe).sum(), [x, *ahead.parameters(), *back.parameters()]
    )
    known = torch.autograd.grad((expected * probe).sum(), [x, *theirs.parameters()])
    assert_close(list(ours), list(known), dtype)


@pytest.mark.parametrize(("layer", "library"), LAYERS)
@pytest.mark.parametrize("kernel", ["loop", "torch", "manual"])
def test_a_given_state_is_where_it_continues(layer: type[Recurrence], library: type[nn.RNNBase], kernel: str) -> None:
    ahead, _, _ = pair(layer, library, kernel, torch.float64)
    x = torch.randn(ROWS, 9, INPUTS, dtype=torch.float64)
    whole, end = ahead(x)
    first, middle = ahead(x[:, :4])
    second, last = ahead(x[:, 4:], middle)
    assert_close([torch.cat((first, second), 1), *last], [whole, *end], torch.float64)


@pytest.mark.parametrize("kernel", ["loop", "torch", "manual", "auto"])
@pytest.mark.parametrize("cls", [LSTM, GRU, RNN])
def test_steps_equal_forward(cls: type[Mixer], kernel: str) -> None:
    torch.manual_seed(0)
    mixer = cls(WIDTH, kernel=kernel).double()
    x = torch.randn(ROWS, 65, WIDTH, dtype=torch.float64)
    context = Context(torch.zeros(ROWS, 65, dtype=torch.long), torch.arange(65), 65)
    state, outputs = mixer.start(ROWS, x), []
    for each in x.unbind(1):
        out, state = mixer.step(each, state, context)
        outputs.append(out)
    assert_close([torch.stack(outputs, 1)], [mixer(x, context)], torch.float64)


def deep(model: LanguageModel, library: type[nn.RNNBase], width: int) -> nn.RNNBase:
    """Return torch's module of several layers with the weights of the model's mixers."""
    both = isinstance(model.layers[0].mixer, BiLSTM)
    size = width // 2 if both else width
    theirs = library(width, size, num_layers=len(model.layers), batch_first=True, bidirectional=both).double()
    weights = {}
    for index, layer in enumerate(model.layers):
        sides = [(layer.mixer.ahead, ""), (layer.mixer.back, "_reverse")] if both else [(layer.mixer.layer, "")]
        for side, suffix in sides:
            weights |= {name.replace("l0", f"l{index}{suffix}"): p for name, p in side.cell.named_parameters()}
    theirs.load_state_dict(weights)
    return theirs


@pytest.mark.parametrize("kernel", ["loop", "torch", "manual"])
@pytest.mark.parametrize(("mixer", "library"), MIXERS)
def test_stacked_bare_they_are_torchs_deep_module(mixer: type[Mixer], library: type[nn.RNNBase], kernel: str) -> None:
    torch.manual_seed(0)
    model = LanguageModel(("a", "b", "c"), mixer, {"kernel": kernel}, width=8, depth=3).double()
    source = torch.randint(3, (ROWS, 21))
    logits = model(source, None)
    expected = model.head(deep(model, library, 8)(model.embedding(source))[0])
    shared = [model.embedding.weight, model.head.weight]
    ours, known = (torch.autograd.grad(out.square().sum(), shared) for out in (logits, expected))
    assert_close([logits, *ours], [expected, *known], torch.float64)


def test_bilstm_refuses_what_it_cannot_halve() -> None:
    with pytest.raises(ValueError, match=r"width=7 must be even, .*; use 8"):
        BiLSTM(7)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layer", [LSTMLayer, GRULayer, RNNLayer])
def test_a_population_equals_its_members(layer: type[Recurrence], reverse: bool) -> None:
    torch.manual_seed(0)
    members = [layer(INPUTS, WIDTH, reverse=reverse).double() for _ in range(3)]
    x = torch.randn(3, ROWS, 20, INPUTS, dtype=torch.float64)
    parameters, buffers = stack_module_state(members)

    def call(values: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(members[0], (values, buffers), (x,))[0]

    with replicas_ride_along():
        together = vmap(call)(parameters, x)
    alone = torch.stack([member(each)[0] for member, each in zip(members, x, strict=True)])
    assert_close([together], [alone], torch.float64)
    gradients = torch.autograd.grad(together.square().sum(), list(parameters.values()))
    known = torch.autograd.grad(alone.square().sum(), [p for member in members for p in member.parameters()])
    stacked = [torch.stack(known[i :: len(parameters)]) for i in range(len(parameters))]
    assert_close(list(gradients), stacked, torch.float64)


def test_the_fused_operator_takes_swapped_weights() -> None:
    """``functional_call`` replaces parameters behind torch's back; its LSTM must notice."""
    torch.manual_seed(0)
    layer, other = LSTMLayer(INPUTS, WIDTH, "torch"), LSTMLayer(INPUTS, WIDTH, "torch")
    x = torch.randn(ROWS, 6, INPUTS)
    swapped = functional_call(layer, dict(other.named_parameters()), (x,))[0]
    torch.testing.assert_close(swapped, other(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("kernel", ["loop", "torch", "manual"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("layer", "library"), LAYERS)
def test_a_lookup_is_its_rows(layer: type[Recurrence], library: type[nn.RNNBase], reverse: bool, kernel: str) -> None:
    """A table of input products gives the outputs, states and gradients of the products of all positions."""
    torch.manual_seed(0)
    recurrence = layer(INPUTS, WIDTH, kernel, reverse).double()
    table = torch.randn(3, INPUTS, dtype=torch.float64, requires_grad=True)
    tokens, weights = torch.randint(3, (2, 7)), torch.randn(2, 7, WIDTH, dtype=torch.float64)
    results = []
    for x in (Lookup(tokens, table), Lookup(tokens, table).rows()):
        hidden, state = recurrence(x)
        total = (hidden * weights).sum() + sum((part * part).sum() for part in state)
        results.append((hidden, *state, *torch.autograd.grad(total, (table, *recurrence.parameters()))))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "bilstm", "stack_rnn", "tape_rnn"])
@pytest.mark.parametrize("block", ["native", "shared"])
def test_a_model_reads_its_tokens_as_a_lookup(name: str, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first layer's input depends on the token alone, the model is the same with and without a lookup."""
    spec = Spec.parse("architecture", f"{name}:width=16,block={block}", Catalog())
    model = build_model(spec, ("a", "b", "c")).double()
    source = torch.randint(3, (2, 6))
    lookups: list[bool] = []
    plain = LanguageModel._with_lookup

    def recorded(self: LanguageModel, context: Context) -> Context:
        context = plain(self, context)
        lookups.append(context.lookup is not None)
        return context

    monkeypatch.setattr(LanguageModel, "_with_lookup", recorded)
    with_lookup = model(source, None)
    monkeypatch.setattr(LanguageModel, "_with_lookup", lambda self, context: context)
    torch.testing.assert_close(with_lookup, model(source, None), rtol=1e-9, atol=1e-9)
    assert lookups == [True]


def test_positions_and_dropout_leave_no_lookup() -> None:
    for options in ("position=sinusoidal", "dropout=0.5"):
        model = build_model(Spec.parse("architecture", f"lstm:width=16,{options}", Catalog()), ("a", "b")).train()
        _, context = model.begin(torch.zeros(1, 3, dtype=torch.long), None)
        assert model._with_lookup(context).lookup is None


def test_hand_written_gradients_cannot_be_differentiated_again() -> None:
    layer = LSTMLayer(INPUTS, WIDTH, "manual")
    x = torch.randn(1, 3, INPUTS, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(grad.square().sum(), x)


@pytest.mark.parametrize(("layer", "widths"), [(RNNLayer, (1, 500)), (GRULayer, (64, 500)), (LSTMLayer, (0, 128))])
def test_the_kernel_follows_the_width(layer: type[Recurrence], widths: tuple[int, int]) -> None:
    with_lookup, without = layer.manual_width
    assert (widths[0] in without, widths[1] in with_lookup) == (widths[0] > 0, True)
