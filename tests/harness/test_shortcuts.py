"""The shortcut audit finds what a simple reader can answer, and nothing else."""

import pytest
import torch
from torch import Tensor

from harness.data.presentation import Presentation
from harness.evaluation.readers import LINEAR_READERS, LOOKUP_READERS, readers_of
from harness.evaluation.shortcuts import Audit, ReaderScore
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, Answer, Stream, Task

CATALOG = Catalog()
TRAINED = list(range(1, 13))


class Made(Task):
    """A task whose answer is a function of one simple feature."""

    symbols = ("a", "b", "c")

    def __init__(self, feature: str, answer: Answer = "readout") -> None:
        self.feature, self.answer = feature, answer

    def sample(self, length: int, stream: Stream) -> Tensor:
        return stream.integers(3, length + 2)

    def solve(self, source: Tensor) -> Tensor:
        label = ANSWERS[self.feature](source)
        return label if label.dim() == 2 else label[:, None]


ANSWERS = {
    "constant": lambda source: torch.ones(len(source), dtype=torch.long),
    "length": lambda source: torch.full((len(source),), source.shape[1] % 2),
    "first token": lambda source: source[:, 0],
    "last token": lambda source: source[:, -1],
    "first and last token": lambda source: (source[:, 0] + source[:, -1]) % 3,
    "bag of symbols": lambda source: ((source == 0).sum(1) > (source == 1).sum(1)).long(),
    "counts modulo 2 and 3": lambda source: (source == 2).sum(1) % 3,
    "current token": lambda source: (source + 1) % 3,
    "previous token": lambda source: torch.cat((torch.full_like(source[:, :1], IGNORE), source[:, :-1]), dim=1),
    "next token": lambda source: torch.cat((source[:, 1:], torch.full_like(source[:, :1], IGNORE)), dim=1),
}


def scores(task: Task, length: int = 30) -> dict[str, ReaderScore]:
    return {score.reader: score for score in Audit(Presentation(task), "made", TRAINED).scores(length)}


@pytest.mark.parametrize("feature", ANSWERS)
def test_each_reader_answers_its_own_feature_beyond_training_too(feature: str) -> None:
    tag = feature.endswith("token") and feature.split()[0] in ("current", "previous", "next")
    at = scores(Made(feature, "tag" if tag else "readout"))
    least = 0.85 if feature == "bag of symbols" else 0.99
    assert at[feature].exact >= least, at
    others = {name for name, score in at.items() if score.exact > 0.9} - {feature}
    allowed = {"constant": set(at), "length": set(at), "last token": {"first and last token", "previous token"}}
    allowed["first token"] = {"first and last token"}
    assert others <= allowed.get(feature, set())


def test_every_reader_is_tested() -> None:
    assert set(ANSWERS) == set(LOOKUP_READERS) | set(LINEAR_READERS)


def test_no_reader_looks_where_models_may_not() -> None:
    assert "next token" in readers_of("tag", online=False)
    for mode, online in (("tag", True), ("generate", False), ("readout", False)):
        assert "next token" not in readers_of(mode, online)


@pytest.mark.parametrize(
    ("spec", "reader"),
    [
        ("missing_duplicate", "counts modulo 2 and 3"),
        ("lego:ask=last", "counts modulo 2 and 3"),
        ("parity", "counts modulo 2 and 3"),
        ("even_pairs", "first and last token"),
    ],
)
def test_known_answers_of_tasks(spec: str, reader: str) -> None:
    task = build_task(Spec.parse("task", spec, CATALOG))
    lengths = [length for length in range(1, 21) if length in task.lengths]
    audit = Audit(Presentation(task), spec, lengths)
    assert {score.reader: score.exact for score in audit.scores(40)}[reader] == 1.0


@pytest.mark.parametrize("spec", ["lego", "missing_duplicate:holes=2", "noisy_recall", "reverse", "mqar"])
def test_tasks_without_a_shortcut(spec: str) -> None:
    task = build_task(Spec.parse("task", spec, CATALOG))
    lengths = [length for length in range(1, 21) if length in task.lengths]
    assert Audit(Presentation(task), spec, lengths).floor(40).exact < 0.6


def test_the_floor_leaves_out_the_algorithm_itself() -> None:
    task = build_task(Spec.parse("task", "parity", CATALOG))
    floor = Audit(Presentation(task), "parity", TRAINED).floor(40)
    assert floor.reader != "counts modulo 2 and 3"
    assert floor.exact < 0.7


def test_an_audit_is_the_same_twice() -> None:
    assert scores(Made("bag of symbols")) == scores(Made("bag of symbols"))
