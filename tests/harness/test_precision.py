"""Numerics: the number format reaches all matrix products, TF32 is off, and every record names the settings."""

import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import call
from rich.console import Console
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.utils._python_dispatch import TorchDispatchMode

from harness.analysis.load import frames
from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe
from harness.config.suite import make
from harness.data.presentation import Presentation
from harness.execution.make_plan import make_plan
from harness.execution.run import EvaluationRequest, evaluate, execute
from harness.execution.run_options import RunOptions
from harness.models.population import Population, build_seeded
from harness.models.precision import FLOAT32, Numerics, Precision, PrecisionError, tf32
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.storage.folder import RunFolder
from harness.training.trainer import Trainer

CATALOG = Catalog()
BFLOAT16 = Numerics("bfloat16")
TASK = Spec.parse("task", "reverse", CATALOG)
RECIPE = Recipe(steps=2, batch_size=8, train_lengths="2:3", warmup=0)
FUSED_LSTMS = {"lstm", "bilstm", "lstm_encdec", "luong"}
"""Models with torch's fused LSTM, which oneDNN computes in bfloat16 on processors that support it only."""
FLOAT32_ONLY = {"lru"} | (set() if torch.ops.mkldnn._is_mkldnn_bf16_supported() else FUSED_LSTMS)
"""Architectures that may raise an error in bfloat16."""


def make_trainer(name: str, count: int, numerics: Numerics) -> Trainer:
    spec = Spec.parse("architecture", name, CATALOG).with_defaults({"width": 16})
    task = build_task(TASK)
    presentation = Presentation(task, "generate" if build_model(spec, ("a", "b")).causal else "readout")
    models = [build_seeded(spec, presentation.symbols, seed, name) for seed in range(count)]
    group = Group(tuple(Cell(spec, TASK, RECIPE, 1e-3, seed) for seed in range(count)))
    return Trainer(Population(models, "cpu", numerics), group, presentation, lambda step, loss: None)


def gradients(trainer: Trainer) -> tuple[Tensor, Tensor]:
    """Return losses and gradients of the first batch."""
    losses = trainer.population.losses(trainer.batches(0))
    if not trainer.population.model.is_gradient_free():
        trainer.population.backward(losses)
    return losses.detach(), trainer.population.grads.clone()


def precision_error(trainer: Trainer) -> str:
    """Return why the losses cannot be computed; empty if they can."""
    try:
        trainer.population.losses(trainer.batches(0))
    except PrecisionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", CATALOG.names("architecture"))
def test_every_architecture_trains_in_bfloat16_or_raises_a_precision_error(name: str, count: int) -> None:
    trainer = make_trainer(name, count, BFLOAT16)
    with BFLOAT16.applied():
        if reason := precision_error(trainer):
            assert name in FLOAT32_ONLY
            assert re.fullmatch(r"cannot be computed in bfloat16 \(.+\); use --precision float32", reason)
            return
        losses, grads = gradients(trainer)
        expected_losses, expected_grads = gradients(make_trainer(name, count, FLOAT32))
        torch.testing.assert_close(losses, expected_losses, rtol=0.01, atol=0)
        if not trainer.population.model.is_gradient_free():
            assert float(cosine_similarity(grads, expected_grads).min()) > 0.95
        trainer.run()
    assert trainer.population.values.dtype == trainer.losses.dtype == losses.dtype == grads.dtype == torch.float32
    assert bool(trainer.population.values.isfinite().all())
    assert bool(trainer.optimizer.alive.all())


class Products(TorchDispatchMode):
    """Collects the number formats of matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm):
            self.dtypes.add(out.dtype)
        return out


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_of_forward_and_backward_have_the_number_format(precision: Precision, count: int) -> None:
    trainer = make_trainer("transformer", count, Numerics(precision))
    with Products() as forward:
        losses = trainer.population.losses(trainer.batches(0))
    with Products() as backward:
        trainer.population.backward(losses)
    assert forward.dtypes == backward.dtypes == {getattr(torch, precision)}


def test_errors_that_float32_has_too_are_not_changed() -> None:
    def broken(*inputs: Tensor | None) -> Tensor:
        raise RuntimeError("broken anyway")

    with pytest.raises(RuntimeError, match="broken anyway") as caught:
        BFLOAT16.forward(broken, torch.device("cpu"))
    assert not isinstance(caught.value, PrecisionError)


def test_tf32_is_off_and_restored_afterwards() -> None:
    """By default torch has it on for cuDNN."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, products.allow_tf32
    try:
        cudnn.allow_tf32 = products.allow_tf32 = True
        with FLOAT32.applied():
            assert not tf32()
            cudnn.allow_tf32 = True
            assert tf32()
        assert cudnn.allow_tf32
        assert products.allow_tf32
    finally:
        cudnn.allow_tf32, products.allow_tf32 = before


@pytest.mark.parametrize("name", CATALOG.names("architecture"))
def test_determinism_changes_nothing_on_a_cpu(name: str) -> None:
    values = []
    for numerics in (FLOAT32, Numerics(deterministic=True)):
        trainer = make_trainer(name, 2, numerics)
        with numerics.applied():
            assert torch.are_deterministic_algorithms_enabled() == numerics.deterministic
            trainer.run()
        values.append(trainer.population.values.detach().clone())
    assert torch.equal(*values)
    assert not torch.are_deterministic_algorithms_enabled()


SUITE = {
    "name": "small",
    "architectures": ["gru:width=8,depth=1"],
    "tasks": ["parity"],
    "seeds": 1,
    "samples": 8,
    "test_lengths": "6",
    "recipe": {"steps": 3, "batch_size": 4, "train_lengths": "1:4", "warmup": 0},
}


def run(folder: Path, numerics: Numerics) -> RunFolder:
    plan = make_plan(make(SUITE, "test"), CATALOG)
    execute(plan, folder, RunOptions("cpu", 1, numerics), Console(file=io.StringIO()))
    return RunFolder(folder)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_records_name_the_numerics(precision: Precision, deterministic: bool, tmp_path: Path) -> None:
    folder = run(tmp_path, Numerics(precision, deterministic))
    (cell,) = folder.cell_ids()
    record, run_record = folder.cell(cell).training, folder.run()
    assert record is not None
    assert run_record is not None
    assert record.provenance.precision == run_record.provenance.precision == precision
    assert not record.provenance.tf32
    assert record.provenance.deterministic == run_record.provenance.deterministic == deterministic
    assert {evaluation.precision for evaluation in folder.cell(cell).evaluations} == {precision}
    assert frames([tmp_path], CATALOG)[0].dtype.tolist() == [precision]


def test_tables_name_lengths_evaluated_in_another_format(tmp_path: Path) -> None:
    run(tmp_path, FLOAT32)
    quiet = Console(file=io.StringIO())
    request, options = EvaluationRequest("", "", (9,)), RunOptions("cpu", 1, BFLOAT16)
    assert evaluate(tmp_path, [request], options, CATALOG, console=quiet) == 0
    assert frames([tmp_path], CATALOG)[0].dtype.tolist() == ["float32, some lengths evaluated in bfloat16"]


@pytest.mark.usefixtures("temporary_folder")
def test_the_command_line_sets_the_numerics() -> None:
    options = "-a gru:width=8,depth=1 -t parity --seeds 1 --learning-rate 0.001 --samples 8 --train-lengths 1:4"
    run = shlex.split(
        f"run {options} --test-lengths 5 --steps 3 --workers 1 --output results --precision bfloat16 --deterministic"
    )
    assert "1 group to train" in call(*run, "--dry-run").output
    assert call(*run).exit_code == 0
    assert frames([Path("results")], CATALOG)[0].dtype.tolist() == ["bfloat16"]
    assert call("evaluate", "results", "--test-lengths", 7, "--workers", 1).exit_code == 0
    assert frames([Path("results")], CATALOG)[0].dtype.tolist() == ["bfloat16, some lengths evaluated in float32"]
    failed = call(*run, "-a", "lru:width=8,depth=1")
    assert failed.exit_code == 1
    assert "raised PrecisionError: cannot be computed in bfloat16" in failed.output
