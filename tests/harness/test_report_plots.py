"""The plots: their lines, points and colours, and that they are the same every time."""

from pathlib import Path

import matplotlib.collections
import numpy as np
import pytest
from factories import made_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.schema import ReportMeta
from harness.report.figures import PanelGroup, combined_figure, save
from harness.report.length_curves import curves, dodges
from harness.report.results import Results
from harness.report.style import COLORS, MARKERS, PAPER, plot_styles
from harness.report.write import panel_groups, write_figures


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.of(*made_run())


def draw_panel(panel_group: PanelGroup, title: str) -> Axes:
    ax = Figure().add_subplot()
    next(panel for panel in panel_group.panels if panel.title == title).draw(ax)
    return ax


def test_each_architecture_has_one_plot_style_everywhere(results: Results) -> None:
    names = [f"name {n}" for n in range(len(COLORS) * len(MARKERS))]
    assert len({(style.color, style.marker) for style in plot_styles(names).values()}) == len(names)
    assert plot_styles(names[:3]) == dict(list(plot_styles(names).items())[:3])
    cells, scores, _ = made_run(("mamba",), ("parity",), seeds=1)
    mamba = Results.of(cells, scores, ReportMeta(catalog_order=results.meta.catalog_order))
    assert mamba.plot_styles["mamba"] == results.plot_styles["mamba"]


def test_all_colours_differ_for_colour_blind_readers() -> None:
    def deuteranopic(color: str) -> np.ndarray:  # deuteranopia, Vienot et al. 1999, on linear light
        light = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]) ** 2.2
        return np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]) @ light

    for place, color in enumerate(COLORS):
        for other in COLORS[:place]:
            assert np.abs(deuteranopic(color) - deuteranopic(other)).max() > 0.02, (color, other)


def test_training_range_is_shaded_and_chance_is_drawn(results: Results) -> None:
    ax = draw_panel(curves(results, "exact"), "parity")
    shade = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert shade.x1 == pytest.approx(20)
    assert ax.get_xscale() == "log"
    chance = next(line for line in ax.lines if line.get_linestyle() == ":")
    assert set(chance.get_ydata()) == {0.5}


def test_seeds_that_did_not_fit_are_hollow_and_their_line_dashed(results: Results) -> None:
    ax = draw_panel(curves(results, "exact"), "parity")
    for name in results.architectures:
        lines = [line for line in ax.lines if line.get_color() == results.plot_styles[name].color]
        fits = results.table_cell(name, results.main_results[0]).fits
        assert {line.get_linestyle() for line in lines if line.get_linestyle() != "None"} == {"-" if fits else "--"}
        assert any(line.get_markerfacecolor() == PAPER for line in lines) == (not fits)


def test_points_are_the_seeds_and_lines_their_medians(results: Results) -> None:
    rows = results.seeds[(results.seeds.task == "parity") & (results.seeds.architecture == "lstm")]
    ax = draw_panel(curves(results, "exact"), "parity")
    lines = [line for line in ax.lines if line.get_color() == results.plot_styles["lstm"].color]
    points = sorted(value for line in lines if line.get_linestyle() == "None" for value in line.get_ydata())
    assert points == sorted(rows.exact)
    line = next(line for line in lines if line.get_linestyle() == "-")
    assert list(line.get_ydata()) == list(rows.groupby("length").exact.median())


@pytest.mark.parametrize(("seeds", "bands"), [(4, 0), (6, 1)])
def test_bands_only_from_five_seeds_on(seeds: int, bands: int) -> None:
    few = Results.of(*made_run(("lstm",), ("parity",), seeds, rates=(0.001,), steps=(1000,)))
    ax = draw_panel(curves(few, "exact"), "parity")
    assert sum(isinstance(item, matplotlib.collections.PolyCollection) for item in ax.collections) == bands


def test_token_accuracy_is_drawn_where_it_says_more(results: Results) -> None:
    assert [panel.title for panel in panel_groups(results)["length-token"].panels] == ["reverse", "addition@long"]


def test_checkpoints_are_drawn_only_where_there_are_several(results: Results) -> None:
    assert "checkpoints" in panel_groups(results)
    assert "checkpoints" not in panel_groups(Results.of(*made_run(("lstm",), ("parity",), 1, steps=(1000,))))


def test_pictures_are_the_same_every_time(results: Results, tmp_path: Path) -> None:
    maps = panel_groups(results)["inspections"]
    files = [tmp_path / name for name in ("first.svg", "second.svg")]
    for file in files:
        save(maps, results.plot_styles, file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert b"dc:date" not in first


@pytest.mark.parametrize("lengths", [(10,), (40,), (20, 25), (5, 320)])
def test_any_grid_of_lengths_can_be_drawn(lengths: tuple[int, ...]) -> None:
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity",), 1, rates=(0.001,), steps=(1000,))
    few = Results.of(cells, scores[scores.length.isin(lengths)], meta)
    assert combined_figure(curves(few, "exact"), few.plot_styles).axes


def test_dodging_stays_small() -> None:
    assert max(map(abs, dodges(30))) <= 0.021
    assert dodges(1) == [0.0]


def test_losses_of_an_architecture_are_one_collection_with_its_marker_at_every_end(results: Results) -> None:
    ax = draw_panel(panel_groups(results)["loss"], "parity")
    cells = results.selected[(results.selected.task == "parity") & (results.selected.status == "done")]
    assert [len(lines.get_segments()) for lines in ax.collections] == [3, 3, 3, 2, 3]
    ends = [curve[-1]["loss"] for curve in cells.curve[cells.architecture == "lstm"]]
    assert list(ax.lines[0].get_ydata()) == ends
    low, high = ax.get_ylim()
    assert low < cells.curve.map(lambda curve: curve[-1]["loss"]).min() < high


def test_losses_that_a_logarithm_cannot_show_are_left_out() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 1, rates=(0.001,), steps=(1000,))
    cells.at[0, "curve"] = [{"step": 1, "loss": None}, {"step": 2, "loss": 0.0}]
    results = Results.of(cells, scores, meta)
    assert combined_figure(panel_groups(results)["loss"], results.plot_styles).axes


def test_every_group_is_written_in_every_format(results: Results, tmp_path: Path) -> None:
    write_figures(results, tmp_path)
    names = set(panel_groups(results))
    for ending, start in {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}.items():
        files = list((tmp_path / "plots").glob(f"*{ending}"))
        assert {file.stem for file in files} == names
        assert all(file.read_bytes().startswith(start) for file in files)
    assert b"/FontType 3" not in (tmp_path / "plots" / "length-exact.pdf").read_bytes()
