"""The universal transformer against its equations: one layer, signals at every step, halting after Graves."""

import library
import pytest
import torch
from equivalence import assert_close
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.universal_transformer import UniversalTransformer
from architectures.parts.kernels import replicas_ride_along
from architectures.parts.positions.sinusoidal import sinusoids

ROWS, WIDTH, HEADS, DEPTH = 2, 16, 4, 4
SYMBOLS = ("a", "b", "c", "d")


def make(seed: int = 0, **options: object) -> UniversalTransformer:
    torch.manual_seed(seed)
    return UniversalTransformer(SYMBOLS, width=WIDTH, **{"depth": DEPTH, **options}).double()


def tokens(*shape: int) -> Tensor:
    return torch.randint(len(SYMBOLS), shape)


def torchs_layer(model: UniversalTransformer, x: Tensor) -> Tensor:
    """The one layer, by torch's post-norm layer with the same weights."""
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, "relu", batch_first=True, dtype=torch.float64)
    norms = [model.layer.mixing.norm, model.layer.feeding.norm]
    weights = library.layer({"self_attn": model.layer.mixer.attention}, model.layer.feed_forward, norms)
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=torch.float64)
    return functional_call(theirs, weights, (x,), {"src_mask": mask}, strict=True)


def signals(length: int) -> list[Tensor]:
    """``P^t`` for ``t = 1, 2, ...``."""
    places = sinusoids(torch.arange(length), WIDTH)
    return [(places + sinusoids(torch.tensor([t]), WIDTH)).double() for t in range(1, DEPTH + 1)]


@pytest.mark.parametrize("length", [1, 2, 65])
def test_equals_its_equations(length: int) -> None:
    model, source = make(), tokens(ROWS, length)
    x = model.embedding(source)
    for signal in signals(length):
        x = torchs_layer(model, x + signal)
    ours, known = model(source, None), model.head(x)
    assert_close([ours], [known])
    parameters, probe = list(model.parameters()), torch.randn_like(known)
    assert_close(*(torch.autograd.grad((out * probe).sum(), parameters) for out in (ours, known)))


def halted_by_hand(model: UniversalTransformer, source: Tensor) -> tuple[Tensor, list[int]]:
    """Graves' sums, position by position: the mean states of one row, and how many steps each position took."""
    x, steps = model.embedding(source), [0] * source.shape[1]
    total, mean = [0.0] * len(steps), [torch.zeros(WIDTH, dtype=torch.float64)] * len(steps)
    for time, signal in enumerate(signals(len(steps))):
        refined = torchs_layer(model, x + signal)
        probability = torch.sigmoid(model.halt(x + signal))[0, :, 0]
        going = [place for place in range(len(steps)) if steps[place] == time and total[place] != 1]
        for place in going:
            last = bool(total[place] + probability[place] > 0.99) or time == DEPTH - 1
            weight = 1 - total[place] if last else probability[place]
            mean[place] = mean[place] + weight * refined[0, place]
            total[place] = 1 if last else total[place] + weight
            steps[place] += 1
        still = [refined[0, place] if place in going else x[0, place] for place in range(len(steps))]
        x = torch.stack(still)[None]
    return torch.stack(mean), steps


def test_halting_equals_graves_sums() -> None:
    model, source = make(halting=True), tokens(1, 12)
    with torch.no_grad():
        model.halt.weight.mul_(4)
    mean, steps = halted_by_hand(model, source)
    assert len(set(steps)) > 1, "positions must stop at different steps for this to test anything"
    ours, known = model(source, None)[0], model.head(mean)
    assert_close([ours], [known])
    parameters, probe = list(model.parameters()), torch.randn_like(known)
    assert_close(*(torch.autograd.grad((out * probe).sum(), parameters) for out in (ours, known)))


def test_a_sure_position_stops_at_once() -> None:
    model, once = make(halting=True), make(depth=1)
    once.load_state_dict({name: value for name, value in model.state_dict().items() if not name.startswith("halt")})
    with torch.no_grad():
        model.halt.bias.fill_(20.0)
    source = tokens(ROWS, 9)
    assert_close([model(source, None)], [once(source, None)], tolerance=1e-6)


@pytest.mark.parametrize("halting", [False, True])
def test_steps_equal_forward(halting: bool) -> None:
    model, source, prefix = make(halting=halting), tokens(ROWS, 12), tokens(ROWS, 9)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        out, state = model.step(token, state)
        logits.append(out)
    assert_close([torch.stack(logits, dim=1)], [model(source, prefix)])


@pytest.mark.parametrize("halting", [False, True])
@pytest.mark.parametrize("length", [1, 7])
def test_reading_a_source_leaves_the_caches_of_steps(length: int, halting: bool) -> None:
    model, source = make(halting=halting), tokens(ROWS, length)
    read, _, caches = model.start(source)
    state = model.start(source[:, :0])
    for token in source.unbind(1):
        _, state = model.step(token, state)
    assert read == state[0] == length
    for (memory, places), (stepped_memory, stepped_places) in zip(caches, state[2], strict=True):
        assert_close(memory, stepped_memory)
        assert torch.equal(places, stepped_places)


@pytest.mark.parametrize("halting", [False, True])
def test_population_equals_singles(halting: bool) -> None:
    models, stream = [make(seed, halting=halting) for seed in range(2)], tokens(2, ROWS, 9)
    stacked, _ = stack_module_state(list[nn.Module](models))
    with replicas_ride_along():
        together = vmap(lambda weights, x: functional_call(models[0], weights, (x, None)))(stacked, stream)
    together.square().sum().backward()
    for index, model in enumerate(models):
        alone = model(stream[index], None)
        alone.square().sum().backward()
        assert_close([together[index]], [alone])
        known = dict(model.named_parameters())
        assert_close([stacked[name].grad[index] for name in known], [p.grad for p in known.values()])


def test_more_steps_are_no_more_parameters() -> None:
    small, large = (sum(p.numel() for p in make(depth=depth).parameters()) for depth in (1, 8))
    assert small == large
    assert list(make().inspect(tokens(1, 5), None)) == [f"step {t}" for t in range(1, DEPTH + 1)]
