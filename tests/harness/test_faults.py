"""Bad input and faults: one clear line and exit code 2; a bad model is a failed cell and the rest goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness import fingerprint
from harness.cli import app
from harness.launch import worker

TINY = ["--seeds", "1", "--learning-rate", "0.001", "--samples", "8", "--train-lengths", "1:4", "--test-lengths", "5,8"]
SMALL = ["--steps", "3", "--set", "batch_size=4", "--set", "warmup=0", "--workers", "1", *TINY]
LSTM, PARITY = ["-a", "lstm:width=8,depth=1"], ["-t", "parity"]

SUITE = """
name = "mine"
architectures = ["lstm:width=8,depth=1"]
tasks = ["parity"]
seeds = 1
samples = 8
test_lengths = "5,8"
[recipe]
steps = 3
batch_size = 4
train_lengths = "1:4"
"""

MIXER = """
from torch import nn
from architectures.base import Mixer

class Mine(Mixer):
    '''A plug-in.'''

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x, context):
        {body}
"""


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own; tables are shown but plots are not drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.report.write_report", lambda cells, scores, meta, folder: folder / "report.html")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def write(name: str, text: str) -> Path:
    path = Path(name).resolve()
    path.write_text(text)
    return path


def complaint(*arguments: object) -> str:
    """Return the one line that bad input earns."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("lengthwise: ")
    return lines[0].removeprefix("lengthwise: ")


COMMAND_LINES = {
    "run -a lstmm -t parity": ["unknown architecture 'lstmm'", "did you mean lstm?"],
    "run -a lstm -t partiy": ["unknown task 'partiy'", "did you mean parity?"],
    "run -a lstm:widht=8 -t parity": ["lstm has no option 'widht'", "did you mean width?"],
    "run -a lstm:width=wide -t parity": ["width='wide'", "must be int >= 1"],
    "run -a lstm:width=0 -t parity": ["width='0'", "must be int >= 1"],
    "run -a lstm:block=sharde -t parity": ["block='sharde'", "must be native | shared", "did you mean shared?"],
    "run -a lstm:width -t parity": ["key=value", "'width'"],
    "run -a lstm:position=rope -t parity": ["lstm:position=rope", "attention"],
    "run -a lstm -t addition:base=99": ["base=99", "from 2 to 36", "the nearest is 36"],
    "run -a lstm -t parity --train-lengths 9:3": ["train lengths '9:3'", "reversed", "3:9"],
    "run -a lstm -t parity --train-lengths ,": ["train lengths ','"],
    "run -a lstm -t parity --train-lengths 0:3": ["train lengths '0:3'", "start at 1"],
    "run -a lstm -t parity --test-lengths 90:30": ["test lengths '90:30'", "reversed"],
    "run -a lstm -t parity --test-lengths :": ["test lengths ':'", "empty"],
    "run -a lstm -t parity --test-lengths 21:90:0": ["21:90:0", "start at 1"],
    "run -a lstm -t parity --test-lengths a:b": ["test lengths 'a:b'", "whole numbers"],
    "run -a lstm -t parity --test-lengths 15:90": ["test length 15", "training lengths 1:20", "21:100"],
    "run -a lstm -t count:numbers=9 --train-lengths 10:20": ["no length in train lengths 10:20", "1 to 9"],
    "run -a lstm -t parity --set stpes=5": ["no key 'stpes'", "did you mean steps?"],
    "run -a lstm -t parity --set steps": ["'steps'", "key=value"],
    "run -a lstm -t parity --set batch_size=many": ["batch_size='many'", "must be int >= 1"],
    "run -a lstm -t parity --set schedule=cosin": ["schedule='cosin'", "did you mean cosine?"],
    "run -a lstm -t parity --set answer=tag": ["cannot"],
    "run -a lstm -t parity --learning-rate 0": ["learning_rates", "greater than 0"],
    "run -a lstm -t parity --steps 0": ["--steps", "0"],
    "run -a lstm -t parity --steps many": ["--steps", "many"],
    "run -a lstm -t parity --device gpu": ["--device", "gpu", "cuda"],
    "run -a lstm -t parity --stale never": ["--stale", "never", "rerun"],
    "run -a lstm -t parity --sed 3": ["--sed", "did you mean --", "seeds"],
    "run -a lstm -t parity --frobnicate": ["--frobnicate", "lengthwise run --help"],
    "run nosuchsuite": ["unknown suite 'nosuchsuite'"],
    "run nosuchfile.toml": ["'nosuchfile.toml' does not exist"],
    "rnu": ["rnu", "did you mean", "run"],
    "run -a lstm -t parity --plugin nowhere.py": ["nowhere.py", "does not exist"],
    "list archs": ["archs", "architectures"],
    "show lstmm": ["'lstmm'", "did you mean lstm?"],
    "check lstmm": ["'lstmm'", "did you mean lstm?"],
    "new architecture lstm": ["'lstm'", "already"],
    "new architecture My-Mixer": ["'My-Mixer'", "small letters"],
    "new layer mine": ["layer", "architecture"],
    "evaluate nowhere --test-lengths 50": ["nowhere", "holds no run"],
    "evaluate nowhere": ["--test-lengths"],
    "evaluate nowhere --test-lengths 50 --variant sparse": ["'sparse'", "--task"],
    "report nowhere": ["nowhere", "holds no run"],
    "report": ["DIR"],
}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_mistake_earns_one_line(line: str) -> None:
    said = complaint(*line.split())
    for part in COMMAND_LINES[line]:
        assert part in said
    assert not Path("results").exists()


SUITES = {
    "name = ": ["suite.toml", "line 1"],
    f"{SUITE}\n[recipe]\nsteps = 4": ["suite.toml", "line 13"],
    'name = "x"\narchitectures = ["lstm"]': ["tasks"],
    SUITE.replace("seeds = 1", "seedz = 1"): ["suite.toml", "unknown suite key 'seedz'", "did you mean seeds?"],
    SUITE.replace("seeds = 1", 'seeds = "some"'): ["suite.toml", "seeds='some'"],
    SUITE.replace("seeds = 1", "seeds = 0"): ["suite.toml", "seeds=0"],
    SUITE.replace('["parity"]', "[]"): ["suite.toml", "tasks"],
    SUITE.replace('["parity"]', "3"): ["suite.toml", "tasks"],
    SUITE.replace('["parity"]', "[3]"): ["suite.toml", "tasks"],
    SUITE.replace('["parity"]', '[{task = "parity", stepz = 4}]'): ["'parity'", "'stepz'", "did you mean steps?"],
    SUITE.replace('["parity"]', '[{task = "parity", steps = "x"}]'): ["recipe of parity", "steps='x'"],
    SUITE.replace("steps = 3", "stepz = 3"): ["recipe", "'stepz'", "did you mean steps?"],
    f"{SUITE}\n[model]\nwidht = 4": ["widht", "did you mean width?"],
    SUITE.replace("seeds = 1", 'match = "300k"'): ["'300k'", "parameters:"],
    SUITE.replace("seeds = 1", 'plugins = ["gone.py"]'): ["gone.py", "does not exist"],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntask = "partiy"\ntest_lengths = "9"': ["'partiy'", "did you mean parity?"],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntest_lengths = "9"': ["suite.toml", "task"],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntask = "majority"\ntest_lengths = "9"': ["majority", "no task"],
}


@pytest.mark.parametrize("text", SUITES, ids=range(len(SUITES)))
def test_a_mistake_in_a_suite_earns_one_line(text: str) -> None:
    write("suite.toml", text)
    said = complaint("run", "suite.toml")
    for part in SUITES[text]:
        assert part in said


PLUGINS = {
    "import nothing_of_the_kind": ["mine.py", "does not import", "nothing_of_the_kind"],
    "x = (": ["mine.py", "does not import", "SyntaxError", "line 1"],
    "1 / 0": ["mine.py", "does not import", "ZeroDivisionError", "line 1"],
    "x = 1": ["mine.py", "no architecture", "no task"],
    MIXER.format(body="return x") + MIXER.format(body="return x").replace("Mine", "Other"): ["Mine", "Other", "one"],
}


@pytest.mark.parametrize("text", PLUGINS, ids=range(len(PLUGINS)))
def test_a_bad_plugin_earns_one_line(text: str) -> None:
    write("mine.py", text)
    for command in (["run", "-a", "mine", *PARITY], ["list", "tasks"], ["show", "lstm"]):
        said = complaint(*command, "--plugin", "mine.py")
        for part in PLUGINS[text]:
            assert part in said


def test_a_plugin_may_not_take_a_name() -> None:
    write("lstm.py", MIXER.format(body="return x"))
    said = complaint("run", *LSTM, *PARITY, "--plugin", "lstm.py")
    assert "collides" in said
    assert "rename" in said


def test_cuda_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = complaint("run", *LSTM, *PARITY, *SMALL, "--device", "cuda")
    assert "no CUDA device" in said


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_the_output_must_be_a_folder_of_this_suite(dry: list[str]) -> None:
    if not dry:
        Path("file").touch()
        assert "not writable" in complaint("run", *LSTM, *PARITY, *SMALL, "--output", "file/below")
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    write("suite.toml", SUITE)
    said = complaint("run", "suite.toml", "--output", "run", *dry)
    assert "'custom'" in said
    assert "'mine'" in said
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


def test_what_cannot_be_written_is_said() -> None:
    Path("file").touch()
    assert "file/below" in complaint("new", "task", "mine", "--output", "file/below")
    assert "not writable" in complaint("run", *LSTM, *PARITY, *SMALL, "--output", "file")


def test_an_interrupted_run_says_that_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.run.execute", interrupt)
    result = call("run", *LSTM, *PARITY, *SMALL)
    assert result.exit_code == 130
    assert (
        result.stderr == "lengthwise: interrupted; finished cells are kept, and the same command goes on from there\n"
    )


def test_a_damaged_record_is_named_and_nothing_is_lost() -> None:
    run = ["run", *LSTM, *PARITY, *SMALL, "--output", "run", "--seeds", "2"]
    assert call(*run).exit_code == 0
    for pattern in ("cells/*/training.json", "cells/*/evaluations.json", "run.json"):
        path = next(Path("run").glob(pattern))
        whole = path.read_text()
        for damage in (whole[: len(whole) // 2], '{"foreign": 1}', "\x00"):
            path.write_text(damage)
            for command in (run, ["report", "run"], ["evaluate", "run", "--test-lengths", "9"]):
                assert str(path) in complaint(*command)
                assert path.read_text() == damage
        path.write_text(whole)
    assert call(*run).exit_code == 0


def test_damaged_weights_are_named() -> None:
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    path = next(Path("run").glob("cells/*/weights-3.safetensors"))
    path.write_bytes(path.read_bytes()[:100])
    assert str(path) in complaint("evaluate", "run", "--test-lengths", "9", "--workers", "1")


def test_a_record_of_another_format_is_refused() -> None:
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    path = Path("run/run.json")
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 0'))
    assert "record format 0" in complaint("run", *LSTM, *PARITY, *SMALL, "--output", "run")
    assert "record format 0" in complaint("report", "run")


FAILURES = {
    "diverges": ("return self.inner(x) * float('nan')", "diverged"),
    "raises": ("raise RuntimeError('cannot go on')", "raised RuntimeError: cannot go on"),
    "raises_late": ("return self.inner(x) if x.shape[1] < 8 else 1 / 0", "raised ZeroDivisionError"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_bad_model_is_a_failed_cell_and_the_rest_goes_on(name: str) -> None:
    body, reason = FAILURES[name]
    plugin = write(f"{name}.py", MIXER.format(body=body))
    run = ["run", "--plugin", plugin, "-a", f"{name}:width=8", *LSTM, *PARITY, *SMALL, "--output", "run"]
    result = call(*run)
    assert result.exit_code == 1, result.output
    assert reason in result.stdout
    assert "FAILED" in result.stdout
    assert result.stdout.index("FAILED") < result.stdout.index("[2/2] lstm")
    assert result.stdout.count("lstm") > 1
    assert "Report: run/report.html" in result.stdout
    assert call(*run).exit_code == 1
    records = [json.loads(path.read_text()) for path in Path("run").glob("cells/*/failure.json")]
    if name != "raises_late":
        assert [record["reason"][:8] for record in records] == [reason[:8]]
        assert "failed" in result.stdout.split("Solved to")[1]


def test_a_model_that_cannot_be_built_is_a_failed_cell() -> None:
    text = MIXER.format(body="return x").replace("super().__init__()", "super().__init__(); self.rate = 1 / 0")
    plugin = write("unbuilt.py", text)
    run = ["run", "--plugin", plugin, "-a", "unbuilt:width=8", *LSTM, *PARITY, *SMALL, "--output", "run"]
    dry = call(*run, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "raises" in dry.stdout
    result = call(*run)
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stdout


def test_failed_cells_are_tried_again_when_asked_and_stale_ones_of_a_plugin_always() -> None:
    plugin = write("moody.py", MIXER.format(body="raise RuntimeError('not today')"))
    run = ["run", "--plugin", plugin, "-a", "moody:width=8", *PARITY, *SMALL, "--output", "run"]
    assert "1 to train" in call(*run).stdout
    again = call(*run)
    assert again.exit_code == 1
    assert "1 failed" in again.stdout
    assert "1 to train" in call(*run, "--retry-failed").stdout
    write("moody.py", MIXER.format(body="return self.inner(x)"))
    forget_code()
    assert "1 cells were made with other code" in complaint(*run, "--stale", "fail")
    fixed = call(*run)
    assert fixed.exit_code == 0, fixed.output
    assert "1 to train; 1 made with other code" in fixed.stdout


def forget_code() -> None:
    """Make this process read plug-ins anew, as the next command would."""
    sys.modules.pop("lengthwise_plugin_moody")
    for cached in (fingerprint._code, fingerprint._tree, worker.catalog_of):
        cached.cache_clear()


def lengthwise(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from harness.cli import main; main()", *map(str, arguments)]


def scores(folder: Path) -> dict[str, list[tuple]]:
    """Return every cell's loss curve and scores, without times."""
    found = {}
    for path in sorted(folder.glob("cells/*/evaluations.json")):
        records = json.loads(path.read_text())["records"]
        curve = json.loads(path.with_name("training.json").read_text())["curve"]
        found[path.parent.name] = [(e["length"], e["exact"], e["right"], e["loss"], e["set_hash"]) for e in records]
        found[path.parent.name] += [tuple(point.items()) for point in curve]
    return found


def test_a_killed_run_goes_on_where_it_was_and_workers_change_nothing() -> None:
    """Kill -9 in the middle; then only what is missing is done, and two workers give the numbers of one."""
    run = ["run", *LSTM, *PARITY, "-t", "majority", *SMALL, "--seeds", "3", "--steps", "150"]
    process = subprocess.Popen(lengthwise(*run, "--output", "killed"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "[2/" not in process.stdout.readline():
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in Path("killed").glob("cells/*/training.json")}
    assert 2 <= len(kept) < 6
    result = call(*run, "--output", "killed", "--workers", "2")
    assert result.exit_code == 0, result.output
    assert f"6 cells, {len(kept)} done, {6 - len(kept)} to train" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert call(*run, "--output", "whole").exit_code == 0
    assert scores(Path("killed")) == scores(Path("whole"))
    assert len(scores(Path("whole"))) == 6
