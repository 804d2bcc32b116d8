"""The pictures: what is drawn where, in whose colour, and the same every time."""

from pathlib import Path

import matplotlib.collections
import numpy as np
import pytest
from factories import made_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figures import Gallery, picture, save
from harness.report.length_curves import curves, dodges
from harness.report.results import View
from harness.report.style import COLORS, MARKERS, PAPER, looks
from harness.report.write import galleries


@pytest.fixture(scope="module")
def view() -> View:
    return View.of(*made_run())


def drawn(gallery: Gallery, title: str) -> Axes:
    ax = Figure().add_subplot()
    next(panel for panel in gallery.panels if panel.title == title).draw(ax)
    return ax


def test_a_look_is_one_architecture_s_everywhere(view: View) -> None:
    names = [f"name {n}" for n in range(len(COLORS) * len(MARKERS))]
    assert len({(look.color, look.marker) for look in looks(names).values()}) == len(names)
    assert looks(names[:3]) == dict(list(looks(names).items())[:3])
    own = View.of(*made_run(("mamba",), ("parity",), seeds=1)[:2], {"catalog_order": view.meta["catalog_order"]})
    assert own.looks["mamba"] == view.looks["mamba"]


def test_ten_neighbours_differ_for_colour_blind_readers() -> None:
    def seen(color: str) -> np.ndarray:  # deuteranopia, Vienot et al. 1999, on linear light
        light = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]) ** 2.2
        return np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]) @ light

    for place, color in enumerate(COLORS):
        for other in COLORS[:place]:
            assert np.abs(seen(color) - seen(other)).max() > 0.02, (color, other)


def test_training_range_is_shaded_and_chance_is_drawn(view: View) -> None:
    ax = drawn(curves(view, "exact"), "parity")
    shade = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert shade.x1 == pytest.approx(20)
    assert ax.get_xscale() == "log"
    chance = next(line for line in ax.lines if line.get_linestyle() == ":")
    assert set(chance.get_ydata()) == {0.5}


def test_seeds_that_did_not_fit_are_hollow_and_their_line_dashed(view: View) -> None:
    ax = drawn(curves(view, "exact"), "parity")
    for name in view.architectures:
        own = [line for line in ax.lines if line.get_color() == view.looks[name].color]
        fits = view.entry(name, view.main[0]).fits
        assert {line.get_linestyle() for line in own if line.get_linestyle() != "None"} == {"-" if fits else "--"}
        assert any(line.get_markerfacecolor() == PAPER for line in own) == (not fits)


def test_points_are_the_seeds_and_lines_their_medians(view: View) -> None:
    rows = view.seeds[(view.seeds.task == "parity") & (view.seeds.architecture == "lstm")]
    ax = drawn(curves(view, "exact"), "parity")
    own = [line for line in ax.lines if line.get_color() == view.looks["lstm"].color]
    points = sorted(value for line in own if line.get_linestyle() == "None" for value in line.get_ydata())
    assert points == sorted(rows.exact)
    line = next(line for line in own if line.get_linestyle() == "-")
    assert list(line.get_ydata()) == list(rows.groupby("length").exact.median())


@pytest.mark.parametrize(("seeds", "bands"), [(4, 0), (6, 1)])
def test_bands_only_from_five_seeds_on(seeds: int, bands: int) -> None:
    few = View.of(*made_run(("lstm",), ("parity",), seeds, rates=(0.001,), steps=(1000,)))
    ax = drawn(curves(few, "exact"), "parity")
    assert sum(isinstance(each, matplotlib.collections.PolyCollection) for each in ax.collections) == bands


def test_token_accuracy_is_drawn_where_it_says_more(view: View) -> None:
    assert [panel.title for panel in galleries(view)["length-token"].panels] == ["reverse", "addition@long"]


def test_checkpoints_are_drawn_only_where_there_are_several(view: View) -> None:
    assert "checkpoints" in galleries(view)
    assert "checkpoints" not in galleries(View.of(*made_run(("lstm",), ("parity",), 1, steps=(1000,))))


def test_pictures_are_the_same_every_time(view: View, tmp_path: Path) -> None:
    panel = curves(view, "exact").panels[0]
    assert picture(panel, "name") == picture(panel, "name")
    loss = galleries(view)["inspections"]
    files = [tmp_path / name for name in ("first.svg", "second.svg")]
    for file in files:
        save(loss, view.looks, file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert b"dc:date" not in first


@pytest.mark.parametrize("lengths", [(10,), (40,), (20, 25), (5, 320)])
def test_any_grid_of_lengths_can_be_drawn(lengths: tuple[int, ...]) -> None:
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity",), 1, rates=(0.001,), steps=(1000,))
    few = View.of(cells, scores[scores.length.isin(lengths)], meta)
    assert picture(curves(few, "exact").panels[0], "name").startswith("<svg")


def test_dodging_stays_small() -> None:
    assert max(map(abs, dodges(30))) <= 0.021
    assert dodges(1) == [0.0]
