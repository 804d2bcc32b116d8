"""The plan: the order of cells, their test lengths, pairs that cannot be trained, and matched widths."""

from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_texts import MIXER

from harness.config.suite import load, make
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.execution.make_plan import make_plan
from harness.execution.plan import Plan
from harness.execution.rate_search import with_chosen_rates
from harness.models.population import build_seeded
from harness.registry.catalog import Catalog, Kind
from harness.registry.fingerprint import fingerprint_of
from harness.registry.options import Spec, build_model, build_task
from harness.storage.folder import RunFolder

REFERENCE = Path(__file__).parents[2] / "results/reference"

TAGS = '''"""Labels."""
from tasks.base import Task

class Tags(Task):
    """Label each position with its symbol or the next one, whichever is greater.

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


def test_cells_are_all_combinations_task_by_task() -> None:
    cells = plan(architectures=["lstm", "transformer"], tasks=["parity", "reverse"], first_seed=5).cells
    assert len(cells) == len({cell.id for cell in cells}) == 2 * 2 * 2
    assert [cell.task.name for cell in cells] == ["parity"] * 4 + ["reverse"] * 4
    assert [cell.seed for cell in cells] == [5, 6] * 4
    assert {cell.learning_rate for cell in cells} == {1e-3}


def test_a_cell_id_depends_only_on_what_is_trained() -> None:
    first, same = plan(), plan(samples=7, test_lengths="50", title="other", seeds=1)
    assert first.cells[0].id == same.cells[0].id
    changed = [plan(recipe={"steps": 7}), plan(learning_rates=[0.5]), plan(architectures=["lstm:width=9"])]
    changed += [plan(tasks=["majority"]), plan(tasks=[{"task": "parity", "steps": 7}])]
    assert first.cells[0].id not in {other.cells[0].id for other in changed}
    assert changed[0].cells[0].id == changed[-1].cells[0].id
    assert plan(recipe={"train_lengths": " 1 : 20 "}).cells[0].id == first.cells[0].id


def test_equal_entries_give_one_cell() -> None:
    planned = plan(architectures=["lstm:width=8,depth=1", "lstm:depth=1, width=8"], tasks=["parity", "parity"])
    assert len(planned.cells) == 2


def test_repeated_entries_are_noted() -> None:
    planned = plan(architectures=["lstm", "lstm:width=64", "gru", "gru"], tasks=["parity", "parity", "majority"])
    assert [str(spec) for spec in planned.architectures] == ["lstm", "gru"]
    assert planned.notes == [
        "architecture lstm:width=64 is the same as lstm; it is trained once",
        "architecture gru is given twice; it is trained once",
        "task parity is given twice; it is trained once",
    ]
    assert plan(tasks=["parity", {"task": "parity", "steps": 7}]).notes != planned.notes[2:]


def test_a_warm_up_that_is_longer_than_training_is_noted() -> None:
    (note,) = plan(recipe={"steps": 50, "warmup": 200}).notes
    assert "the warm-up of 200 steps is longer than the training of 50" in note
    assert "ends at 25% of its peak" in note
    assert not plan(recipe={"steps": 200, "warmup": 200}).notes


@pytest.mark.parametrize(
    ("kind", "written", "short"),
    [
        ("architecture", "lstm:width=64", "lstm"),
        ("architecture", "lstm:dropout=0,width=8", "lstm:width=8"),
        ("task", "reverse:alphabet=2", "reverse:alphabet=2"),
        ("task", "mqar:pairs=4,keys=16", "mqar:keys=16"),
    ],
)
def test_an_option_at_its_default_is_left_out(kind: Kind, written: str, short: str) -> None:
    catalog = Catalog()
    spec, same = Spec.parse(kind, written, catalog), Spec.parse(kind, short, catalog)
    assert (spec, str(spec), hash(spec)) == (same, short, hash(same))
    assert fingerprint_of(spec) == fingerprint_of(same)
    assert dict(spec.as_written().options).keys() == {part.split("=")[0] for part in written.split(":")[1].split(",")}
    if kind == "architecture":
        models = [build_seeded(each, ("0", "1"), seed=0) for each in (spec, same)]
        assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))


def test_an_option_that_is_written_wins_over_the_suite_even_at_its_default() -> None:
    planned = plan(architectures=["lstm", "lstm:width=64"], model={"width": 32})
    assert [str(spec) for spec in planned.architectures] == ["lstm:width=32", "lstm"]
    planned = plan(architectures=["lstm"], model={"width": 64})
    assert planned.cells[0].id == plan(architectures=["lstm"]).cells[0].id


def test_ids_of_specs_without_defaults_and_of_default_recipes_stay() -> None:
    """The ids of the cells of the reference run of the suite quick, whose learning rates are chosen."""
    planned, record = make_plan(load("quick"), Catalog()), RunFolder(REFERENCE / "quick").run()
    assert record is not None
    chosen = with_chosen_rates(planned, RunFolder(REFERENCE / "quick"))
    assert len(chosen.chosen_rates) == len(planned.pairs)
    assert [cell.id for cell in chosen.cells] == record.cells


def test_model_options_apply_to_architectures_that_have_them() -> None:
    planned = plan(architectures=["lstm", "bahdanau", "lstm:depth=3"], model={"depth": 1, "width": 8})
    assert [str(spec) for spec in planned.architectures] == [
        "lstm:depth=1,width=8",
        "bahdanau:width=8",
        "lstm:depth=3,width=8",
    ]
    with pytest.raises(UserError, match=r"\[model\] heads"):
        plan(model={"heads": 2})


def test_evaluation_covers_training_and_test_lengths() -> None:
    planned = plan(test_lengths="30,50", recipe={"train_lengths": "1:20"})
    (variant,) = planned.tasks[0].variants
    assert variant.lengths == (1, 6, 11, 15, 20, 30, 50)
    with pytest.raises(UserError, match="test length 20 lies inside the training lengths 1:20"):
        plan(test_lengths="20,30", recipe={"train_lengths": "1:20"})


def test_missing_lengths_are_skipped_with_a_note() -> None:
    planned = plan(tasks=["count:numbers=40"], test_lengths="30,50,60", recipe={"train_lengths": "1:20"})
    assert planned.tasks[0].variants[0].lengths[-1] == 30
    assert planned.notes == ["count:numbers=40 has no length 50, 60; skipped (it has 1 to 40)"]
    with pytest.raises(UserError, match="has none of the test lengths; it has 1 to 40"):
        plan(tasks=["count:numbers=40"], test_lengths="50")
    with pytest.raises(UserError, match="has no length in train lengths 41:50"):
        plan(tasks=["count:numbers=40"], test_lengths="60", recipe={"train_lengths": "41:50"})


def test_variants_belong_to_their_task() -> None:
    other = {"name": "padded", "task": "addition:padding=2", "test_lengths": "30"}
    planned = plan(tasks=["addition", "parity"], evaluation=[other])
    assert [[v.name for v in task.variants] for task in planned.tasks] == [["", "padded"], [""]]
    with pytest.raises(UserError, match="its alphabet differs"):
        plan(tasks=["addition"], evaluation=[other | {"task": "addition:base=2"}])


def test_of_limits_a_variant_to_one_entry() -> None:
    """Entries compare as specs: `of` may write its options in any order."""
    tasks = ["addition", "addition:base=2,order=reversed", "addition:base=2"]
    only = {"name": "padded", "task": "addition:base=2,padding=2", "of": "addition: order=reversed, base=2"}
    planned = plan(tasks=tasks, evaluation=[only | {"test_lengths": "30"}])
    assert [[v.name for v in task.variants] for task in planned.tasks] == [[""], ["", "padded"], [""]]
    for of, words in {
        "addition:base=3": r"of='addition:base=3' is no addition .*; did you mean addition:base=2",
        "parity": r"of='parity' is no addition of this suite; choose from addition, addition:base=2, ",
    }.items():
        with pytest.raises(UserError, match=words):
            plan(tasks=[*tasks, "parity"], evaluation=[only | {"test_lengths": "30", "of": of}])


@pytest.fixture
def with_encoder(tmp_path: Path) -> Catalog:
    files = {"not_causal": MIXER, "tags": TAGS.format(online=False), "online_tags": TAGS.format(online=True)}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    return Catalog(tuple(tmp_path / f"{name}.py" for name in files))


OBSTACLES = {"parity": "", "reverse": "not causal", "tags": "", "online_tags": "not online"}


@pytest.mark.parametrize("task", OBSTACLES)
def test_pairs_that_a_model_that_looks_ahead_cannot_train(with_encoder: Catalog, task: str) -> None:
    planned = plan(with_encoder, architectures=["not_causal", "lstm"], tasks=[task])
    obstacles = {(str(p.architecture), str(p.task.task)): p.obstacle for p in planned.not_applicable}
    assert [name for name, _ in obstacles] == (["not_causal"] if OBSTACLES[task] else [])
    assert obstacles.get(("not_causal", task), "").startswith(OBSTACLES[task])
    trained = {"not_causal", "lstm"} - {name for name, _ in obstacles}
    assert {cell.architecture.name for cell in planned.cells} == trained


def test_a_model_that_is_not_causal_can_be_asked_as_readout(with_encoder: Catalog) -> None:
    planned = plan(with_encoder, architectures=["not_causal"], tasks=["reverse"], recipe={"answer": "readout"})
    assert planned.cells
    assert not planned.not_applicable


def test_modes_that_a_task_does_not_have_are_not_applicable() -> None:
    planned = plan(tasks=["parity", {"task": "reverse", "answer": "tag"}])
    assert [(str(pair.task.task), pair.obstacle) for pair in planned.not_applicable] == [
        ("reverse", "a generate task cannot be asked as tag")
    ]


def test_training_beyond_the_maximum_length_is_not_applicable() -> None:
    name = "transformer:position=learned,reach=40"
    planned = plan(
        architectures=[name], tasks=["parity", "reverse"], recipe={"train_lengths": "1:20"}, test_lengths="21:80"
    )
    assert [str(cell.task) for cell in planned.cells] == ["parity"] * 2
    assert "training length 20 takes 41 positions, beyond its reach of 40" in planned.not_applicable[0].obstacle


def test_the_plan_has_the_parameters_of_the_models() -> None:
    catalog = Catalog()
    planned = plan(catalog, architectures=["lstm:width=8", "transformer"], tasks=["reverse"])
    for pair in planned.pairs:
        symbols = Presentation(build_task(pair.task.task)).symbols
        assert pair.parameters == sum(p.numel() for p in build_model(pair.architecture, symbols).parameters())


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_matched_widths_are_the_nearest(name: str) -> None:
    """No multiple of eight is nearer, and a deviation above five percent is noted."""
    target = 20_000
    planned = plan(architectures=[f"{name}:depth=1"], match="parameters:20k")
    (size,), (note,) = (pair.parameters or 0 for pair in planned.pairs), planned.notes
    others = [plan(architectures=[f"{name}:depth=1,width={width}"]).pairs[0] for width in range(8, 129, 8)]
    assert abs(size - target) <= min(abs((pair.parameters or 0) - target) for pair in others)
    assert note.startswith(f"matched: {planned.architectures[0]} has {size:,} parameters")
    assert ("more than 5% off" in note) == (abs(size / target - 1) > 0.05)


def test_match_has_a_format() -> None:
    with pytest.raises(UserError, match="write parameters:NUMBER"):
        plan(match="300k")
