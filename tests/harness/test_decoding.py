"""Benchmark of greedy decoding: measured costs, and the figure with its names."""

from pathlib import Path

import numpy as np
import pytest

from harness.bench.decode import DecodingCost, measure_decoding, predicted_seconds
from harness.bench.plot_decoding import color_of, draw_decoding, spread
from harness.registry.catalog import Catalog
from harness.report.figures import CONSTANT, GROWING


def test_state_sizes_of_a_transformer_and_an_lstm() -> None:
    catalog = Catalog()
    costs = {name: measure_decoding(name, catalog, lengths=(4, 12)) for name in ("transformer", "lstm")}
    assert [cost.length for cost in costs["lstm"]] == [4, 12]
    assert all(cost.seconds > 0 and cost.first > 0 for points in costs.values() for cost in points)
    assert color_of(costs["transformer"]) == GROWING
    assert color_of(costs["lstm"]) == CONSTANT
    first, last = costs["transformer"]
    assert last.bytes == 3 * first.bytes


def test_a_length_is_left_out_if_shorter_ones_predict_too_many_seconds() -> None:
    assert len(measure_decoding("lstm", Catalog(), lengths=(4, 8, 16), limit=0.0)) == 1
    short, middle = DecodingCost(64, 1.0, 1e-3, 1), DecodingCost(128, 4.0, 1e-3, 1)
    assert predicted_seconds([], 64) == 0.0
    assert predicted_seconds([short], 128) == 2.0
    assert predicted_seconds([short, middle], 256) == pytest.approx(16.0)
    assert predicted_seconds([middle, DecodingCost(256, 4.0, 1e-3, 1)], 512) == pytest.approx(8.0)


def test_a_model_that_cannot_be_stepped_is_not_measured() -> None:
    assert measure_decoding("transformer:places=randomized", Catalog(), lengths=(4,)) == []


@pytest.mark.parametrize("wanted", [[0.5] * 5, [0.0, 0.01, 0.9], [0.99, 1.0, 1.0], [0.1, 0.4, 0.8]])
def test_names_do_not_overlap(wanted: list[float]) -> None:
    positions = spread(wanted, 0.1)
    assert np.diff(positions).min() >= 0.1 - 1e-9
    assert positions.min() >= -1e-9
    assert positions.max() <= 1 + 1e-9
    if np.diff(wanted).min() > 0.1:
        assert positions.tolist() == pytest.approx(wanted)


def test_the_figure_shows_only_measured_architectures(tmp_path: Path) -> None:
    costs = {
        "lstm": [DecodingCost(64, 1e-2, 1e-3, 100), DecodingCost(256, 1e-2, 1e-3, 100)],
        "encoder": [],
        "transformer": [DecodingCost(64, 1e-2, 1e-3, 9)],
    }
    file = draw_decoding(costs, tmp_path / "decode.png")
    assert file.stat().st_size > 1000
    assert "lstm" in file.with_suffix(".svg").read_text()
    assert "encoder" not in file.with_suffix(".svg").read_text()
