"""Logits that are not finite are wrong answers, and a batch that asks for nothing has a loss and no divergence."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from command_line import LSTM, MIXER, SMALL, TINY, call, json_lines, user_error, write
from factories import made_run
from test_scoring import EitherWay, questions, trained
from torch import Tensor

from harness.analysis.load import frames
from harness.analysis.statistics import SolvedTo, grade_cells
from harness.check import TASK_CHECKS, run_check, subject_of
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.evaluation.scoring import NO_ANSWER, choose, decode, score
from harness.execution.plan_checks import unasked_warning
from harness.models.population import cross_entropy
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.registry.plugin_import import forget
from harness.report.results import Results
from harness.report.run_tables import problems_table
from harness.report.terminal import terminal_report
from harness.report.write import write_report
from tasks.base import IGNORE
from tasks.strings.reverse import Reverse

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("logits", "symbol"),
    [
        ([1.0, 3.0, 2.0], 1),
        ([1.0, -INF, 2.0], 2),
        ([NAN, 3.0, 2.0], NO_ANSWER),
        ([NAN, NAN, NAN], NO_ANSWER),
        ([1.0, INF, 2.0], NO_ANSWER),
        ([-INF, -INF, -INF], NO_ANSWER),
    ],
)
def test_an_answer_needs_a_distribution(logits: list[float], symbol: int) -> None:
    assert int(choose(torch.tensor(logits))) == symbol


class Broken(torch.nn.Module):
    """Replaces the logits of odd rows at one position by a value."""

    def __init__(self, model: torch.nn.Module, position: int, value: float) -> None:
        super().__init__()
        self.model, self.position, self.value = model, position, value
        self.can_step = False

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        logits = self.model(source, prefix).clone()
        logits[1::2, self.position] = self.value
        return logits


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("task", [Reverse, EitherWay])
def test_rows_with_logits_that_are_not_finite_are_wrong(
    task: type[Reverse], value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    population, presentation = trained("lstm:depth=1", task)
    source = questions(presentation, 2)
    before = score(population, presentation, source)[0]
    even = score(population, presentation, source[::2])[0]
    assert 0 < even.exact < before.exact
    monkeypatch.setattr(population, "model", Broken(population.model, 1, value))
    after = score(population, presentation, source)[0]
    assert (after.n, after.tokens, after.exact) == (before.n, before.tokens, even.exact)
    assert after.unanswered == 32
    assert after.right < before.right
    assert after.loss != after.loss


def test_logits_that_nothing_asks_for_may_have_any_value(monkeypatch: pytest.MonkeyPatch) -> None:
    class First(Reverse):
        answer = "tag"

        def solve(self, source: Tensor) -> Tensor:
            return torch.cat((source[:, :1], torch.full_like(source[:, 1:], IGNORE)), dim=1)

    population, _ = trained("lstm:depth=1", Reverse)
    presentation = Presentation(First(alphabet=2))
    source = questions(presentation, 3)
    before = score(population, presentation, source)
    monkeypatch.setattr(population, "model", Broken(population.model, 2, NAN))
    assert score(population, presentation, source) == before


def test_a_decoded_answer_ends_where_logits_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    population, presentation = trained("lstm:depth=1", Reverse)
    batch = presentation(questions(presentation, 4))
    population.train(False)
    with torch.no_grad():
        whole = decode(population, batch)
        monkeypatch.setattr(population, "model", Broken(population.model, 2, NAN))
        cut = decode(population, batch)
    assert torch.equal(cut[:, ::2], whole[:, ::2])
    assert torch.equal(cut[:, 1::2, :2], whole[:, 1::2, :2])
    assert bool((cut[:, 1::2, 2:] == NO_ANSWER).all())


@pytest.mark.usefixtures("temporary_folder")
def test_nan_at_long_lengths_is_recorded_and_reported() -> None:
    """NaN counted as symbol 0: 16 of 32 right with status ok."""
    plugin = write("late.py", MIXER.format(body="return self.inner(x) * (float('nan') if x.shape[1] > 8 else 1.0)"))
    forget(plugin)
    options = [*SMALL, "--test-lengths", "5,32", "--samples", "32", "--output", "run"]
    ran = call("run", "--plugin", plugin, "-a", "late:width=8,depth=1", "-t", "parity", *options)
    assert ran.exit_code == 0, ran.output
    assert "not finite at 32" in ran.output
    assert "§: some logits were not finite" in " ".join(ran.output.split())
    (path,) = Path("run").glob("cells/*/evaluations.jsonl")
    records = {record["length"]: record for record in json_lines(path)}
    assert (records[5]["status"], records[32]["status"]) == ("ok", "not finite")
    assert (records[32]["exact"], records[32]["right"], records[32]["loss"], records[32]["rows"]) == (0, 0, None, 32)
    assert records[32]["chance_exact"] > 0.3
    cells, scores, meta = frames([Path("run")], Catalog((plugin,)))
    assert scores[scores.length == 32].exact.tolist() == [0.0]
    page = write_report(Results.of(cells, scores, meta), Path("report")).read_text(encoding="utf-8")
    assert "logits at 32" in page  # in the table of problems
    again = call("run", "--plugin", plugin, "-a", "late:width=8,depth=1", "-t", "parity", *options)
    assert "1 cell, 1 done" in again.output


def test_not_finite_is_a_score_and_not_the_end_of_the_grid() -> None:
    rows = pd.DataFrame({"length": [10.0, 20.0, 40.0, 80.0], "in_range": [True, True, False, False], "n": 500})
    rows["status"], rows["exact"] = ["ok", "ok", "ok", "not finite"], [1.0, 1.0, 1.0, 0.2]
    rows = rows.assign(cell="a", variant="", step=1, final=True, token=rows.exact, chance_exact=0.0, chance_token=0.0)
    graded = grade_cells(rows).iloc[0]
    assert graded.solved_to == SolvedTo(40, False)
    assert (graded.ended, graded.solved, graded.reached) == ("", False, 80)
    assert graded.exact == pytest.approx(0.6)


def test_tables_mark_lengths_that_are_not_finite() -> None:
    cells, scores, meta = made_run(rates=(0.01,), steps=(1000,))
    broken = scores.cell.str.startswith("lstm|parity") & (scores.length == 320)
    scores = scores.assign(status=scores.status.mask(broken, "not finite"))
    results = Results.of(cells, scores, meta)
    parity = next(result for result in results.main_results if result.task == "parity")
    assert "§" in results.table_cell("lstm", parity).marks
    assert "§" not in results.table_cell("mamba", parity).marks
    assert 320 in parity.lengths
    problems = problems_table(results).frame
    (row,) = problems[problems.what == "not finite"].to_dict("records")
    assert (row["architecture"], row["task"], row["why"]) == ("lstm", "parity", "logits at 320")
    assert len(terminal_report(results).renderables) > 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_batch_that_asks_for_nothing_is_zero(smoothing: float) -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.full((2, 3, 4), IGNORE)
    target[1] = 2
    losses = cross_entropy(logits, target, smoothing)
    losses.sum().backward()
    assert losses.tolist()[0] == 0.0
    assert bool(losses.isfinite().all())
    assert logits.grad is not None
    assert float(logits.grad[0].abs().sum()) == 0.0
    assert float(logits.grad[1].abs().sum()) > 0.0


TASK = '''"""Copy some labels."""
import torch
from tasks.base import IGNORE, Task

class Quiet(Task):
    """Label each token with itself.

    Examples:
        a b -> a b
    """

    symbols = ("a", "b")
    answer = "tag"

    def sample(self, length, stream):
        return stream.integers(2, length)

    def solve(self, source):
        return {labels}
'''
LABELS = {
    "never": "torch.full_like(source, IGNORE)",
    "at length 3 never": "source if source.shape[1] != 3 else torch.full_like(source, IGNORE)",
    "not always at the end": "source.masked_fill((source.cumsum(1) == 0) & (torch.arange(len(source[0])) > 0), IGNORE)",
    "always": "source",
}


def task_of(labels: str) -> tuple[Path, Spec]:
    plugin = write("quiet.py", TASK.format(labels=LABELS[labels]))
    forget(plugin)
    return plugin, Spec.parse("task", "quiet", Catalog((plugin,)))


@pytest.mark.usefixtures("temporary_folder")
@pytest.mark.parametrize(("labels", "length"), [("never", 1), ("at length 3 never", 3)])
def test_a_task_that_asks_for_nothing_is_refused(labels: str, length: int) -> None:
    plugin, spec = task_of(labels)
    error = user_error("run", "--plugin", plugin, *LSTM, "-t", "quiet", *SMALL, "--output", "run")
    assert error.startswith(f"task quiet asks for nothing at training length {length} in mode tag: every target is")
    assert not Path("run").exists()
    checked = run_check("asked", TASK_CHECKS["asked"], subject_of(spec))
    assert f"a row at length {length} has no target: it is all IGNORE" in checked.problem


@pytest.mark.usefixtures("temporary_folder")
def test_a_task_that_may_draw_empty_batches_is_trained_with_a_warning() -> None:
    """The loss of such a batch was NaN, and the cell failed as diverged."""
    plugin, spec = task_of("not always at the end")
    recipe = [argument for value in ("batch_size=1", "warmup=0", "answer=readout") for argument in ("--set", value)]
    options = [*TINY, *recipe, "--steps", "60", "--workers", "1", "--output", "run"]
    ran = call("run", "--plugin", plugin, *LSTM, "-t", "quiet", *options)
    assert ran.exit_code == 0, ran.output
    assert "of 60 training batches ask for nothing" in ran.output
    assert "diverged" not in ran.output
    assert not unasked_warning(spec, Recipe(train_lengths="1:4", batch_size=64, answer="readout"))


@pytest.mark.usefixtures("temporary_folder")
def test_questions_are_not_checked_where_the_mode_does_not_apply_or_always_asks() -> None:
    _, spec = task_of("never")
    assert not unasked_warning(spec, Recipe(train_lengths="1:4", answer="generate"))
    _, spec = task_of("always")
    assert not unasked_warning(spec, Recipe(train_lengths="1:4", batch_size=1))
    _, spec = task_of("at length 3 never")
    with pytest.raises(UserError, match="at training length 3 in mode readout"):
        unasked_warning(spec, Recipe(train_lengths="1:4", answer="readout"))
