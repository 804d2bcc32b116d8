"""Fuzzed suites, records and command lines give a valid result or one line: never a traceback, never a hang.

Inputs are valid ones with a few changes. A few of each kind are tried here; ``make fuzz`` tries a thousand.
"""

import copy
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import typer
from command_line import SUITE, call
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_resume import plan as small_plan
from test_resume import run as train

from harness.analysis.load import frames
from harness.config.suite import load, make
from harness.errors import UserError
from harness.execution.make_plan import make_plan
from harness.execution.run_status import run_status
from harness.registry.catalog import Catalog
from harness.report.results import Results
from harness.report.tables import tables
from harness.storage.checksum import without_checksum
from harness.storage.folder import RunFolder
from harness.storage.verify import problems

SECONDS = 60
"""The time after which an example counts as a hang."""
LONGEST_LINE = 600
CATALOG = Catalog()


def fuzzed(few: int) -> settings:
    """Return the settings of a test: ``few`` examples, or as many as the variable FUZZ says.

    A failing example is not made simpler, because that takes minutes. It is short enough to read.
    """
    return settings(
        phases=(Phase.explicit, Phase.generate),
        max_examples=int(os.environ.get("FUZZ", few)),
        deadline=None,
        database=None,
        derandomize="FUZZ" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )


ODD_TEXTS = [
    *(
        "",
        " ",
        "=HYPERLINK(1)",
        "../../escaped",
        "/etc",
        "..",
        "\x1b[31mred",
        "\x00",
        "é漢",
        "a,b",
        "a:b",
        "a=b",
        ":",
        ",",
        "=",
    ),
    *("lstm", "parity", "lstm:width=8", "transformer:position=rope,depth=1", "1:4", "5,8", "9:3", "0:3", "1:1000000"),
    *(
        "1:999999:1",
        f"1:{10**30}",
        "inf",
        "nan",
        "-1",
        "1e400",
        f"{10**30}",
        "true",
        "parameters:1k",
        "torch.optim:SGD",
    ),
]
ODD = st.one_of(
    st.sampled_from([*ODD_TEXTS, -1, 0, 1, 3, 10**6, 10**30, -(10**30), True, 0.5, 1e308, float("inf"), float("nan")]),
    st.sampled_from([[], {}, [[]], ["parity"], ["lstm", "lstm"], {"task": "parity"}, [{"task": "copy", "steps": 2}]]),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
)


class Hang(BaseException):
    """An example takes too long."""


@contextmanager
def bounded() -> Iterator[None]:
    """End what takes longer than an example may. The signal repeats, because garbage collection can swallow one."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, 1.0)
    try:
        yield
    except Hang:
        raise AssertionError(f"an example takes more than {SECONDS} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_line(line: str) -> None:
    """Check that an error is one readable line."""
    assert line.strip()
    assert "\n" not in line
    assert len(line) < LONGEST_LINE
    assert not any(word in line for word in ("Value error", "Input should be", "validation error", "Traceback"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


def changed(value: Any, data: st.DataObject) -> Any:
    """Return a JSON value with one to three parts replaced, removed or added."""
    value = json.loads(json.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([*places(value)] or [()]))
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        action = data.draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if not path or (action == "add" and not isinstance(parent, dict)):
            continue
        if action == "remove":
            del parent[path[-1]]
        else:
            parent[data.draw(st.text(max_size=5)) if action == "add" else path[-1]] = copy.deepcopy(data.draw(ODD))
    return value


def spoiled(content: bytes, data: st.DataObject) -> bytes:
    """Return a file's content with a part cut out, repeated or replaced."""
    start = data.draw(st.integers(0, len(content)))
    end = min(len(content), start + data.draw(st.integers(0, 40)))
    middle = data.draw(st.sampled_from([b"", b"\n", b"\xff", b"0", b'"', b"[", b"{", b"}", content[start:end] * 2]))
    return content[:start] + middle + content[end:]


VALUES: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "architectures": ["lstm:width=8,depth=1", "transformer:width=8"],
    "seeds": 2,
    "first_seed": 0,
    "learning_rates": [1e-3, 2e-3],
    "tuning_seeds": 1,
    "samples": 8,
    "test_lengths": "5,8",
    "model": {"depth": 1},
    "match": "",
    "recipe": {
        **{"steps": 3, "batch_size": 4, "train_lengths": "1:4", "warmup": 0, "clip": 1.0, "schedule": "cosine"},
        **{"validations": 1, "checkpoints": 1, "grace": 0.2, "length_growth": "none", "distinct": 0, "think": 0},
    },
    "tasks": [{"task": "parity", "steps": 4, "architectures": ["lstm:width=8,depth=1"]}, {"task": "majority"}],
    "evaluation": [{"name": "again", "task": "majority", "test_lengths": "9", "of": "majority"}],
}


def check_plan(read: Callable[[], Any]) -> None:
    with bounded():
        try:
            make_plan(read(), CATALOG)
        except UserError as error:
            check_line(str(error))


@fuzzed(few=15)
@given(st.data())
def test_a_suite_is_planned_or_refused(data: st.DataObject) -> None:
    values = changed(VALUES, data)
    check_plan(lambda: make(values, "suite.toml"))


@fuzzed(few=15)
@given(st.data())
def test_a_suite_file_is_planned_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "suite.toml"
    path.write_bytes(spoiled(SUITE.encode(), data))
    check_plan(lambda: load(str(path)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    train(small_plan(seeds=2), folder)
    RunFolder(folder).pack(folder.with_name("packed"))
    return folder


@fuzzed(few=5)
@given(st.data())
def test_records_are_read_or_set_aside(finished: Path, data: st.DataObject) -> None:
    planned, folder = small_plan(seeds=2), finished.with_name("fuzzed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(data.draw(st.sampled_from([finished, finished.with_name("packed")])), folder)
    path = data.draw(st.sampled_from(sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".jsonl", ".gz"))))
    is_json = path.suffix == ".json" and data.draw(st.booleans())
    content = (
        json.dumps(changed(json.loads(without_checksum(path.read_bytes())), data)).encode()
        if is_json
        else spoiled(path.read_bytes(), data)
    )
    path.write_bytes(content)
    uses = (
        lambda: tables(Results.of(*frames([folder], CATALOG))),
        lambda: run_status(planned, RunFolder(folder)),
        lambda: list(problems(RunFolder(folder))),
    )
    for use in uses:
        with bounded():
            try:
                use()
            except UserError as error:
                check_line(str(error))


LINES = [
    "run quick --dry-run --seeds 2 --samples 8 --output out",
    "run -a lstm:width=8,depth=1 -t parity --steps 3 --train-lengths 1:4 --test-lengths 5,8 --dry-run",
    "run -a lstm -t parity --set batch_size=4 --set width=8,16 --learning-rate 0.001 --precision float32 --dry-run",
    "run suite.toml --shard 1/1 --stale keep --timeout 1h30m --retry-failed --dry-run",
    "run suite.toml --dry-run --shards 1 --json",
    "report run --architecture lstm --output out",
    "evaluate run --test-lengths 9 --samples 8 --workers 1",
    "verify run",
    "merge run run --output out",
    "pack run --output out --picture length-exact",
    "compare run run",
    "list architectures --family linear --json",
    "new architecture mine",
]


@pytest.fixture
def ready(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands run in a folder with a run and a suite, and train and draw nothing."""

    def leave(*arguments: Any, **options: Any) -> None:
        raise typer.Exit(0)

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "run")
    Path("suite.toml").write_text(SUITE)
    for name in ("execution.run.execute", "execution.run.evaluate", "report.write.write_report"):
        monkeypatch.setattr(f"harness.{name}", leave)
    monkeypatch.setattr("harness.cli.preview._measure", lambda *arguments: {})


@fuzzed(few=3)
@given(st.data())
def test_a_command_line_is_executed_or_refused(ready: None, data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(LINES)).split()
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(1, len(words)))
        text = data.draw(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=6)))
        part = data.draw(st.sampled_from([[text], [], words[place : place + 1] * 2]))
        words[place : place + 1] = part
    with bounded():
        result = call(*words)
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    assert result.exit_code in (0, 1, 2), words
    if result.exit_code == 2:
        line = result.stderr.splitlines()[-1]
        assert line.startswith("lengthwise: ")
        check_line(line)
