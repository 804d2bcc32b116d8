"""Evaluation from a carried state equals steps from the state that a model has after the text."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from command_line import PARITY, SMALL, call, user_error

import lengthwise
from harness.data.presentation import Presentation
from harness.evaluation.carried import CarriedPresentation, can_carry, with_text
from harness.evaluation.scoring import distinct_set
from harness.models.population import build_seeded
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE

CPU, ROWS, CARRIED = torch.device("cpu"), 5, 11
CASES = [
    ("gru:width=8", "reverse:alphabet=2", False),
    ("transformer:width=8", "joint_recall", True),
    ("kda:width=8,heads=2", "many_stacks", True),
]


@pytest.mark.parametrize(("architecture", "task", "begin"), CASES, ids=[case[1] for case in CASES])
def test_reading_text_first_equals_steps_from_its_state(architecture: str, task: str, begin: bool) -> None:
    catalog = Catalog()
    presentation = Presentation(build_task(Spec.parse("task", task, catalog)), begin=begin)
    model = build_seeded(Spec.parse("architecture", architecture, catalog), presentation.symbols, 0).eval()
    assert can_carry(model)
    questions = distinct_set(presentation, task, 3, ROWS, CPU)
    batch, source = presentation(questions), with_text(presentation, task, questions, CARRIED, 4)
    carried = CarriedPresentation.behind(presentation, CARRIED)(source)
    with torch.no_grad():
        logits = model(carried.source, carried.prefix)
        state, steps = model.start(source[:, :CARRIED]), []
        for token in torch.cat((batch.source, batch.source[:, :0] if batch.prefix is None else batch.prefix), 1).unbind(
            1
        ):
            step, state = model.step(token, state)
            steps.append(step)
    columns = batch.target.shape[1]
    torch.testing.assert_close(logits[:, -columns:], torch.stack(steps, 1)[:, -columns:], atol=1e-4, rtol=1e-4)
    assert torch.equal(carried.target[:, -columns:], batch.target)
    assert (carried.target[:, :-columns] == IGNORE).all()
    assert len(source[:, :CARRIED].unique(dim=0)) == ROWS  # each question has other text before it


def test_evaluate_from_a_carried_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("run", "-a", "lstm:width=8", "-a", "bilstm:width=8", *PARITY, *SMALL, "--output", "run").exit_code == 0
    evaluated = call("evaluate", "run", "--test-lengths", "5", "--carried", "4,8", "--workers", "1")
    assert evaluated.exit_code == 0
    assert "bilstm" in next(line for line in evaluated.stderr.splitlines() if "no state to carry" in line)
    table = Path("run/tables/carried.csv").read_text().splitlines()
    scores = lengthwise.load("run").scores
    assert set(scores.carried) == {0, 4, 8} == set(pd.read_csv("run/tables/scores.csv").carried)
    assert [line.split(",")[-3] for line in table[1:]] == ["0.0", "4.0", "8.0"]
    assert "carried" not in Path("run/tables/solved-to.md").read_text()
    assert call("run", "-a", "bilstm:width=8", *PARITY, *SMALL, "--output", "other").exit_code == 0
    assert "bilstm" in user_error("evaluate", "other", "--test-lengths", "5", "--carried", "4")
    assert "carried tokens" in user_error("evaluate", "run", "--test-lengths", "5", "--carried", "none")
