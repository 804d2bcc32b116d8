"""RASP-L programs: those of the catalog agree with their tasks, and those of a user become tasks."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from harness.check import run_checks
from harness.cli import app
from harness.cli.suite_options import Overrides, suite_of
from harness.data.rng import Stream
from harness.errors import UserError
from harness.registry.catalog import Catalog, split_file
from harness.registry.options import Spec, build_task
from harness.registry.plugin_import import forget
from tasks import rasp
from tasks.base import IGNORE, Task
from tasks.rasp import END
from tasks.rasp._machine import generate, teacher_forced

CATALOG = Catalog()
LENGTHS = (1, 2, 3, 5, 8, 13, 21, 40, 63, 64, 65, 100, 200)
WITH_PROGRAM = [
    "count",
    "count:numbers=600",
    "copy:unique=true",
    "copy:unique=true,alphabet=300",
    "sort",
    "sort:alphabet=5",
    "sort:unique=true",
    "majority",
    "mode",
    "mode:alphabet=2",
    "mode:alphabet=26",
    "boolean_and",
    "boolean_and:varied=true",
    "parity_scratchpad",
    "parity_scratchpad:hints=250",
    "parity_scratchpad:scratchpad=ones",
    "parity_scratchpad:scratchpad=ones,hints=250",
    "addition:hints=40,order=reversed",
    "addition:hints=250,order=reversed",
    "addition:base=2,hints=250,order=reversed,padding=1",
    "addition:base=36,hints=40,order=reversed,padding=3",
]


def task_of(spec: str) -> Task:
    return build_task(Spec.parse("task", spec, CATALOG))


def bound_of(task: Task) -> int:
    return max(127, 2 * len(task.symbols))


@pytest.mark.parametrize("spec", WITH_PROGRAM)
def test_one_pass_of_the_program_is_solve_at_every_answer_position(spec: str) -> None:
    task = task_of(spec)
    assert task.program is not None
    for size in LENGTHS:
        if size not in task.lengths:
            continue
        source = task.sample(size, Stream.of([0], spec, "test", size, 16 if size < 64 else 2, "cpu"))
        answer = task.solve(source)
        counted = answer != IGNORE
        output = teacher_forced(task.program, source, answer.masked_fill(~counted, 0), bound_of(task))
        assert torch.equal(output[:, :-1][counted], answer[counted]), (spec, size)
        if task.answer == "generate":
            end = counted.sum(1, keepdim=True)
            assert (output.gather(1, end) == END).all(), (spec, size)


def test_every_program_in_the_catalog_is_tested() -> None:
    carrying = {name for name in CATALOG.names("task") if task_of(name).program is not None}
    assert carrying <= {spec.partition(":")[0] for spec in WITH_PROGRAM}


@pytest.mark.parametrize("spec", ["count", "parity_scratchpad:scratchpad=ones", "addition:hints=40,order=reversed"])
def test_a_program_on_its_own_answers_is_solve(spec: str) -> None:
    task = task_of(spec)
    assert task.program is not None
    source = task.sample(7, Stream.of([0], spec, "test", 0, 16, "cpu"))
    expected = task.solve(source)
    answer = generate(task.program, source, len(task.symbols), limit=40, ignore=IGNORE)
    assert torch.equal(answer, expected[:, : answer.shape[1]])
    assert (expected[:, answer.shape[1] :] == IGNORE).all()


MINE = '''
"""Programs of a user."""

from tasks.rasp import END, START, choose, equals, full, kqv, shift_right, tok_map

ALPHABET = "abcdefgh"
DISTINCT = True


def echo(x):
    following = kqv(shift_right(x, default=START), x, x, equals, reduction="max")
    return tok_map(following, lambda token: choose(token == START, END, token))


def forever(x):
    return full(x, 1)


def leaves(x):
    return full(x, 8)


def branches(x):
    return tok_map(x, lambda token: 1 if token > 0 else END)


def divides(x):
    return x / 2


def _helper(x):
    return x


def empty(x):
    return full(x, END)


def two_arguments(x, y):
    return x
'''


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Catalog]:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    yield Catalog((file,))
    forget(file)


def test_each_program_of_a_file_is_a_task(mine: Catalog) -> None:
    names = [entry.name for entry in mine.entries["task"].values() if entry.origin == "plug-in"]
    assert names == [f"mine.{name}" for name in ("echo", "forever", "leaves", "branches", "divides", "empty")]
    task = build_task(Spec.parse("task", "mine.echo", mine))
    assert (task.symbols, task.lengths) == (tuple("abcdefgh"), range(1, 9))
    source = task.sample(6, Stream.of([0], "mine.echo", "test", 0, 8, "cpu"))
    assert torch.equal(task.solve(source), source)
    assert all(len(set(row)) == 6 for row in source.tolist())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("forever", "task mine.forever: the program never ends: no END after 110 tokens"),
        ("leaves", "task mine.leaves: the program leaves its alphabet: it outputs 8"),
        ("branches", "task mine.branches: the program branches on a value"),
        ("divides", "task mine.divides: the program raises TypeError: unsupported operand"),
        ("empty", "task mine.empty: the program says END at once for the source `"),
    ],
)
def test_what_is_wrong_with_a_users_program_is_one_clear_line(mine: Catalog, name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        build_task(Spec.parse("task", f"mine.{name}", mine))
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
    failed = list(run_checks(Spec.parse("task", f"mine.{name}", mine)))
    assert [(result.name, result.problem) for result in failed] == [("program", str(caught.value))]


def test_a_file_of_programs_is_listed_and_one_of_them_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    shown = CliRunner().invoke(app, ["show", "mine.py"])
    listed = [line.split()[0] for line in shown.stdout.splitlines() if line.strip()]
    assert listed[2:-1] == ["echo", "forever", "leaves", "branches", "divides", "empty"]
    for line, words in {
        "show mine.py:ehco": "did you mean mine.echo?",
        "run -t mine.py -a lstm": "choose one as mine.py:FUNCTION from echo, forever",
        "run -t mine -a lstm": "for the file of that name write mine.py",
    }.items():
        result = CliRunner().invoke(app, line.split())
        assert (result.exit_code, words in result.stderr) == (2, True)


def test_a_file_and_a_function_name_a_program() -> None:
    assert split_file("some/mine.py:echo") == (Path("some/mine.py"), "mine.echo")
    assert split_file("some/mine.py:heads=2") == (Path("some/mine.py"), "mine:heads=2")
    assert split_file("some/mine.py") == (Path("some/mine.py"), "mine")
    assert split_file("addition:base=2") == (None, "addition:base=2")
    suite = suite_of(None, Overrides(architectures=["lstm"], tasks=["some/mine.py:echo", "parity"]))
    assert [entry.task for entry in suite.tasks] == ["mine.echo", "parity"]
    assert suite.plugins == [str(Path("some/mine.py").resolve())]


def test_a_program_that_needs_distinct_tokens_must_say_so(tmp_path: Path) -> None:
    file = tmp_path / "repeats.py"
    file.write_text(MINE.replace("DISTINCT = True\n", ""))
    catalog = Catalog((file,))
    with pytest.raises(UserError, match=r"the program never ends: .*; if its tokens must differ, declare"):
        build_task(Spec.parse("task", "repeats.echo", catalog))
    forget(file)


def test_the_example_of_the_language_runs(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    text = (rasp.__doc__ or "").partition("::\n")[2]
    file.write_text(textwrap.dedent(text))
    catalog = Catalog((file,))
    task = build_task(Spec.parse("task", "example.copy", catalog))
    source = task.sample(10, Stream.of([0], "example.copy", "test", 0, 64, "cpu"))
    assert torch.equal(task.solve(source), source)
    results = list(run_checks(Spec.parse("task", "example.copy", catalog)))
    assert len(results) > 10
    assert not [result.problem for result in results if not result.ok]
    forget(file)
