"""Models with a ``fit`` of their own are trained, kept, evaluated and checked like any other, without gradients."""

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

PLUGIN = '''"""What was answered most."""
import torch
from torch import nn
from architectures.base import SequenceModel

class Plugin(SequenceModel):
    """The same answer everywhere."""

    def __init__(self, symbols):
        super().__init__(symbols)
        self.counts = nn.Parameter(torch.zeros(len(symbols)), requires_grad=False)

    def forward(self, source, prefix):
        fed = source if prefix is None else prefix
        return (1 + self.counts).log().expand(*fed.shape, -1)

    def fit(self, batches):
        for source, prefix, target in batches:
            FIT
'''


def cells(seeds: tuple[int, ...], recipe: Recipe = RECIPE) -> tuple[Cell, ...]:
    return tuple(Cell(NGRAM, TASK, recipe, 1e-3, seed) for seed in seeds)


def build() -> SequenceModel:
    return build_model(NGRAM, PRESENTATION.symbols)


def trainer(seeds: tuple[int, ...], recipe: Recipe = RECIPE) -> Trainer:
    population = Population([build() for _ in seeds])
    return Trainer(population, Group(cells(seeds, recipe)), PRESENTATION, lambda step, loss: None)


def test_a_fit_of_its_own_is_a_fact_of_the_class() -> None:
    lstm = build_model(Spec.parse("architecture", "lstm:width=8", CATALOG), PRESENTATION.symbols)
    assert build().is_gradient_free()
    assert not lstm.is_gradient_free()
    group = Group((Cell(Spec.parse("architecture", "lstm", CATALOG), TASK, RECIPE, 1e-3, 0),))
    assert isinstance(Trainer(Population([lstm]), group, PRESENTATION, lambda s, loss: None).optimizer, AdamW)
    assert isinstance(trainer((0,)).optimizer, GradientFree)


@pytest.mark.parametrize("seeds", [(0,), (3, 5, 7)])
def test_each_model_is_fitted_on_the_batches_of_its_seed(seeds: tuple[int, ...]) -> None:
    made = trainer(seeds)
    done = made.run()
    for index, seed in enumerate(seeds):
        batches = trainer((seed,)).batches
        expected = build()
        expected.fit([batches(step) for step in range(RECIPE.steps)])
        kept = done.models[index].checkpoints[RECIPE.steps]
        assert kept.keys() == expected.state_dict().keys()
        assert all(torch.equal(kept[name], part) for name, part in expected.state_dict().items())
        assert done.models[index].steps_used == RECIPE.steps
        assert not done.models[index].failure


def test_a_step_is_asked_before_it_is_told() -> None:
    made = trainer((0,))
    model = build()
    for step in range(4):
        batch = made.batches(step)
        known = Population([model]).losses(batch)
        made.step()
        assert float(made.losses[step, 0]) == pytest.approx(float(known), rel=1e-6)
        model.fit([batch])


def test_the_record_is_that_of_any_model() -> None:
    done = trainer((0, 1)).run()
    for model in done.models:
        assert [point["step"] for point in model.curve if "validation_exact" in point] == [4, 8, 12]
        assert model.curve[-1]["loss"] < model.curve[0]["loss"]
        half, whole = (model.checkpoints[step]["counts.0"] for step in (6, 12))
        assert 0 < half.sum() < whole.sum()


def test_a_frozen_model_is_not_fitted_further() -> None:
    made = trainer((0, 1))
    for _ in range(3):
        made.step()
    before = made.population.weights(0)
    made.optimizer.freeze(torch.tensor([True, False]))
    other = made.population.weights(1)
    made.step()
    assert all(torch.equal(part, before[name]) for name, part in made.population.weights(0).items())
    assert not torch.equal(made.population.weights(1)["counts.0"], other["counts.0"])
    assert made.optimizer.lived.tolist() == [3, 4]


def test_the_worker_trains_keeps_and_evaluates_it(tmp_path: Path) -> None:
    variant = Variant("", TASK, (2, 6))
    heard = []
    run_job(Job(cells((0, 1)), (variant,), 32, tmp_path), 0, heard.append)
    assert [event.kind for event in heard].count("cell") == 2
    for cell in cells((0, 1)):
        record, folder = RunFolder(tmp_path).cell(cell.id).training, RunFolder(tmp_path)
        assert record is not None
        assert record.parameters == sum(p.numel() for p in build().parameters())
        assert record.state_bytes == {"16": 8, "64": 8, "256": 8}
        found = [each for each in folder.cell(cell.id).evaluations if each.step == RECIPE.steps]
        assert [(each.length, each.status, each.rows) for each in found] == [(2, "ok", 32), (6, "ok", 32)]
        kept = load([build()], [folder.weights(cell.id, RECIPE.steps)], "cpu").model
        batches = trainer((cell.seed,)).batches
        assert int(kept.counts[0].sum()) == sum(int((batches(s).target >= 0).sum()) for s in range(RECIPE.steps))


def checked(folder: Path, fit: str, check: str) -> str:
    """Return what a check says of a plug-in with this ``fit``; empty if all is well."""
    (folder / "mine.py").write_text(PLUGIN.replace("FIT", fit))
    catalog = Catalog((folder / "mine.py",))
    made = subject_of(Spec.parse("architecture", "mine", catalog))
    result = run_check(check, ARCHITECTURE_CHECKS[check], made)
    return result.problem


COUNT = "self.counts += torch.bincount(target[target >= 0], minlength=len(self.counts))"


@pytest.mark.parametrize("check", ["builds", "repeatable", "gradients", "population", "divergence", "overfits"])
def test_the_checks_know_of_it(tmp_path: Path, check: str) -> None:
    assert not checked(tmp_path, COUNT, check)


@pytest.mark.parametrize(
    ("fit", "check", "said"),
    [
        ("pass", "gradients", "fit left counts as it was"),
        ("self.counts = nn.Parameter(self.counts + 1, requires_grad=False)", "gradients", "not changed in place"),
        ("self.counts[0] += 1", "overfits", "before it is fitted"),
        (COUNT, "reads", "do not depend on a source of one token"),
    ],
)
def test_the_checks_catch_what_is_wrong(tmp_path: Path, fit: str, check: str, said: str) -> None:
    assert said in checked(tmp_path, fit, check)


def test_parameters_without_gradient_are_held_like_others() -> None:
    model = build()
    assert not any(p.requires_grad for p in model.parameters())
    assert isinstance(next(model.parameters()), nn.Parameter)
    assert Population([model]).values.shape == (1, sum(p.numel() for p in model.parameters()))
