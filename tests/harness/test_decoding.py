"""What decoding costs is walked token by token, and drawn with every name in its place."""

from pathlib import Path

import numpy as np
import pytest

from harness.bench.decode import Decode, decode_costs
from harness.bench.plot_decoding import draw_decoding, kind_of, spread
from harness.registry.catalog import Catalog
from harness.report.figures import CONSTANT, GROWING


def test_states_are_measured_where_they_are() -> None:
    catalog = Catalog()
    grown = {name: decode_costs(name, catalog, lengths=(4, 12)) for name in ("transformer", "lstm")}
    assert [each.length for each in grown["lstm"]] == [4, 12]
    assert all(each.seconds > 0 for of in grown.values() for each in of)
    assert kind_of(grown["transformer"]) == GROWING
    assert kind_of(grown["lstm"]) == CONSTANT
    first, last = grown["transformer"]
    assert last.bytes == 3 * first.bytes


def test_what_cannot_step_costs_nothing() -> None:
    assert decode_costs("transformer:places=randomized", Catalog(), lengths=(4,)) == []


@pytest.mark.parametrize("wanted", [[0.5] * 5, [0.0, 0.01, 0.9], [0.99, 1.0, 1.0], [0.1, 0.4, 0.8]])
def test_names_do_not_touch(wanted: list[float]) -> None:
    places = spread(wanted, 0.1)
    assert np.diff(places).min() >= 0.1 - 1e-9
    assert places.min() >= -1e-9
    assert places.max() <= 1 + 1e-9
    if np.diff(wanted).min() > 0.1:
        assert places.tolist() == pytest.approx(wanted)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    costs = {
        "lstm": [Decode(64, 1e-3, 100), Decode(256, 1e-3, 100)],
        "encoder": [],
        "transformer": [Decode(64, 1e-3, 9)],
    }
    drawn = draw_decoding(costs, tmp_path / "decode.png")
    assert drawn.stat().st_size > 1000
    assert "lstm" in drawn.with_suffix(".svg").read_text()
    assert "encoder" not in drawn.with_suffix(".svg").read_text()
