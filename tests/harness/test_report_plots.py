"""The plots: their lines, points and colours, and that they are the same every time."""

import re
from dataclasses import replace
from math import inf
from pathlib import Path

import matplotlib.collections
import numpy as np
import pytest
from factories import MANY, made_run
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from harness.errors import UserError
from harness.report.figure_format import FigureFormat, figure_format
from harness.report.figures import PanelGroup, combined_figure, layout, pages, save
from harness.report.length_curves import curves, dodges
from harness.report.recipe_plots import stage_curves
from harness.report.results import Results
from harness.report.style import HUES, MARKERS, PALE, PAPER, SPARE, plot_styles, rc
from harness.report.write import panel_groups, write_figures


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.of(*made_run())


FORMAT = FigureFormat(height=inf)


def draw_panel(panel_group: PanelGroup, title: str) -> Axes:
    ax = Figure().add_subplot()
    next(panel for panel in panel_group.panels if panel.title == title).draw(ax)
    return ax


def test_each_architecture_has_its_own_style_and_each_family_its_colour() -> None:
    families = {f"{family} {n}": family for n in range(len(MARKERS)) for family in [*HUES, "mine", "yours"]}
    styles = plot_styles(families)
    assert len({(style.color, style.marker) for style in styles.values()}) == len(families)
    assert {styles[f"{family} 0"].color for family in HUES} == set(HUES.values())
    assert plot_styles(dict(list(families.items())[:20])) == dict(list(styles.items())[:20])


def test_all_colours_differ_for_colour_blind_readers() -> None:
    def deuteranopic(color: str) -> np.ndarray:  # deuteranopia, Vienot et al. 1999, on linear light
        light = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]) ** 2.2
        return np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]) @ light

    colors = [*HUES.values(), *SPARE]
    for place, color in enumerate(colors):
        for other in colors[:place]:
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
    assert [panel.title for panel in panel_groups(results, FORMAT)["length-token"].panels] == [
        "reverse",
        "addition@long",
    ]


def test_checkpoints_are_drawn_only_where_there_are_several(results: Results) -> None:
    assert "checkpoints" in panel_groups(results, FORMAT)
    assert "checkpoints" not in panel_groups(Results.of(*made_run(("lstm",), ("parity",), 1, steps=(1000,))), FORMAT)


def test_pictures_are_the_same_every_time(results: Results, tmp_path: Path) -> None:
    maps = panel_groups(results, FORMAT)["inspections"]
    files = [tmp_path / name for name in ("first.svg", "second.svg")]
    for file in files:
        save(maps, results.plot_styles, FORMAT, file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert b"dc:date" not in first


@pytest.mark.parametrize("lengths", [(10,), (40,), (20, 25), (5, 320)])
def test_any_grid_of_lengths_can_be_drawn(lengths: tuple[int, ...]) -> None:
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity",), 1, rates=(0.001,), steps=(1000,))
    few = Results.of(cells, scores[scores.length.isin(lengths)], meta)
    assert combined_figure(curves(few, "exact"), few.plot_styles, FORMAT).axes


def test_dodging_stays_small() -> None:
    assert max(map(abs, dodges(30))) <= 0.021
    assert dodges(1) == [0.0]


def test_losses_of_an_architecture_are_one_collection_with_its_marker_at_every_end(results: Results) -> None:
    ax = draw_panel(panel_groups(results, FORMAT)["loss"], "parity")
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
    assert combined_figure(panel_groups(results, FORMAT)["loss"], results.plot_styles, FORMAT).axes


def test_every_group_is_written_in_every_format(tmp_path: Path) -> None:
    results = Results.of(*made_run(("lstm",), ("parity",), 1, rates=(0.001,), steps=(1000,)))
    write_figures(results, tmp_path, FORMAT)
    names = set(panel_groups(results, FORMAT))
    for ending, start in {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".txt": b""}.items():
        files = list((tmp_path / "plots").glob(f"*{ending}"))
        assert {file.stem for file in files} == names
        assert all(file.read_bytes().startswith(start) for file in files)
    assert b"/FontType 3" not in (tmp_path / "plots" / "length-exact.pdf").read_bytes()
    caption = (tmp_path / "plots" / "length-exact.txt").read_text(encoding="utf-8")
    for words in ("parity: trained on 1–20, tested on 25–320", "Seeds: 1", "the learning rate that was given"):
        assert words in caption


@pytest.mark.parametrize(("style", "width", "inches"), [(None, "icml", 3.25), ("slides", None, 12.0)])
def test_figures_have_their_width_and_no_text_below_seven_points(style: str, width: str, inches: float) -> None:
    chosen = figure_format(style, width)
    results = Results.of(*made_run(MANY, ("parity",), 1, rates=(0.001,), steps=(1000,)))
    for group in panel_groups(results, chosen).values():
        parts = pages(group, chosen)
        with rc_context(rc(chosen.scale)):
            figure = combined_figure(parts[0], results.plot_styles, chosen)
            sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert figure.get_figwidth() == inches
        assert figure.get_figheight() <= chosen.height or layout(parts[0], chosen).rows == 1
        assert min(sizes) >= 7 * chosen.scale - 0.01, group.name


def test_many_architectures_are_drawn_by_family_with_the_others_in_grey() -> None:
    cells, scores, meta = made_run(MANY, ("parity",), 1, rates=(0.001,), steps=(1000,))
    cells["family"] = [
        "linear" if name.endswith(("0:width=64", "1:width=64")) else "memory" for name in cells.architecture
    ]
    results = Results.of(cells, scores, meta)
    group = curves(results, "exact")
    assert [panel.title for panel in group.panels] == ["parity, linear", "parity, memory"]
    ax = draw_panel(group, "parity, linear")
    pale = [line for line in ax.lines if line.get_color() == PALE]
    assert len(pale) == len(set(cells.architecture[cells.family == "memory"]))
    assert [len(part.legend) for part in pages(group, FORMAT)] == [len(MANY) - len(pale), len(pale)]


@pytest.mark.parametrize(
    ("style", "width", "words"),
    [
        ("papr", None, "did you mean paper?"),
        (None, "nips", "did you mean neurips?"),
        (None, "0.5", "from 2 to 40 inches"),
    ],
)
def test_unknown_formats_are_one_line(style: str | None, width: str | None, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        figure_format(style, width)


def test_a_panel_of_stages_has_a_line_for_each_checkpoint() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",))
    results = Results.of(cells, scores, replace(meta, recipes={"parity": {"stages": "supervised + dpo"}}))
    [panel] = stage_curves(results).panels
    ax = Figure().add_subplot()
    panel.draw(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["250", "500", "1k"]
    medians = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata())]
    assert np.mean(medians[0]) < np.mean(medians[-1])
