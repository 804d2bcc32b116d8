"""The worked examples in the docstrings of tasks are correct."""

import pytest

from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.base import Example, decode, encode, worked_examples

CATALOG = Catalog()
EXAMPLES = [
    (name, example) for name in CATALOG.names("task") for example in worked_examples(CATALOG.find("task", name).cls)
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=str)
def test_example(name: str, example: Example) -> None:
    task = build_task(Spec.parse("task", f"{name}:{example.options}".removesuffix(":"), CATALOG))
    answer = task.solve(encode(task.symbols, example.source))
    assert decode(task.symbols, answer[0]) == example.answer


def test_every_task_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(CATALOG.names("task"))


def test_no_example_is_overlooked() -> None:
    """Each line with an arrow after ``Examples:`` is read, with its options and without its remark."""
    for name in CATALOG.names("task"):
        cls = CATALOG.find("task", name).cls
        lines = [line for line in (cls.__doc__ or "").partition("Examples:")[2].splitlines() if " -> " in line]
        read = list(worked_examples(cls))
        assert len(read) == len(lines)
        assert all(str(example) in line for example, line in zip(read, lines, strict=True))
