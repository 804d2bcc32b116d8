"""Compiled programs: equal to the program at every length tried, in one pass and when decoded token by token."""

from collections.abc import Callable

import pytest
import torch
from typer.testing import CliRunner

from architectures.language_model import LanguageModel
from harness.cli import app
from harness.compiler import NotCompilable, compile_task
from harness.config.cell import Cell, Group
from harness.config.recipe import make_recipe
from harness.data.presentation import Presentation
from harness.data.rng import Stream
from harness.evaluation.scoring import decode
from harness.models.population import Population
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.training.trainer import Trainer
from tasks import rasp
from tasks.base import IGNORE, Task
from tasks.rasp._machine import next_tokens

CATALOG = Catalog()
REACH = 2048


def compiled(presentation: Presentation) -> tuple[Spec, LanguageModel]:
    program = compile_task(presentation, REACH)
    size = program.size
    text = f"transformer:position=learned,width={size.width},depth={size.depth},heads={size.heads}"
    spec = Spec.parse("architecture", text, CATALOG)
    model: LanguageModel = build_model(spec, presentation.symbols)
    program.write(model)
    return spec, model.eval()


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("count:numbers=30", (1, 2, 15, 30)),
        ("majority", (1, 2, 3, 10, 101, 1000)),
        ("mode", (1, 2, 3, 10, 101, 1000)),
        ("boolean_and", (6, 50, 1000)),
        ("copy:alphabet=40,unique=true", (1, 2, 40)),
        ("sort:alphabet=4", (1, 2, 3, 30, 150)),
        ("sort:alphabet=40,unique=true", (1, 2, 40)),
        ("addition:base=3,hints=13,order=reversed", (1, 2, 12)),
        ("addition:base=2,hints=9,order=reversed,padding=1", (1, 2, 8)),
        ("parity_scratchpad:hints=14", (1, 2, 14)),
        ("parity_scratchpad:hints=20,scratchpad=ones", (1, 2, 20)),
    ],
)
def test_compiled_programs_are_right_at_all_lengths(text: str, lengths: tuple[int, ...]) -> None:
    task: Task = build_task(Spec.parse("task", text, CATALOG))
    presentation = Presentation(task, begin=True)
    model = compiled(presentation)[1]
    for length in lengths:
        batch = presentation(task.sample(length, Stream.of([0], text, "test", length, 16 if length < 99 else 2, "cpu")))
        counted = batch.target != IGNORE
        with torch.no_grad():
            logits = model(batch.source, batch.prefix)
        best = logits.topk(2, dim=-1)
        assert torch.equal(best.indices[..., 0][counted], batch.target[counted]), length
        assert float((best.values[..., 0] - best.values[..., 1])[counted].min()) > 25  # no step is near its threshold
        if presentation.mode == "generate" and length < 50:
            decoded = decode(Population([model]), batch)[0]
            assert torch.equal(decoded[counted], batch.target[counted]), length


def _first_or_zero(x: rasp.Sequence) -> rasp.Sequence:
    return rasp.index_select(x, rasp.firsts(x, rasp.shift_right(x, default=3), default=-1), default=2)


PROGRAMS: dict[str, Callable[[rasp.Sequence], rasp.Sequence]] = {
    "an induction head": lambda x: rasp.induct(x, x, default=1),
    "before the first": lambda x: rasp.induct_prev(x, x, -2, default=1),
    "a default place": _first_or_zero,
    "a late position": lambda x: rasp.where(rasp.indices(x) > 5, x, rasp.full(x, 1)),
    "no position": lambda x: rasp.where(rasp.firsts(x, rasp.full(x, 2)) == -1, x, rasp.full(x, 0)),
    "two places": lambda x: rasp.lasts(x, rasp.full(x, 1)) > rasp.lasts(x, rasp.full(x, 2)),
    "two numbers": lambda x: rasp.num_prev(x, rasp.full(x, 1)) == rasp.num_prev(x, rasp.full(x, 2)),
    "a number and a token": lambda x: rasp.seq_map(rasp.cumsum(x == 1), x, lambda n, token: n > token),
    "the rarest": lambda x: rasp.kqv(
        rasp.num_prev(x, x), rasp.aggr_min(rasp.select(x, x, rasp.true), rasp.num_prev(x, x)), x, rasp.equals,
        reduction="min",
    ),
    "the largest": lambda x: rasp.index_select(x, rasp.argmax(x)),
    "a later position": lambda x: rasp.shift_right(x, -1, default=2),
}  # fmt: skip


class Programmed(Task):
    """A task for a program."""

    symbols = ("a", "b", "c", "d")
    answer = "generate"


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_programs_of_all_operations_equal_the_language(name: str) -> None:
    task = Programmed()
    task.program = PROGRAMS[name]
    presentation = Presentation(task, begin=True)
    model = compiled(presentation)[1]
    for length in (1, 2, 7, 60):
        tokens = torch.randint(4, (20, length), generator=torch.manual_seed(length))
        stream = torch.cat((torch.full_like(tokens[:, :1], presentation.special("<start>")), tokens), dim=1)
        with torch.no_grad():
            chosen = model(stream, None)[:, 1:].argmax(-1)
        assert torch.equal(chosen, next_tokens(PROGRAMS[name], tokens)), length


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (lambda x: rasp.kqv(x, x, x, rasp.equals) > 0.5, "takes a mean"),
        (lambda x: rasp.index_select(x, rasp.cumsum(x)), "a number of positions, for which only == is supported"),
        (
            lambda x: rasp.seq_map(rasp.indices(x), x, lambda i, token: rasp.choose(token, i, i + 1)) > 3,
            "chooses a pos",
        ),
    ],
)
def test_what_cannot_be_compiled_is_named(program: Callable[[rasp.Sequence], rasp.Sequence], reason: str) -> None:
    task = Programmed()
    task.program = program
    with pytest.raises(NotCompilable, match=reason):
        compile_task(Presentation(task, begin=True))


def test_a_stage_starts_from_compiled_weights_and_training_at_rate_zero_keeps_them() -> None:
    spec = Spec.parse("task", "copy:alphabet=5,unique=true", CATALOG)
    keys = {"steps": 6, "batch_size": 4, "train_lengths": "1:3", "warmup": 0, "begin": True, "validations": 1}
    recipe = make_recipe(keys | {"stages": "compiled + supervised:rate=0.0"})
    presentation = Presentation.of(spec, recipe)
    architecture, written = compiled(presentation)
    models = [build_model(architecture, presentation.symbols) for _ in range(2)]
    cells = tuple(Cell(architecture, spec, recipe, 0.01, seed) for seed in (0, 1))
    training = Trainer(Population(models), Group(cells), presentation, lambda step, loss: None).run()
    expected = dict(written.named_parameters())
    for model in training.models:
        assert model.fitted_at is not None
        for step in (3, 6):
            assert all(torch.equal(model.checkpoints[step][name], value) for name, value in expected.items())


SMALL = ["run", "-t", "majority", "-a", "transformer:position=learned,width=8", "--recipe", "compiled"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compile", "reverse"], "reverse cannot be compiled: no RASP-L program is known"),
        (["run", "-t", "majority", "-a", "lstm", "--recipe", "compiled", "--set", "begin=true"], "position=learned"),
        (SMALL, "set begin=true"),
        (["run", "-t", "majority", "-a", "lstm", "--recipe", "supervised + compiled"], "must be the first stage"),
        ([*SMALL[:-1], "compiled:train=lora"], "leave train at all"),
        ([*SMALL, "--set", "begin=true"], "needs width=28,depth=3,heads=1"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line(words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
