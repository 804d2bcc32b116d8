"""Counted costs: operations of simple layers, and costs as functions of length."""

import math

import pytest
import torch
from torch import nn

from architectures.base import SequenceModel
from harness.models.cost import Growth, measured_state, training_operations
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model

WIDTH = 8


class OneLayer(SequenceModel):
    """A model of one given layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__(("a", "b"))
        self.embedding = nn.Embedding(2, WIDTH)
        self.layer = layer

    def forward(self, source: torch.Tensor, prefix: torch.Tensor | None) -> torch.Tensor:
        return self.layer(self.embedding(source))


class FourierRoundTrip(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(x, dim=1), n=x.shape[1], dim=1)


def test_a_linear_map_counts_three_products() -> None:
    operations = training_operations(OneLayer(nn.Linear(WIDTH, 5, bias=False)), (4, 16))
    assert operations == pytest.approx({4: 3 * 2 * WIDTH * 5, 16: 3 * 2 * WIDTH * 5}, rel=0.05)


def test_pointwise_functions_count_one() -> None:
    assert training_operations(OneLayer(nn.ReLU()), (4,)) == {4: 2 * WIDTH}


def test_real_transforms_count_half_of_five_n_log_n() -> None:
    both_transforms = 2 * 2 * 5 * 16 * math.log2(16) / 2 * WIDTH  # two transforms, forward and backward
    assert training_operations(OneLayer(FourierRoundTrip()), (16,))[16] == pytest.approx(both_transforms / 16, rel=0.3)


@pytest.mark.parametrize(
    ("costs", "line"),
    [({4: 10, 8: 10}, (10, 0)), ({4: 8, 8: 16}, (0, 2)), ({4: 1000, 8: 1001}, (1001, 0)), ({16: 7}, (7, 0))],
)
def test_growth_is_the_line_through_the_first_and_last_cost(costs: dict[int, float], line: tuple[float, float]) -> None:
    assert Growth.of(costs) == line


def test_attention_grows_and_a_recurrence_does_not() -> None:
    catalog = Catalog()
    growths = {}
    for name in ("transformer:kernel=math", "lstm:kernel=loop"):
        model = build_model(Spec.parse("architecture", name, catalog), ("a", "b"))
        state_sizes = {int(length): size for length, size in measured_state(model, (16, 64)).items()}
        growths[name.partition(":")[0]] = (Growth.of(training_operations(model, (16, 64))), Growth.of(state_sizes))
    assert all(growth.slope > 0 for growth in growths["transformer"])
    assert not any(growth.slope for growth in growths["lstm"])


def test_lengths_beyond_the_maximum_length_are_left_out() -> None:
    model = OneLayer(nn.ReLU())
    model.reach = 8
    assert list(training_operations(model, (4, 16))) == [4]
