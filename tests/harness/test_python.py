"""The module ``lengthwise``: results, trained models and plots agree with the records and with the harness's scores."""

from pathlib import Path

import pytest
import torch
from matplotlib.colors import to_hex

import lengthwise
from harness.report.style import HUES
from lengthwise import UserError

SETTINGS = {"train_lengths": "1:4", "test_lengths": "6,8", "samples": 32, "model": {"width": 16, "depth": 1}}
TASKS = ["parity", "copy:alphabet=2", "cycle_navigation"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python") / "run"
    lengthwise.train("lstm", TASKS, output=folder, steps=60, seeds=1, learning_rates=[1e-2], **SETTINGS)
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_answers_in_symbols_are_those_that_the_harness_scored(run: Path, task: str) -> None:
    cells, scores = lengthwise.load(run)
    cell = cells.cell[cells.task == task].item()
    model = lengthwise.load_model(run, cell[:10])
    assert not model.module.training
    row = scores[(scores.cell == cell) & (scores.length == 2)].iloc[0]
    questions = set(model.questions(2, 400))
    assert len(questions) == row.n
    right = [model.predict(question) == model.solve(question) for question in sorted(questions)]
    assert sum(right) / len(right) == pytest.approx(row.exact)


def test_a_second_call_trains_nothing_and_gives_the_same_frames(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.glob("cells/*/*")}
    again = lengthwise.train("lstm", TASKS, output=run, steps=60, seeds=1, learning_rates=[1e-2], **SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in run.glob("cells/*/*")} == before
    assert again.scores.equals(lengthwise.load(run).scores)
    assert again.cells.reported.all()
    assert set(again.scores.task) == set(TASKS)


def test_plots_show_the_medians(run: Path) -> None:
    cells, scores = lengthwise.load(run)
    ax = lengthwise.plot_lengths(scores, "parity")
    shown = scores[scores.task == "parity"].sort_values("length")
    assert ax.lines[0].get_ydata() == pytest.approx(shown.exact.to_numpy())
    assert to_hex(ax.lines[0].get_color()) == HUES["recurrent"]
    assert len(lengthwise.plot_losses(cells, "parity").lines[0].get_xdata()) > 2
    assert [text.get_text() for text in lengthwise.plot_matrix(scores).get_xticklabels()] == TASKS
    with pytest.raises(UserError, match="has 3 tasks; choose one"):
        lengthwise.plot_lengths(scores)


def test_errors_name_what_is_allowed(run: Path) -> None:
    for call, words in [
        (lambda: lengthwise.train("lstm", "parity", stpes=3), "no setting 'stpes'; did you mean steps?"),
        (lambda: lengthwise.train("lstmm", "parity"), "did you mean lstm?"),
        (lambda: lengthwise.load(run / "nowhere"), "holds no run"),
        (lambda: lengthwise.load_model(run, "nothing"), "there is none"),
        (lambda: lengthwise.load_model(run, ""), "3 cells begin with it"),
        (lambda: lengthwise.load_model(run, lengthwise.load(run).cells.cell[0], step=7), "choose from 60"),
        (lambda: lengthwise.load_model(run, lengthwise.load(run).cells.cell[0]).predict("1 0 2"), "symbol '2'"),
    ]:
        with pytest.raises(UserError, match=words.replace("?", r"\?")):
            call()


def test_a_question_can_be_written_without_spaces(run: Path) -> None:
    model = lengthwise.load_model(run, lengthwise.load(run).cells.cell[0])
    assert torch.equal(model.batch("1011").source, model.batch(["1", "0", "1", "1"]).source)
