"""RASP-L: the language keeps its rules, a program's length is what its definition says, programs equal their tasks."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.catalog import Catalog, program_of
from harness.cli.overrides import Overrides, suite_of
from harness.errors import UserError
from harness.options import Spec, build_task
from harness.stream import Stream
from tasks import rasp
from tasks.base import IGNORE, Task
from tasks.rasp import END, START, RuleBroken, Sequence, choose
from tasks.rasp._machine import evaluate, forced, generate, graph, length, next_tokens

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
    return build_task(Spec.parse("task", spec, CATALOG), CATALOG)


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
        asked = answer != IGNORE
        said = forced(task.program, source, answer.masked_fill(~asked, 0), bound_of(task))
        assert torch.equal(said[:, :-1][asked], answer[asked]), (spec, size)
        if task.answer == "generate":
            end = asked.sum(1, keepdim=True)
            assert (said.gather(1, end) == END).all(), (spec, size)


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


TOKENS = torch.tensor([[3, 1, 3, 3, 0, 1, 2], [0, 1, 0, 1, 1, 1, 0]])


def prefixes(function: Callable[[list[int]], int]) -> torch.Tensor:
    """What a function of the tokens up to each position says there."""
    return torch.tensor([[function(row[: end + 1]) for end in range(len(row))] for row in TOKENS.tolist()])


def before(row: list[int]) -> list[int]:
    return row[:-1]


LIBRARY: dict[str, tuple[Callable[[Sequence], Sequence], Callable[[list[int]], int]]] = {
    "indices": (rasp.indices, lambda row: len(row) - 1),
    "full": (lambda x: rasp.full(x, 5), lambda row: 5),
    "shift_right": (rasp.shift_right, lambda row: row[-2] if len(row) > 1 else 0),
    "shift_right 3": (lambda x: rasp.shift_right(x, 3, 9), lambda row: row[-4] if len(row) > 3 else 9),
    "cumsum": (lambda x: rasp.cumsum(x == 1), lambda row: row.count(1)),
    "where": (lambda x: rasp.where(x > 1, x + 5, x * 2), lambda row: row[-1] + 5 if row[-1] > 1 else row[-1] * 2),
    "where index": (
        lambda x: rasp.where(x > 1, rasp.indices(x), x),
        lambda row: len(row) - 1 if row[-1] > 1 else row[-1],
    ),
    "mask": (lambda x: rasp.mask(x, x > 1, 7), lambda row: row[-1] if row[-1] > 1 else 7),
    "maximum": (rasp.maximum, max),
    "minimum": (rasp.minimum, min),
    "argmax": (rasp.argmax, lambda row: max(range(len(row)), key=lambda i: (row[i], i))),
    "argmin": (rasp.argmin, lambda row: min(range(len(row)), key=lambda i: (row[i], -i))),
    "num_prev": (lambda x: rasp.num_prev(x, x), lambda row: row.count(row[-1])),
    "has_seen": (lambda x: rasp.has_seen(x, rasp.full(x, 1)), lambda row: int(1 in row)),
    "firsts": (lambda x: rasp.firsts(x, x), lambda row: row.index(row[-1])),
    "lasts": (
        lambda x: rasp.lasts(x, rasp.full(x, 3)),
        lambda row: max((i for i, t in enumerate(row) if t == 3), default=-1),
    ),
    "index_select": (
        lambda x: rasp.index_select(x, rasp.firsts(x, x + 1), 8),
        lambda row: row[-1] + 1 if row[-1] + 1 in row else 8,
    ),
    "first_true": (lambda x: rasp.first_true(x == 1), lambda row: row.index(1) if 1 in row else -1),
    "induct": (lambda x: rasp.induct(x, x), lambda row: row[row.index(row[-1]) + 1] if row[-1] in before(row) else 0),
    "induct_prev": (
        lambda x: rasp.induct_prev(x, x),
        lambda row: row[max(i for i, t in enumerate(before(row)) if t == row[-1]) + 1] if row[-1] in before(row) else 0,
    ),
    "mode": (rasp.mode, lambda row: max(row, key=lambda t: (row.count(t), t))),
    "binary_mode": (lambda x: rasp.binary_mode(x == 1), lambda row: int(2 * row.count(1) > len(row))),
    "leq": (lambda x: rasp.leq(x, rasp.shift_right(x)), lambda row: int(row[-1] <= (row[-2] if len(row) > 1 else 0))),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_is_what_its_words_say(name: str) -> None:
    expression, meaning = LIBRARY[name]
    assert torch.equal(evaluate(graph(expression), TOKENS).data, prefixes(meaning))


@pytest.mark.parametrize("name", LIBRARY)
def test_nothing_looks_ahead(name: str) -> None:
    expression, _ = LIBRARY[name]
    whole = evaluate(graph(expression), TOKENS).data
    for end in range(1, TOKENS.shape[1]):
        assert torch.equal(evaluate(graph(expression), TOKENS[:, :end]).data, whole[:, :end])


@pytest.mark.parametrize(
    ("program", "operations"),
    [
        (lambda x: x, 0),
        (lambda x: x + 1, 1),
        (lambda x: (x + 1) * (x + 1), 2),  # the same operation twice is one
        (lambda x: (x + 1) * (x + 2), 3),
        (rasp.shift_right, 4),  # indices, a step, select, max
        (lambda x: rasp.shift_right(x, 3), 6),
        (lambda x: rasp.shift_right(x) + rasp.shift_right(x), 5),
        (lambda x: rasp.where(x, x, x), 2),
        (rasp.mode, 6),  # times (2), their maximum (2), select and max
        (lambda x: rasp.tok_map(rasp.tok_map(x, lambda t: t), lambda t: t), 2),
    ],
)
def test_length_counts_core_operations(program: Callable[[Sequence], Sequence], operations: int) -> None:
    assert length(program) == operations


BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "doubles an index": (lambda x: rasp.indices(x) * 2 == x, "computes with an index"),
    "adds indices": (lambda x: rasp.indices(x) + rasp.indices(x) == x, "computes with an index"),
    "steps by two": (lambda x: rasp.indices(x) + 2 == x, "computes with an index"),
    "computes with a count": (lambda x: rasp.num_prev(x, x) % 2, "computes with an index"),
    "hides it in a function": (lambda x: rasp.tok_map(rasp.indices(x), lambda i: i % 2), "computes with an index"),
    "hides it in a predicate": (
        lambda x: rasp.sel_width(rasp.select(rasp.indices(x), rasp.indices(x), lambda k, q: k + k == q)) > 1,
        "computes with an index",
    ),
    "gives out an index": (rasp.indices, "gives out an index"),
    "gives out a mean": (lambda x: rasp.kqv(x, x, x, rasp.true), "gives out a mean"),
    "computes with a mean": (lambda x: rasp.kqv(x, x, x, rasp.true) * 2 > 1, "computes with a mean"),
    "branches": (lambda x: rasp.tok_map(x, lambda t: 1 if t > 3 else 0), "branches on a value"),
    "branches outside": (lambda x: x if x > 3 else x + 1, "branches on a value"),
    "looks ahead": (lambda x: rasp.sel_width(rasp.select(x, x, rasp.equals, causal=False)) > 1, "causal"),
    "grows": (lambda x: x * 100, "bounded by 127"),
    "uses fractions": (lambda x: x + 0.5, "integers"),
    "is no sequence": (lambda x: 3, "must give back a sequence, not int"),
    "closes over a sequence": (lambda x: rasp.tok_map(x, lambda t: t + x), "by `seq_map`"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules_are_one_clear_line(name: str) -> None:
    program, words = BROKEN[name]
    with pytest.raises(RuleBroken, match=words) as caught:
        next_tokens(program, TOKENS, bound=127)
    assert "\n" not in str(caught.value)


def test_programs_that_never_end_or_leave_their_alphabet_are_told() -> None:
    with pytest.raises(RuleBroken, match=r"never ends: no END after 9 tokens, on a question of 7"):
        generate(lambda x: rasp.full(x, 1), TOKENS, 4, 9, IGNORE)
    with pytest.raises(RuleBroken, match=r"leaves its alphabet: it gives out 4, beyond 0 to 3"):
        generate(lambda x: x + 1, TOKENS[:, :4], 4, 99, IGNORE)


def test_generate_ends_row_by_row() -> None:
    def down(x: Sequence) -> Sequence:
        """From the last token down to 1."""
        begun = rasp.shift_right(x)
        return rasp.seq_map(x, begun, lambda t, last: choose(t == START, last, choose(t <= 1, END, t - 1)))

    answers = generate(down, torch.tensor([[0, 3], [4, 1]]), 5, 9, IGNORE)
    assert answers.tolist() == [[3, 2, 1], [1, IGNORE, IGNORE]]


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


def two_arguments(x, y):
    return x
'''


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Catalog]:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    yield Catalog((file,))
    sys.modules.pop("lengthwise_plugin_mine")


def test_each_program_of_a_file_is_a_task(mine: Catalog) -> None:
    names = [entry.name for entry in mine.entries["task"].values() if entry.origin == "plug-in"]
    assert names == [f"mine.{each}" for each in ("echo", "forever", "leaves", "branches", "divides")]
    task = build_task(Spec.parse("task", "mine.echo", mine), mine)
    assert (task.symbols, task.lengths) == (tuple("abcdefgh"), range(1, 9))
    source = task.sample(6, Stream.of([0], "mine.echo", "test", 0, 8, "cpu"))
    assert torch.equal(task.solve(source), source)
    assert all(len(set(row)) == 6 for row in source.tolist())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("forever", "task mine.forever: the program never ends: no END after 110 tokens"),
        ("leaves", "task mine.leaves: the program leaves its alphabet: it gives out 8"),
        ("branches", "task mine.branches: the program branches on a value"),
        ("divides", "task mine.divides: the program raises TypeError: unsupported operand"),
    ],
)
def test_what_is_wrong_with_a_users_program_is_one_clear_line(mine: Catalog, name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        build_task(Spec.parse("task", f"mine.{name}", mine), mine)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_a_file_and_a_function_name_a_program() -> None:
    assert program_of("some/mine.py:echo") == (Path("some/mine.py"), "mine.echo")
    assert program_of("addition:base=2") == (None, "addition:base=2")
    suite = suite_of(None, Overrides(architectures=["lstm"], tasks=["some/mine.py:echo", "parity"]))
    assert [entry.task for entry in suite.tasks] == ["mine.echo", "parity"]
    assert suite.plugins == [str(Path("some/mine.py").resolve())]


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
