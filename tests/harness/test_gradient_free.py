"""Models that override ``fit`` are trained without gradients, and evaluated and checked like all others."""

from pathlib import Path

import pytest
import torch
from torch import nn

from architectures.base import SequenceModel
from harness.check import ARCHITECTURE_CHECKS, run_check, subject_of
from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.execution.job import Job
from harness.execution.plan import Variant
from harness.execution.worker import run_job
from harness.models.population import Population, load
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.storage.folder import RunFolder
from harness.training.gradient_free import GradientFree
from harness.training.optimizer import AdamW
from harness.training.trainer import Trainer

CATALOG = Catalog()
RECIPE = Recipe(steps=12, batch_size=8, train_lengths="1:4", checkpoints=2, validations=3)
NGRAM, TASK = Spec.parse("architecture", "ngram:order=2", CATALOG), Spec.parse("task", "reverse:alphabet=2", CATALOG)
PRESENTATION = Presentation(build_task(TASK))

PLUGIN = '''"""The most frequent answer."""
import torch
from torch import nn
from architectures.base import SequenceModel

class Plugin(SequenceModel):
    """Gives the same answer everywhere."""

    def __init__(self, symbols):
        super().__init__(symbols)
        self.counts = nn.Parameter(torch.zeros(len(symbols)), requires_grad=False)

    def forward(self, source, prefix):
        tokens = source if prefix is None else prefix
        return (1 + self.counts).log().expand(*tokens.shape, -1)

    def fit(self, batches):
        for source, prefix, target in batches:
            FIT
'''


def cells(seeds: tuple[int, ...], recipe: Recipe = RECIPE) -> tuple[Cell, ...]:
    return tuple(Cell(NGRAM, TASK, recipe, 1e-3, seed) for seed in seeds)


def build() -> SequenceModel:
    return build_model(NGRAM, PRESENTATION.symbols)


def make_trainer(seeds: tuple[int, ...], recipe: Recipe = RECIPE) -> Trainer:
    population = Population([build() for _ in seeds])
    return Trainer(population, Group(cells(seeds, recipe)), PRESENTATION, lambda step, loss: None)


def test_overriding_fit_selects_the_optimizer() -> None:
    lstm = build_model(Spec.parse("architecture", "lstm:width=8", CATALOG), PRESENTATION.symbols)
    assert build().is_gradient_free()
    assert not lstm.is_gradient_free()
    group = Group((Cell(Spec.parse("architecture", "lstm", CATALOG), TASK, RECIPE, 1e-3, 0),))
    assert isinstance(Trainer(Population([lstm]), group, PRESENTATION, lambda s, loss: None).optimizer, AdamW)
    assert isinstance(make_trainer((0,)).optimizer, GradientFree)


@pytest.mark.parametrize("seeds", [(0,), (3, 5, 7)])
def test_each_model_is_fitted_on_the_batches_of_its_seed(seeds: tuple[int, ...]) -> None:
    trainer = make_trainer(seeds)
    done = trainer.run()
    for index, seed in enumerate(seeds):
        batches = make_trainer((seed,)).batches
        expected = build()
        expected.fit([batches(step) for step in range(RECIPE.steps)])
        weights = done.models[index].checkpoints[RECIPE.steps]
        assert weights.keys() == expected.state_dict().keys()
        assert all(torch.equal(weights[name], part) for name, part in expected.state_dict().items())
        assert done.models[index].steps_used == RECIPE.steps
        assert not done.models[index].failure


def test_losses_are_computed_before_the_batch_is_fitted() -> None:
    trainer = make_trainer((0,))
    model = build()
    for step in range(4):
        batch = trainer.batches(step)
        expected = Population([model]).losses(batch)
        trainer.step()
        assert float(trainer.losses[step, 0]) == pytest.approx(float(expected), rel=1e-6)
        model.fit([batch])


def test_curve_and_checkpoints_are_those_of_any_model() -> None:
    done = make_trainer((0, 1)).run()
    for model in done.models:
        assert [point["step"] for point in model.curve if "validation_exact" in point] == [4, 8, 12]
        assert model.curve[-1]["loss"] < model.curve[0]["loss"]
        half, whole = (model.checkpoints[step]["counts.0"] for step in (6, 12))
        assert 0 < half.sum() < whole.sum()


def test_a_frozen_model_is_not_fitted_further() -> None:
    trainer = make_trainer((0, 1))
    for _ in range(3):
        trainer.step()
    before = trainer.population.weights(0)
    trainer.optimizer.freeze(torch.tensor([True, False]))
    other = trainer.population.weights(1)
    trainer.step()
    assert all(torch.equal(part, before[name]) for name, part in trainer.population.weights(0).items())
    assert not torch.equal(trainer.population.weights(1)["counts.0"], other["counts.0"])
    assert trainer.optimizer.lived.tolist() == [3, 4]


def test_the_worker_trains_and_evaluates_it(tmp_path: Path) -> None:
    variant = Variant("", TASK, (2, 6))
    events = []
    run_job(Job(cells((0, 1)), (variant,), 32, RunFolder(tmp_path)), 0, events.append)
    assert [event.kind for event in events].count("cell") == 2
    for cell in cells((0, 1)):
        record, folder = RunFolder(tmp_path).cell(cell.id).training, RunFolder(tmp_path)
        assert record is not None
        assert record.parameters == sum(p.numel() for p in build().parameters())
        assert record.state_bytes == {"16": 8, "64": 8, "256": 8}
        evaluations = [record for record in folder.cell(cell.id).evaluations if record.step == RECIPE.steps]
        assert [(record.length, record.status, record.rows) for record in evaluations] == [(2, "ok", 32), (6, "ok", 32)]
        loaded = load([build()], [folder.weights(cell.id, RECIPE.steps)], "cpu").model
        batches = make_trainer((cell.seed,)).batches
        assert int(loaded.counts[0].sum()) == sum(int((batches(s).target >= 0).sum()) for s in range(RECIPE.steps))


def problem(folder: Path, fit: str, check: str) -> str:
    """Return the problem that a check reports for a plug-in with this ``fit``; empty if it passes."""
    (folder / "mine.py").write_text(PLUGIN.replace("FIT", fit))
    catalog = Catalog((folder / "mine.py",))
    subject = subject_of(Spec.parse("architecture", "mine", catalog))
    result = run_check(check, ARCHITECTURE_CHECKS[check], subject)
    return result.problem


COUNT = "self.counts += torch.bincount(target[target >= 0], minlength=len(self.counts))"


@pytest.mark.parametrize("check", ["builds", "repeatable", "gradients", "population", "divergence", "overfits"])
def test_the_checks_pass(tmp_path: Path, check: str) -> None:
    assert not problem(tmp_path, COUNT, check)


@pytest.mark.parametrize(
    ("fit", "check", "message"),
    [
        ("pass", "gradients", "fit left counts as it was"),
        ("self.counts = nn.Parameter(self.counts + 1, requires_grad=False)", "gradients", "not changed in place"),
        ("self.counts[0] += 1", "overfits", "before it is fitted"),
        (COUNT, "reads", "do not depend on a source of one token"),
    ],
)
def test_the_checks_detect_mistakes(tmp_path: Path, fit: str, check: str, message: str) -> None:
    assert message in problem(tmp_path, fit, check)


def test_parameters_without_gradient_are_in_the_population() -> None:
    model = build()
    assert not any(p.requires_grad for p in model.parameters())
    assert isinstance(next(model.parameters()), nn.Parameter)
    assert Population([model]).values.shape == (1, sum(p.numel() for p in model.parameters()))
