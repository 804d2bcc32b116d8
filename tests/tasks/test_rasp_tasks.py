"""Tasks of RASP-L: the distributions of sources, and the tokens of a scratchpad that are graded."""

import pytest
import torch

from harness.data.rng import Stream
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, Task

CATALOG = Catalog()


def task_of(spec: str) -> Task:
    return build_task(Spec.parse("task", spec, CATALOG))


def test_mode_has_no_ties_and_no_favourite() -> None:
    task = task_of("mode:alphabet=3")
    source = task.sample(6, Stream.of([0], "mode", "test", 0, 6000, "cpu"))
    times = torch.nn.functional.one_hot(source, 3).sum(1).sort(dim=1).values
    assert bool((times[:, -1] > times[:, -2]).all())
    assert torch.bincount(task.solve(source)[:, 0]).div(6000).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_the_fixed_bits_of_boolean_and_vary_in_the_evaluation_only() -> None:
    for varied in (False, True):
        task = task_of(f"boolean_and:varied={varied}")
        source = task.sample(20, Stream.of([0], "and", "test", 0, 6000, "cpu"))
        still = (source == 1).all(0)
        assert still.tolist() == ([True] * 15 + [False] * 5 if varied else [False] * 15 + [True] * 5)
        assert task.solve(source).double().mean().item() == pytest.approx(0.5, abs=0.03)
        zeros = (source == 0).sum(1)
        assert set(zeros.tolist()) == set(range(6 if varied else 16))


@pytest.mark.parametrize("spec", ["parity_scratchpad:scratchpad=ones", "mode:scratchpad=true"])
def test_only_the_last_token_of_a_scratchpad_counts(spec: str) -> None:
    task = task_of(spec)
    source = task.sample(9, Stream.of([0], spec, "test", 0, 64, "cpu"))
    target = task.solve(source)
    correct, counted = task.grade(source, target, target)
    assert (counted.sum(1) == 1).all()
    assert correct[counted].all()
    last = (target != IGNORE).sum(1, keepdim=True) - 1
    assert counted.gather(1, last).all()
    ended = torch.cat((target, torch.full_like(last, IGNORE)), dim=1).scatter(1, last + 1, len(task.symbols) + 1)
    assert torch.equal(task.grade(source, ended, ended)[1][:, :-1], counted)  # END is not the task's to grade
