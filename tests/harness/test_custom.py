"""Optimizers, losses and schedules of the user: the same training as without the harness, identity, resume."""

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console

from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe, make_recipe
from harness.config.suite import make
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.execution.make_plan import make_plan
from harness.execution.plan import Plan
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.models.population import Population, build_seeded
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.storage.folder import RunFolder
from harness.training.custom import check_recipe, custom_fingerprints, decay_groups, factors
from harness.training.schedules import rate_factor
from harness.training.snapshot import StateError
from harness.training.trainer import Trainer
from tasks.base import IGNORE

CATALOG = Catalog()
TASK = Spec.parse("task", "reverse:alphabet=2", CATALOG)
LSTM = Spec.parse("architecture", "lstm:width=8,depth=1", CATALOG)
RECIPE = {"steps": 12, "batch_size": 4, "train_lengths": "1:4", "warmup": 3, "checkpoints": 2}
SGD = {"optimizer": "torch.optim:SGD", "optimizer_options": {"momentum": 0.9, "nesterov": True}}
CODE = """
import torch
import torch.nn.functional as F

class Signed(torch.optim.Optimizer):
    def __init__(self, params, lr, memory=True):
        super().__init__(params, {"lr": lr})
        self.memory = memory

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if not self.memory:
                    self.state[p]["unknown"] = object()
                p.sub_(group["lr"] * p.grad.sign())

class Replaces(Signed):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data - group["lr"] * p.grad

def doubled(logits, target):
    return 2 * F.cross_entropy(logits.flatten(0, 1), target.flatten())

def halves(step, steps, warmup):
    return 0.5 ** step

def negative(step, steps, warmup):
    return 1.0 - step

def constant(logits, target):
    return torch.tensor(1.0)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Write the code into the working folder under a new name, and return the name."""
    monkeypatch.chdir(tmp_path)
    name = f"user_code_{abs(hash(request.node.name))}"
    Path(f"{name}.py").write_text(CODE)
    return name


def recipe(**values: Any) -> Recipe:
    return make_recipe(RECIPE | values)


def trainer(settings: Recipe, rates: tuple[float, ...] = (0.1,), first_seed: int = 0) -> Trainer:
    cells = tuple(Cell(LSTM, TASK, settings, rate, first_seed + seed) for seed, rate in enumerate(rates))
    presentation = Presentation.of(TASK, settings)
    models = [build_seeded(LSTM, presentation.symbols, cell.seed) for cell in cells]
    return Trainer(Population(models), Group(cells), presentation, lambda step, loss: None)


def trained(settings: Recipe, rates: tuple[float, ...] = (0.1,), first_seed: int = 0) -> torch.Tensor:
    training = trainer(settings, rates, first_seed)
    training.run()
    return training.population.values.detach().clone()


def test_a_torch_optimizer_trains_as_in_a_plain_loop() -> None:
    """Equal to a hand-written loop with clipping, the schedule, and weight decay without biases and norms."""
    settings = recipe(**SGD, weight_decay=0.1)
    batches, presentation = trainer(settings).batches, Presentation.of(TASK, settings)
    model = build_seeded(LSTM, presentation.symbols, 0)
    named = dict(model.named_parameters())
    decayed = [p for name, p in named.items() if "bias" not in name and "norm" not in name]
    assert 0 < len(decayed) < len(named)
    others = [p for p in named.values() if not any(p is q for q in decayed)]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    for step in range(settings.steps):
        source, prefix, target = batches(step)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(source, prefix).flatten(0, 1), target.flatten(), ignore_index=IGNORE)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * rate_factor(settings, step)
        optimizer.step()
    expected = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(trained(settings)[0], expected, rtol=1e-4, atol=1e-6)


def test_a_model_of_a_population_trains_as_alone() -> None:
    settings, rates = recipe(**SGD, weight_decay=0.1), (0.1, 0.03, 0.3)
    together = trained(settings, rates)
    for index, rate in enumerate(rates):
        torch.testing.assert_close(together[index], trained(settings, (rate,), index)[0], rtol=1e-4, atol=1e-6)


def test_a_model_that_diverges_is_frozen_and_the_others_continue() -> None:
    training = trainer(recipe(**SGD, clip=0.0), (0.1, 0.1))
    for step in range(6):
        if step == 3:
            training.population.values.data[1, 0] = float("nan")
        training.step()
    assert training.optimizer.alive[:, 0].tolist() == [True, False]
    assert training.optimizer.lived.tolist() == [6, 3]
    assert training.population.values[0].isfinite().all()


@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.3)])
def test_training_resumes_bit_for_bit(rates: tuple[float, ...]) -> None:
    settings = recipe(optimizer="torch.optim:Adam", optimizer_options={"betas": [0.8, 0.9]})
    first = trainer(settings, rates)
    for _ in range(5):
        first.step()
    first.attended = first.done
    buffer = io.BytesIO()
    torch.save(vars(first.state_dict()), buffer)
    buffer.seek(0)
    second = trainer(settings, rates)
    second.load_state_dict(type(first.state_dict())(**torch.load(buffer, weights_only=True)))
    first.run()
    second.run()
    assert torch.equal(first.population.values, second.population.values)
    assert not torch.equal(second.population.values, trained(recipe(optimizer="torch.optim:Adam"), rates))


def test_a_snapshot_of_a_population_can_be_split() -> None:
    settings, rates = recipe(**SGD), (0.1, 0.3)
    both = trainer(settings, rates)
    for _ in range(5):
        both.step()
    half = trainer(settings, (0.3,), 1)
    half.load_state_dict(both.state_dict().part(slice(1, 2)))
    for training in (both, half):
        for _ in range(3):
            training.step()
    torch.testing.assert_close(half.population.values[0], both.population.values[1], rtol=1e-4, atol=1e-6)


def test_a_loss_and_a_schedule_of_the_user(module: str) -> None:
    plain, custom = trainer(recipe()), trainer(recipe(loss=f"{module}:doubled", schedule=f"{module}:halves"))
    for training in (plain, custom):
        training.step()
    torch.testing.assert_close(custom.losses[0], 2 * plain.losses[0])
    assert factors(custom.recipe) == [0.5**step for step in range(12)]
    population = trainer(recipe(loss=f"{module}:doubled"), (0.1, 0.1))
    population.step()
    torch.testing.assert_close(population.losses[0, 0], custom.losses[0, 0])


def test_bad_code_is_an_error_of_one_line(module: str) -> None:
    for values, words in (
        ({"loss": f"{module}:constant"}, "must return a finite scalar tensor that depends on the logits"),
        ({"schedule": f"{module}:negative"}, "gives -1.0 at step 2; it must be a finite number from 0"),
        ({"loss": f"{module}:doubled", "label_smoothing": 0.1}, "label_smoothing is of cross_entropy only"),
    ):
        with pytest.raises(UserError, match=words):
            check_recipe(recipe(**values))
    with pytest.raises(RuntimeError, match="replaces parameters; it must change them in place"):
        trainer(recipe(optimizer=f"{module}:Replaces")).step()


def test_the_default_keys_are_not_part_of_the_id_and_others_are() -> None:
    canonical = recipe().canonical
    assert not {"optimizer", "optimizer_options", "loss"} & canonical.keys()
    assert recipe(optimizer="adamw", optimizer_options={}, loss="cross_entropy").canonical == canonical
    cells = [
        Cell(LSTM, TASK, recipe(**values), 0.1, 0)
        for values in ({}, {"optimizer": "torch.optim:SGD"}, SGD, {"loss": "some:loss"}, {"schedule": "some:schedule"})
    ]
    assert len({cell.id for cell in cells}) == len(cells)
    text = recipe(optimizer="torch.optim:SGD", optimizer_options="nesterov=true, momentum=0.9")
    assert Cell(LSTM, TASK, text, 0.1, 0).id == cells[2].id
    assert make_recipe(text.canonical) == text


def test_weight_decay_leaves_out_norms_biases_vectors_and_what_the_model_names() -> None:
    class Rates(torch.nn.Module):
        no_weight_decay = ("slow",)

        def __init__(self) -> None:
            super().__init__()
            self.slow, self.fast = (torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2))
            self.scale = torch.nn.Parameter(torch.ones(2))

    model = torch.nn.ModuleDict({"norm": torch.nn.LayerNorm(2), "linear": torch.nn.Linear(2, 2), "rates": Rates()})
    names = {name: name for name, _ in model.named_parameters()}
    decayed, others = decay_groups(model, names, 0.1)
    assert (decayed["params"], decayed["weight_decay"]) == (["linear.weight", "rates.fast"], 0.1)
    assert (sorted(others["params"]), others["weight_decay"]) == (
        ["linear.bias", "norm.bias", "norm.weight", "rates.scale", "rates.slow"],
        0.0,
    )


def plan(**values: Any) -> Plan:
    suite = {"name": "s", "architectures": [str(LSTM)], "tasks": [str(TASK)], "seeds": 2, "samples": 8}
    return make_plan(make(suite | {"test_lengths": "6", "recipe": RECIPE | values}, "test"), Catalog())


def run(planned: Plan, *, workers: int = 1) -> tuple[str, RunFolder]:
    console = Console(file=io.StringIO(), width=200)
    execute(planned, Path("run"), RunOptions("cpu", workers), console)
    return console.file.getvalue(), RunFolder(Path("run"))  # type: ignore[attr-defined]


def test_a_state_that_cannot_be_stored_is_trained_without_snapshots(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe(optimizer=f"{module}:Signed", optimizer_options={"memory": False})
    training = trainer(settings)
    training.step()
    with pytest.raises(StateError, match="holds a object, which a snapshot cannot store"):
        training.state_dict()
    monkeypatch.setattr("harness.training.trainer.SNAPSHOT_SECONDS", 0.0)
    # A worker process has no such seconds.
    monkeypatch.setattr("harness.execution.launchers.local.runs_user_code", lambda cell: False)
    planned = plan(optimizer=settings.optimizer, optimizer_options={"memory": False})
    text, folder = run(planned)
    assert text.count("is trained without snapshots because the state of optimizer") == 2
    assert all(folder.cell(cell.id).training for cell in planned.cells)
    assert not Path("run/snapshots").exists()


def test_changed_code_of_the_user_is_trained_again(module: str) -> None:
    """Two worker processes import the module from the working folder too."""
    planned = plan(optimizer=f"{module}:Signed")
    assert set(custom_fingerprints(planned.cells[0].recipe)) == {"optimizer"}
    assert not custom_fingerprints(recipe(**SGD))
    _, folder = run(planned, workers=2)
    record = folder.cell(planned.cells[0].id).training
    assert record is not None
    assert record.cell["recipe"]["optimizer"] == f"{module}:Signed"
    assert "2 done" in run(planned)[0]
    from harness.registry import normal_code

    Path(f"{module}.py").write_text(CODE.replace(".sign()", ".sign() * 2"))
    normal_code.syntax_of.cache_clear()
    normal_code.text_of.cache_clear()
    assert "2 to train" in run(planned)[0]


def test_the_trial_of_a_loss_prints_no_warning() -> None:
    settings = recipe(loss="torch.nn.functional:mse_loss")
    with warnings.catch_warnings(action="error"), pytest.raises(UserError, match="mse_loss' raises on logits"):
        check_recipe(settings)
