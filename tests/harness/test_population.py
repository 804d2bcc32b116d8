"""Populations: losses, gradients and weights equal those of the single models on their own rows."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.base import SequenceModel
from harness.data.presentation import Batch
from harness.models.population import Population, build_seeded, cross_entropy, init_seed, load
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from tasks.base import IGNORE

CATALOG = Catalog()
SYMBOLS = ("a", "b", "c", "<blank>")
ROWS = 4


def models(name: str, count: int) -> list[SequenceModel]:
    spec = Spec.parse("architecture", f"{name}:width=16", CATALOG)
    return [build_seeded(spec, SYMBOLS, seed, name).double() for seed in range(count)]


def batch(count: int) -> Batch:
    """Return rows for ``count`` models; every other row has fewer targets."""
    generator = torch.Generator().manual_seed(0)
    source, prefix, target = (torch.randint(3, (count * ROWS, width), generator=generator) for width in (5, 3, 3))
    target[::2, 2:] = IGNORE
    return Batch(source, prefix, target)


def plain(model: SequenceModel, rows: Batch, smoothing: float) -> tuple[Tensor, Tensor]:
    """Return the loss and the gradients of one model, computed without the harness."""
    logits = model(rows.source, rows.prefix)
    loss = F.cross_entropy(logits.flatten(0, 1), rows.target.flatten(), label_smoothing=smoothing)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    return loss.detach(), torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_losses_and_gradients_are_those_of_single_models(name: str, count: int, smoothing: float) -> None:
    rows = batch(count)
    expected = [
        plain(model, Batch(*(x[i * ROWS : (i + 1) * ROWS] for x in rows)), smoothing)
        for i, model in enumerate(models(name, count))
    ]
    population = Population(models(name, count))
    population.grads.fill_(7.0)
    losses = population.losses(rows, partial(cross_entropy, label_smoothing=smoothing))
    population.backward(losses)
    torch.testing.assert_close(losses.detach(), torch.stack([loss for loss, _ in expected]), rtol=1e-12, atol=0)
    torch.testing.assert_close(population.grads, torch.stack([g for _, g in expected]), rtol=0, atol=1e-12)


def test_without_a_prefix_the_source_is_labelled() -> None:
    source = torch.randint(3, (2, ROWS, 6), generator=torch.Generator().manual_seed(0))
    population = Population(models("lstm", 2))
    expected = torch.stack([model(rows, None) for model, rows in zip(models("lstm", 2), source, strict=True)])
    torch.testing.assert_close(population.logits(source, None), expected, rtol=1e-12, atol=1e-12)


def test_the_mean_is_over_the_targets_of_each_model() -> None:
    logits = torch.zeros(2, 1, 3, 2)
    target = torch.tensor([[[0, 0, 0]], [[1, IGNORE, IGNORE]]])
    torch.testing.assert_close(cross_entropy(logits, target), torch.full((2,), 2.0).log())


def test_a_population_of_one_is_its_module() -> None:
    """Values and gradients are the module's own memory, so that nothing is copied in a step."""
    population = Population(models("lstm", 1))
    with torch.no_grad():
        population.values.fill_(0.25)
    assert all(bool((p == 0.25).all()) for p in population.model.parameters())
    population.backward(population.losses(batch(1)))
    gradients = torch.cat([p.grad.flatten() for p in population.model.parameters() if p.grad is not None])
    assert torch.equal(gradients, population.grads[0])


@pytest.mark.parametrize("count", [1, 3])
def test_weights_can_be_loaded_again(count: int) -> None:
    population = Population(models("transformer", count))
    with torch.no_grad():
        population.values.add_(0.1 * torch.randn_like(population.values))
    loaded = load(models("transformer", count), [population.weights(i) for i in range(count)], "cpu")
    assert torch.equal(loaded.values, population.values)


def test_initial_values_depend_only_on_seed_and_name() -> None:
    spec = Spec.parse("architecture", "lstm", CATALOG)

    def values(seed: int, name: str) -> Tensor:
        model = build_seeded(spec, SYMBOLS, seed, name)
        return torch.cat([p.flatten() for p in model.parameters()])

    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = values(0, "lstm")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert torch.equal(values(0, "lstm"), first)
    assert not torch.equal(values(1, "lstm"), first)
    assert not torch.equal(values(0, "other"), first)
    assert len({init_seed(seed, "lstm") for seed in range(100)}) == 100
