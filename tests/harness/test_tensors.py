"""Tensors of a model: parameters, frozen parameters and buffers survive training, storage, resuming and evaluation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import PARITY, SMALL, user_error, write
from test_snapshot import RECIPE, TASK, train
from torch import Tensor, nn

from harness.check import ARCHITECTURE_CHECKS, run_check, subject_of
from harness.check.graph_replay import CPURecorder
from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.execution.plan import Variant
from harness.models.cost import parameters
from harness.models.population import Population, build_seeded, load
from harness.models.tensors import obstacle
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from harness.registry.plugin_import import forget
from harness.storage.folder import RunFolder
from harness.training.custom import decay_groups
from harness.training.memory import check_fits_in_memory
from harness.training.schedules import rate_factor
from harness.training.trainer import Trainer

MIXER = '''"""A running sum with state in buffers."""
import torch
from torch import nn
from architectures.base import Mixer

class Mine(Mixer):
    """Adds all inputs up to a position."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        {init}

    def forward(self, x, context):
        y = self.inner(x.cumsum(1) / 8)
        {forward}
        return y
'''
SCALE = (
    'self.register_buffer("scale", torch.zeros(()))',
    "if self.training: self.scale = 0.5 * self.scale + 0.5\n        y = y * self.scale",
)
IN_PLACE = (
    'self.register_buffer("steps", torch.zeros((), dtype=torch.long))',
    "self.steps += self.training\n        y = y * (1 + self.steps)",
)
NORM = (
    "self.norm = nn.BatchNorm1d(width, momentum=0.5)",
    "y = self.norm(y.transpose(1, 2)).transpose(1, 2)",
)
FROZEN = ("self.frozen = nn.Parameter(torch.ones(width), requires_grad=False)", "y = y * self.frozen")
HALF = ("self.short = nn.Parameter(torch.ones(width).half(), requires_grad=False)", "y = y * self.short.to(y)")
INTEGER = (
    "self.order = nn.Parameter(torch.arange(width).flip(0), requires_grad=False)",
    "y = y[..., self.order]",
)
COMPLEX = ("self.turn = nn.Parameter(torch.randn(width, dtype=torch.complex64))", "y = (y * self.turn).real")
ODD = ("self.odd = nn.Parameter(torch.ones(()))", "y = y * self.odd")
KINDS = {
    "replaced": SCALE,
    "in place": IN_PLACE,
    "batch norm": NORM,
    "frozen": FROZEN,
    "half": HALF,
    "integer": INTEGER,
    "complex": COMPLEX,
    "complex in an odd row": tuple(f"{a}\n        {b}" for a, b in zip(COMPLEX, ODD, strict=True)),
    "all": tuple(
        "\n        ".join(parts) for parts in zip(SCALE, IN_PLACE, NORM, FROZEN, INTEGER, COMPLEX, ODD, strict=True)
    ),
}
DECAYING = Recipe(**{**RECIPE.model_dump(), "weight_decay": 0.5})


def spec_of(folder: Path, init: str, forward: str, text: str = MIXER) -> Spec:
    """Write a plug-in with these lines and return its spec."""
    file = folder / "mine.py"
    file.write_text(text.format(init=init, forward=forward))
    forget(file)
    return Spec.parse("architecture", "mine:width=8,depth=1", Catalog((file,)))


def cells_of(spec: Spec, count: int, recipe: Recipe = DECAYING) -> tuple[Cell, ...]:
    return tuple(Cell(spec, TASK, recipe, 1e-2 * (1 + seed), seed) for seed in range(count))


def trainer_of(group: tuple[Cell, ...]) -> Trainer:
    presentation = Presentation(build_task(TASK))
    models = [build_seeded(cell.architecture, presentation.symbols, cell.seed).double() for cell in group]
    for model in models:
        model._apply(lambda t: t.to(torch.complex128) if t.is_complex() else t)
    return Trainer(Population(models), Group(group), presentation, lambda step, loss: None)


@torch.no_grad()
def evaluated(population: Population) -> Tensor:
    population.train(False)
    generator = torch.Generator().manual_seed(0)
    source, prefix = (torch.randint(2, (1, 4, width), generator=generator) for width in (5, 3))
    return population.logits(source.expand(population.size, -1, -1), prefix.expand(population.size, -1, -1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_population_equals_its_members_and_its_saved_weights(tmp_path: Path, kind: str) -> None:
    group = cells_of(spec_of(tmp_path, *KINDS[kind]), 3)
    together = trainer_of(group)
    together.run()
    logits = evaluated(together.population)
    for index, cell in enumerate(group):
        alone = trainer_of((cell,))
        alone.run()
        torch.testing.assert_close(evaluated(alone.population)[0], logits[index], rtol=1e-7, atol=1e-7)
        fresh = trainer_of((cell,)).population.model
        loaded = load([fresh], [together.population.weights(index)], "cpu")
        torch.testing.assert_close(evaluated(loaded)[0], logits[index], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_files_hold_the_whole_state(tmp_path: Path, kind: str) -> None:
    """A buffer that is 0 at first and 1 in the end made a model that validated 1.00 score 0.43 to 0.55."""
    (cell,) = group = cells_of(spec_of(tmp_path, *KINDS[kind]), 1)
    train(tmp_path / "run", group, (Variant("", TASK, (1, 2, 3, 4)),))
    folder = RunFolder(tmp_path / "run")
    record = folder.cell(cell.id).training
    assert record is not None
    model = build_seeded(cell.architecture, Presentation(build_task(TASK)).symbols, 0)
    assert folder.weights(cell.id, 12).keys() == model.state_dict().keys()
    losses = [e.loss for e in folder.cell(cell.id).evaluations if e.step == 12 and e.loss is not None]
    assert record.validation_loss == pytest.approx(sum(losses) / len(losses), rel=0.2)


@pytest.mark.parametrize("count", [1, 3])
def test_a_resumed_training_has_the_result_of_an_uninterrupted_one(tmp_path: Path, count: int) -> None:
    full, first, rest = (trainer_of(cells_of(spec_of(tmp_path, *KINDS["all"]), count)) for _ in range(3))
    full.run()
    for _ in range(5):
        first.step()
    state = first.state_dict()
    assert rest.fits(state)
    rest.load_state_dict(state)
    rest.run()
    assert torch.equal(evaluated(rest.population), evaluated(full.population))
    lacking = {name: row for name, row in state.rows.items() if not name.startswith("untrained")}
    assert not rest.fits(type(state)(**{**vars(state), "rows": lacking}))


@pytest.mark.parametrize("count", [1, 3])
def test_replayed_steps_change_buffers_as_plain_ones_do(tmp_path: Path, count: int) -> None:
    group = cells_of(spec_of(tmp_path, *KINDS["all"]), count)
    plain, replayed = trainer_of(group), trainer_of(group)
    replayed.use_graphs(CPURecorder())
    plain.run()
    assert replayed.run().programs["learn"] == "CUDA graph"
    assert torch.equal(evaluated(replayed.population), evaluated(plain.population))


@pytest.mark.parametrize("count", [1, 2])
def test_buffers_change_only_in_training_steps_of_models_that_train(tmp_path: Path, count: int) -> None:
    trainer = trainer_of(cells_of(spec_of(tmp_path, *IN_PLACE), count))
    steps = trainer.population.untrained["layers.0.mixer.steps"]
    check_fits_in_memory(trainer)
    trainer.step()
    trainer.validate()
    assert steps.tolist() == [1] * count
    trainer.optimizer.freeze(torch.tensor([True, False][:count]))
    trainer.step()
    assert steps.tolist() == [1, 2][:count]


def test_frozen_parameters_do_not_move(tmp_path: Path) -> None:
    """Weight decay took a frozen parameter from 1.0 to 0.858."""
    for count in (1, 3):
        trainer = trainer_of(cells_of(spec_of(tmp_path, *FROZEN), count))
        before = [trainer.population.weights(index) for index in range(count)]
        trainer.run()
        for index in range(count):
            after = trainer.population.weights(index)
            assert after["layers.0.mixer.frozen"].tolist() == [1.0] * 8
            moved = {name for name, value in after.items() if not torch.equal(value, before[index][name])}
            assert moved == after.keys() - {"layers.0.mixer.frozen"}


def test_complex_parameters_are_updated_as_by_torch(tmp_path: Path) -> None:
    recipe = Recipe(**{**DECAYING.model_dump(), "clip": 0.0})
    trainer = trainer_of(cells_of(spec_of(tmp_path, *KINDS["complex in an odd row"]), 1, recipe))
    reference = trainer_of(cells_of(spec_of(tmp_path, *KINDS["complex in an odd row"]), 1, recipe)).population.model
    reference = load([reference], [trainer.population.weights(0)], "cpu").model
    for parameter in reference.parameters():
        parameter.data, parameter.grad = parameter.data.clone(), None
    optimizer = torch.optim.AdamW(decay_groups(reference, dict(reference.named_parameters()), 0.5), 1e-2)
    for step in range(5):
        batch = trainer.batches(step)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * rate_factor(recipe, step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            reference(batch.source, batch.prefix).flatten(0, 1), batch.target.flatten(), ignore_index=-100
        ).backward()
        optimizer.step()
        trainer.step()
    for name, parameter in trainer.population.model.named_parameters():
        torch.testing.assert_close(parameter, dict(reference.named_parameters())[name], rtol=1e-6, atol=1e-9)


def test_weight_files_of_earlier_versions_hold_parameters_only(tmp_path: Path) -> None:
    trainer = trainer_of(cells_of(spec_of(tmp_path, *NORM), 1))
    trainer.run()
    weights = trainer.population.weights(0)
    fresh = trainer_of(cells_of(spec_of(tmp_path, *NORM), 1)).population.model
    named = dict(fresh.named_parameters())
    loaded = load([fresh], [{name: value for name, value in weights.items() if name in named}], "cpu")
    norm = loaded.model.layers[0].mixer.norm  # type: ignore[union-attr, index]
    assert norm.running_mean.tolist() == [0.0] * 8
    assert torch.equal(norm.weight.detach(), weights["layers.0.mixer.norm.weight"])


@pytest.mark.parametrize("count", [1, 2])
def test_tied_tensors_stay_tied(tmp_path: Path, count: int) -> None:
    """A buffer with two names, and a module with two names, one of which has a buffer."""
    lines = (
        'self.register_buffer("a", torch.zeros(())); self.register_buffer("b", self.a); self.alias = self.inner',
        "self.b += self.training\n        y = y + self.alias(x) * self.a",
    )
    group = cells_of(spec_of(tmp_path, *lines), count)
    models = [build_seeded(cell.architecture, Presentation(build_task(TASK)).symbols, cell.seed) for cell in group]
    trainer = Trainer(Population(models), Group(group), Presentation(build_task(TASK)), lambda step, loss: None)
    done = trainer.run()
    for index, cell in enumerate(group):
        weights = done.models[index].checkpoints[12]
        assert float(weights["layers.0.mixer.a"]) == 12
        assert "layers.0.mixer.alias.weight" not in weights
        fresh = build_seeded(cell.architecture, Presentation(build_task(TASK)).symbols, cell.seed)
        expected = evaluated(trainer.population)[index]
        torch.testing.assert_close(evaluated(load([fresh], [weights], "cpu"))[0], expected)


def test_a_fit_may_count_in_buffers(tmp_path: Path) -> None:
    text = '''"""Counts."""
import torch
from architectures.base import SequenceModel

class Mine(SequenceModel):
    """Gives the same answer everywhere."""

    def __init__(self, symbols, *, width: int = 1, depth: int = 1):
        super().__init__(symbols)
        {init}

    def forward(self, source, prefix):
        tokens = source if prefix is None else prefix
        return (1.0 + self.counts).log().expand(*tokens.shape, -1)

    def fit(self, batches):
        for source, prefix, target in batches:
            {forward}
'''
    init = 'self.register_buffer("counts", torch.zeros(len(symbols)))'
    count = "torch.bincount(target[target >= 0], minlength=len(self.counts))"
    for line in (f"self.counts += {count}", f"self.counts = self.counts + {count}"):
        trainer = trainer_of(cells_of(spec_of(tmp_path, init, line, text), 2))
        trainer.run()
        for index in range(2):
            targets = [trainer.batches(step).target.chunk(2)[index] for step in range(12)]
            expected = sum(torch.bincount(t[t >= 0], minlength=6) for t in targets)
            assert torch.equal(trainer.population.weights(index)["counts"], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_checks_pass(tmp_path: Path, kind: str) -> None:
    if kind in ("batch norm", "all"):
        pytest.skip("batch norm mixes positions, so training is not causal")
    subject = subject_of(spec_of(tmp_path, *KINDS[kind]))
    for name in ("builds", "tensors", "saved", "gradients", "population", "divergence", "replay", "device", "shapes"):
        checked = run_check(name, ARCHITECTURE_CHECKS[name], subject)
        assert checked.ok, f"{name}: {checked.problem}"


@pytest.mark.parametrize("kind", ["batch norm", "all"])
def test_batch_norm_passes_the_checks_of_its_state(tmp_path: Path, kind: str) -> None:
    subject = subject_of(spec_of(tmp_path, *KINDS[kind]))
    for name in ("tensors", "saved", "population", "divergence", "replay"):
        checked = run_check(name, ARCHITECTURE_CHECKS[name], subject)
        assert checked.ok, f"{name}: {checked.problem}"


def test_frozen_parameters_are_not_counted(tmp_path: Path) -> None:
    size = {
        name: parameters(build_seeded(spec_of(tmp_path, *lines), ("a", "b"), 0))
        for name, lines in {"plain": ("pass", "pass"), "frozen": FROZEN, "complex": COMPLEX}.items()
    }
    assert size["frozen"] == size["plain"]
    assert size["complex"] == size["plain"] + 16


EXTRA = """
    def get_extra_state(self):
        return 1
"""
REFUSED = {
    "extra state": ("pass", MIXER + EXTRA, "its state_dict holds 'layers.0.mixer._extra_state'"),
    "half": (
        "self.p = nn.Parameter(torch.ones(1).half())",
        MIXER,
        "p is torch.float16, but trained parameters must be",
    ),
    "double": ("self.p = nn.Parameter(torch.ones(1).double())", MIXER, "p is torch.float64, but trained parameters"),
    "complex": (
        "self.p = nn.Parameter(torch.ones(1, dtype=torch.complex128))",
        MIXER,
        "p is torch.complex128, but trained parameters must be torch.float32 or torch.complex64",
    ),
}


@pytest.mark.usefixtures("temporary_folder")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused(name: str) -> None:
    init, text, message = REFUSED[name]
    plugin = write("refused.py", text.format(init=init, forward="pass"))
    forget(plugin)
    error = user_error("run", "--plugin", plugin, "-a", "refused:width=8", *PARITY, *SMALL, "--output", "run")
    assert error.startswith("architecture refused:")
    assert message in error
    assert not Path("run").exists()
    subject = subject_of(Spec.parse("architecture", "refused", Catalog((plugin,))))
    problem = run_check("tensors", ARCHITECTURE_CHECKS["tensors"], subject).problem
    assert message in problem


def test_a_buffer_that_is_registered_in_a_forward_is_an_error(tmp_path: Path) -> None:
    lines = ("pass", "self.register_buffer('late', torch.ones(1)) if self.training else None")
    trainer = trainer_of(cells_of(spec_of(tmp_path, *lines), 1))
    with pytest.raises(ValueError, match=r"the model registered layers\.0\.mixer\.late in a forward"):
        trainer.run()


@pytest.mark.parametrize("value", ["torch.zeros(3)", "self.scale.long()", "None"])
def test_a_buffer_that_changes_its_format_is_an_error(tmp_path: Path, value: str) -> None:
    lines = (SCALE[0], f"self.scale = {value}")
    trainer = trainer_of(cells_of(spec_of(tmp_path, *lines), 1))
    with pytest.raises(ValueError, match=r"the model changed layers\.0\.mixer\.scale from torch\.float64"):
        trainer.run()


def test_a_sparse_buffer_cannot_be_stored() -> None:
    model = build_seeded(Spec.parse("architecture", "lstm:width=8", Catalog()), ("a", "b"), 0)
    model.register_buffer("table", torch.eye(3).to_sparse())
    assert obstacle(model).startswith("table is torch.float32 with layout torch.sparse_coo")


def test_every_built_in_architecture_can_be_kept() -> None:
    catalog = Catalog()
    for entry in catalog.entries["architecture"].values():
        if entry.origin == "built-in":
            model: Any = build_seeded(Spec("architecture", entry.name, catalog=catalog), ("a", "b", "<blank>"), 0)
            assert not obstacle(model), entry.name
