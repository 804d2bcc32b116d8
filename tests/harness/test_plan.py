"""The plan: cells in order, where each is evaluated, what cannot be asked of whom, and widths for equal sizes."""

from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import make
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.execution.plan import Plan, make_plan
from harness.registry.catalog import Catalog
from harness.registry.options import build_model, build_task

ENCODER = '''"""Sees everything at once."""
from torch import nn
from architectures.base import Mixer

class Encoder(Mixer):
    """The mean of all positions."""

    causal = False

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        return self.out(x + x.mean(1, keepdim=True))
'''

TAGS = '''"""Labels."""
from tasks.base import Task

class Tags(Task):
    """Say what will come next, which the source tells to whoever looks ahead.

    Examples:
        0 1 -> 1 1
    """

    symbols, answer, online = ("0", "1"), "tag", {online}

    def sample(self, length, stream):
        return stream.integers(2, length)

    def solve(self, source):
        return source.roll(-1, 1) | source
'''


def plan(catalog: Catalog | None = None, **values: Any) -> Plan:
    suite: dict[str, Any] = {"name": "s", "architectures": ["lstm:width=8"], "tasks": ["parity"], "seeds": 2} | values
    return make_plan(make(suite, "test"), catalog or Catalog())


def test_cells_are_every_combination_task_by_task() -> None:
    made = plan(architectures=["lstm", "transformer"], tasks=["parity", "reverse"], learning_rates=[1e-3, 1e-2])
    cells = made.cells
    assert len(cells) == len({cell.id for cell in cells}) == 2 * 2 * 2 * 2
    assert [cell.task.name for cell in cells] == ["parity"] * 8 + ["reverse"] * 8
    assert [cell.seed for cell in cells[:4]] == [0, 1, 0, 1]
    assert [cell.learning_rate for cell in cells[:4]] == [1e-3, 1e-3, 1e-2, 1e-2]


def test_a_cells_identity_is_what_was_trained() -> None:
    first, same = plan(), plan(samples=7, test_lengths="50", title="other", seeds=1)
    assert first.cells[0].id == same.cells[0].id
    changed = [plan(recipe={"steps": 7}), plan(learning_rates=[0.5]), plan(architectures=["lstm:width=9"])]
    changed += [plan(tasks=["majority"]), plan(tasks=[{"task": "parity", "steps": 7}])]
    assert first.cells[0].id not in {each.cells[0].id for each in changed}
    assert changed[0].cells[0].id == changed[-1].cells[0].id
    assert plan(recipe={"train_lengths": " 1 : 20 "}).cells[0].id == first.cells[0].id


def test_the_same_twice_is_one_cell() -> None:
    made = plan(architectures=["lstm:width=8,depth=1", "lstm:depth=1, width=8"], tasks=["parity", "parity"])
    assert len(made.cells) == 2


def test_options_for_all_reach_those_that_have_them() -> None:
    made = plan(architectures=["lstm", "bahdanau", "lstm:depth=3"], model={"depth": 1, "width": 8})
    assert [str(spec) for spec in made.architectures] == [
        "lstm:depth=1,width=8",
        "bahdanau:width=8",
        "lstm:depth=3,width=8",
    ]
    with pytest.raises(UserError, match=r"\[model\] heads"):
        plan(model={"heads": 2})


def test_evaluation_covers_training_lengths_and_those_asked_for() -> None:
    made = plan(test_lengths="30,50", recipe={"train_lengths": "1:20"})
    (variant,) = made.tasks[0].variants
    assert variant.lengths == (1, 6, 11, 15, 20, 30, 50)
    with pytest.raises(UserError, match="test length 20 lies inside the training lengths 1:20"):
        plan(test_lengths="20,30", recipe={"train_lengths": "1:20"})


def test_lengths_the_task_has_not_are_skipped_and_told() -> None:
    made = plan(tasks=["count:numbers=40"], test_lengths="30,50,60", recipe={"train_lengths": "1:20"})
    assert made.tasks[0].variants[0].lengths[-1] == 30
    assert made.notes == ["count:numbers=40 has no length 50, 60; skipped (it has 1 to 40)"]
    with pytest.raises(UserError, match="has none of the test lengths; it has 1 to 40"):
        plan(tasks=["count:numbers=40"], test_lengths="50")
    with pytest.raises(UserError, match="has no length in train lengths 41:50"):
        plan(tasks=["count:numbers=40"], test_lengths="60", recipe={"train_lengths": "41:50"})


def test_variants_belong_to_their_task() -> None:
    other = {"name": "padded", "task": "addition:padding=2", "test_lengths": "30"}
    made = plan(tasks=["addition", "parity"], evaluation=[other])
    assert [[v.name for v in question.variants] for question in made.tasks] == [["", "padded"], [""]]
    with pytest.raises(UserError, match="its alphabet differs"):
        plan(tasks=["addition"], evaluation=[other | {"task": "addition:base=2"}])


def test_a_variant_of_one_entry_is_of_no_other() -> None:
    """Entries compare as specs: `of` may write its options in any order."""
    tasks = ["addition", "addition:base=2,order=reversed", "addition:base=2"]
    only = {"name": "padded", "task": "addition:base=2,padding=2", "of": "addition: order=reversed, base=2"}
    made = plan(tasks=tasks, evaluation=[only | {"test_lengths": "30"}])
    assert [[v.name for v in question.variants] for question in made.tasks] == [[""], ["", "padded"], [""]]
    for of, words in {
        "addition:base=3": r"of='addition:base=3' is no addition .*; did you mean addition:base=2",
        "parity": r"of='parity' is no addition of this suite; choose from addition, addition:base=2, ",
    }.items():
        with pytest.raises(UserError, match=words):
            plan(tasks=[*tasks, "parity"], evaluation=[only | {"test_lengths": "30", "of": of}])


@pytest.fixture
def with_encoder(tmp_path: Path) -> Catalog:
    files = {"onlooker": ENCODER, "tags": TAGS.format(online=False), "foretold": TAGS.format(online=True)}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    return Catalog(tuple(tmp_path / f"{name}.py" for name in files))


REFUSED = {"parity": "", "reverse": "not causal", "tags": "", "foretold": "not online"}


@pytest.mark.parametrize("task", REFUSED)
def test_what_cannot_be_asked_of_a_model_that_looks_ahead(with_encoder: Catalog, task: str) -> None:
    made = plan(with_encoder, architectures=["onlooker", "lstm"], tasks=[task])
    refused = {(str(p.architecture), str(p.task.task)): p.obstacle for p in made.not_applicable}
    assert [name for name, _ in refused] == (["onlooker"] if REFUSED[task] else [])
    assert refused.get(("onlooker", task), "").startswith(REFUSED[task])
    assert {cell.architecture.name for cell in made.cells} == {"onlooker", "lstm"} - {name for name, _ in refused}


def test_asked_to_read_out_the_same_model_may_answer(with_encoder: Catalog) -> None:
    made = plan(with_encoder, architectures=["onlooker"], tasks=["reverse"], recipe={"answer": "readout"})
    assert made.cells
    assert not made.not_applicable


def test_ways_a_task_has_not_are_not_applicable() -> None:
    made = plan(tasks=["parity", {"task": "reverse", "answer": "tag"}])
    assert [(str(pair.task.task), pair.obstacle) for pair in made.not_applicable] == [
        ("reverse", "a generate task cannot be asked as tag")
    ]


def test_training_beyond_the_reach_is_not_applicable() -> None:
    name = "transformer:position=learned,reach=40"
    made = plan(
        architectures=[name], tasks=["parity", "reverse"], recipe={"train_lengths": "1:20"}, test_lengths="21:80"
    )
    assert [str(cell.task) for cell in made.cells] == ["parity"] * 2
    assert "training length 20 takes 41 positions, beyond its reach of 40" in made.not_applicable[0].obstacle


def test_sizes_are_those_of_the_models() -> None:
    catalog = Catalog()
    made = plan(catalog, architectures=["lstm:width=8", "transformer"], tasks=["reverse"])
    for pair in made.pairs:
        symbols = Presentation(build_task(pair.task.task)).symbols
        assert pair.parameters == sum(p.numel() for p in build_model(pair.architecture, symbols).parameters())


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_widths_are_solved_for_equal_sizes(name: str) -> None:
    """No multiple of eight is nearer, and a miss by more than five percent is told."""
    target = 20_000
    made = plan(architectures=[f"{name}:depth=1"], match="parameters:20k")
    (size,), (note,) = (pair.parameters or 0 for pair in made.pairs), made.notes
    others = [plan(architectures=[f"{name}:depth=1,width={width}"]).pairs[0] for width in range(8, 129, 8)]
    assert abs(size - target) <= min(abs((pair.parameters or 0) - target) for pair in others)
    assert note.startswith(f"matched: {made.architectures[0]} has {size:,} parameters")
    assert ("more than 5% off" in note) == (abs(size / target - 1) > 0.05)


def test_a_size_has_a_form() -> None:
    with pytest.raises(UserError, match="write parameters:NUMBER"):
        plan(match="300k")
