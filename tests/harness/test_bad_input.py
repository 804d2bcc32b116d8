"""Bad input is reported as one line, with exit code 2."""

import json
import shlex
from pathlib import Path

import pytest
from command_line import LSTM, MIXER, PARITY, SMALL, SUITE, call, user_error, write

from harness.config.suite import make
from harness.errors import UserError
from harness.execution.run_options import RunOptions

pytestmark = pytest.mark.usefixtures("temporary_folder")

COMMAND_LINES = {
    "run -a lstmm -t parity": ["unknown architecture 'lstmm'", "did you mean lstm?"],
    "run -a lstm -t partiy": ["unknown task 'partiy'", "did you mean parity?"],
    "run -a lstm:widht=8 -t parity": ["lstm has no option 'widht'", "did you mean width?"],
    "run -a lstm:width=wide -t parity": ["width='wide'", "must be int >= 1"],
    "run -a lstm:width=0 -t parity": ["width='0'", "must be int >= 1"],
    "run -a lstm:block=sharde -t parity": ["block='sharde'", "must be native | shared", "did you mean shared?"],
    "run -a lstm:width -t parity": ["key=value", "'width'"],
    "run -a lstm:position=rope -t parity": ["lstm:position=rope", "attention"],
    "run -a lstm -t addition:base=99": ["base='99'", "must be int >= 2 <= 36"],
    "run -a lstm -t parity --train-lengths 9:3": ["train lengths '9:3'", "reversed", "3:9"],
    "run -a lstm -t parity --train-lengths ,": ["train lengths ','"],
    "run -a lstm -t parity --train-lengths 0:3": ["train lengths '0:3'", "start at 1"],
    "run -a lstm -t parity --train-lengths :20": ["train lengths ':20'", "a number is missing", "1:20"],
    "run -a lstm -t parity --train-lengths 20:": ["train lengths '20:'", "a number is missing", "20 for one length"],
    "run -a lstm -t parity --train-lengths :": ["train lengths ':'", "empty"],
    "run -a lstm -t parity --train-lengths 1:2:3": ["train lengths '1:2:3'", "too many numbers", "LOW:HIGH"],
    "run -a lstm -t parity --train-lengths 1,2": ["train lengths '1,2'", "a list is not allowed", "LOW:HIGH"],
    "run -a lstm -t parity --train-lengths 1:1000000000000": ["train lengths '1:1000000000000'", "end at 1000000"],
    "run -a lstm -t parity --train-lengths 1_0:20": ["train lengths '1_0:20'", "whole numbers"],
    "run -a lstm -t parity --test-lengths 30,,40": ["test lengths '30,,40'", "a number is missing", "30,40"],
    "run -a lstm -t parity --test-lengths 30:": ["test lengths '30:'", "a number is missing"],
    "run -a lstm: -t parity": ["'lstm:'", "option is missing", "key=value"],
    "run -a lstm:, -t parity": ["'lstm:,'", "option is missing", "key=value"],
    "run -a lstm:width=8, -t parity": ["'lstm:width=8,'", "option is missing"],
    "run -a lstm:width= -t parity": ["'lstm:width='", "'width' has no value"],
    "run -a lstm:=8 -t parity": ["'lstm:=8'", "has no key"],
    "run -a lstm:width=32,width=64 -t parity": ["'width' is given twice", "32 and 64"],
    "run -a lstm -t addition:base=2,base=3": ["'base' is given twice", "2 and 3"],
    "run -a lstm:width=1000000000 -t parity": ["width=1000000000", "at most 1000000"],
    "run -a lstm:width=1000000 -t parity": ["lstm:width=1000000", "parameters", "10,000,000,000"],
    "run -a lstm:dropout=nan -t parity": ["dropout='nan'", "must be float >= 0"],
    "run -a lstm -t parity --set steps=5 --steps 20": ["--steps 20", "steps=5", "one of them"],
    "run -a lstm -t parity --set clip=1 --set clip=2": ["'clip=2'", "also set to 1", "once"],
    "run -a lstm -t parity --set clip=": ["'clip='", "no value"],
    "run -a lstm -t parity --set clip=inf": ["clip='inf'", "must be float >= 0 <= 1000"],
    "run -a lstm -t parity --set weight_decay=nan": ["weight_decay='nan'", "must be float >= 0 <= 1000"],
    f"run -a lstm -t parity --set steps={10**30}": [f"steps='{10**30}'", "must be int >= 1 <= 10000000"],
    "run -a lstm:depth=1000000 -t parity": ["lstm: option depth=1000000: must be at most 1000"],
    "run -a lstm -t dyck --train-lengths 3:3 --recipe self_improve": ["dyck has no length in train lengths 3:3"],
    "run -a lstm -t dyck:ask=next --recipe dpo --set begin=true": ["tokens that begin adds", "leave begin out"],
    f"run -a lstm -t parity --set validations={10**30}": [f"validations='{10**30}'", "<= 1000000"],
    f"run -a lstm -t parity --set warmup={10**30}": [f"warmup='{10**30}'", "<= 10000000"],
    f"run -a lstm -t parity --samples {10**12}": [f"samples={10**12}", "less than or equal to 10000000"],
    f"run -a lstm -t parity --seeds {10**12}": [f"seeds={10**12}", "less than or equal to 10000"],
    "run -a lstm -t parity --set learning_rate=inf": ["'learning_rate'", "--learning-rate"],
    "run -a lstm -t parity --learning-rate inf": ["learning_rates=inf", "less than or equal to 1000"],
    "run -a lstm -t parity --learning-rate nan": ["learning_rates=nan", "less than or equal to 1000"],
    "run -a lstm -t parity --learning-rate 0.1 --learning-rate 1e-1": ["0.1 is given twice", "once"],
    "run -a lstm -t parity --set optimizer=sgd": ["optimizer='sgd'", "adamw | MODULE:CLASS"],
    "run -a lstm -t parity --set optimizer=nowhere:SGD": ["'nowhere:SGD'", "does not import", "No module named"],
    "run -a lstm -t parity --set optimizer=torch.optim:SDG": ["torch.optim has no class or function 'SDG'"],
    "run -a lstm -t parity --set optimizer=torch.optim:LBFGS": ["needs a closure", "one gradient a step"],
    "run -a lstm -t parity --set optimizer=math:sqrt": ["no subclass of torch.optim.Optimizer"],
    "run -a lstm -t parity --set optimizer=torch.optim:Muon": ["nothing to train", "only supports 2D parameters"],
    "run -a lstm -t parity --set optimizer_options=momentum=0.9": ["adamw has none", "MODULE:CLASS"],
    "run -a lstm -t parity --set optimizer=torch.optim:SGD --set optimizer_options=momentun=0.9": ["momentun"],
    "run -a lstm -t parity --set optimizer=torch.optim:SGD --set optimizer_options=momentum=inf": ["finite number"],
    "run -a lstm -t parity --set optimizer=torch.optim:SGD --set optimizer_options=lr=1": ["lr=1", "learning_rates"],
    "run -a lstm -t parity --set optimizer=torch.optim:SGD --set beta1=0.5": ["beta1=0.5", "optimizer_options"],
    "run -a lstm -t parity --set optimizer=torch.optim:Rprop --set weight_decay=1": ["no weight_decay", "set it to 0"],
    "run -a lstm -t parity --set loss=math:sqrt": ["'math:sqrt' raises", "logits [2, 3, 4]"],
    "run -a lstm -t parity --set schedule=math:sqrt": ["'math:sqrt' raises at step 0"],
    "run -a lstm -t parity --test-lengths 90:30": ["test lengths '90:30'", "reversed"],
    "run -a lstm -t parity --test-lengths :": ["test lengths ':'", "empty"],
    "run -a lstm -t parity --test-lengths 21:90:0": ["21:90:0", "start at 1"],
    "run -a lstm -t parity --test-lengths a:b": ["test lengths 'a:b'", "whole numbers"],
    "run -a lstm -t parity --test-lengths 15:90": ["test length 15", "training lengths 1:20", "21:100"],
    "run -a lstm -t parity --set distinct=3": ["distinct=3: must be 0 or at least 20", "the nearest is 20"],
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
    "run -a lstm -t parity --device cuda:1": ["'cuda:1'", "'cuda'", "CUDA_VISIBLE_DEVICES=1 ... --device cuda"],
    "run -a lstm -t parity --stale never": ["--stale", "never", "rerun"],
    "run -a lstm -t parity --sed 3": ["--sed", "did you mean --", "seeds"],
    "run -a lstm -t parity --frobnicate": ["--frobnicate", "lengthwise run --help"],
    "run nosuchsuite": ["unknown suite 'nosuchsuite'"],
    "run nosuchfile.toml": ["'nosuchfile.toml' does not exist"],
    "rnu": ["rnu", "did you mean", "run"],
    "run -a lstm -t parity --plugin nowhere.py": ["nowhere.py", "does not exist"],
    "list archs": ["'archs' is not one of", "did you mean architectures?"],
    "list architecture": ["'architecture' is not one of", "did you mean architectures?"],
    "list architectures --family lineal": ["unknown family 'lineal'", "did you mean linear?"],
    "list suites --family linear": ["--family linear", "suites have no family"],
    "bench foo": ["'foo' is not one of", "'growth'"],
    "show lstmm": ["'lstmm'", "did you mean lstm?"],
    "show zzzzqq": ["unknown name 'zzzzqq'", "the nearest of "],
    "check lstmm": ["'lstmm'", "did you mean lstm?"],
    "check lstm:widht=8": ["lstm has no option 'widht'", "did you mean width?"],
    "run -a zzzzqq -t parity": ["unknown architecture 'zzzzqq'", "the nearest of ", "lengthwise list architectures"],
    "run -a nowhere.py -t parity": ["nowhere.py does not exist"],
    "run -a lstm -t parity --set wdith=8": ["no key 'wdith'", "did you mean width?"],
    "run -a lstm -t parity --set batch_size=8,many": ["batch_size='many'", "must be int >= 1"],
    "run -a lstm -t parity --set width=8,": ["'width=8,'", "no value"],
    "run -a lstm:width=8 -t parity --set width=16": ["--set width=16", "gives it in its spec"],
    "run -a lstm -t parity --json": ["--json", "--dry-run"],
    "new architecture lstm": ["'lstm'", "already"],
    "new architecture My-Mixer": ["'My-Mixer'", "lowercase letters"],
    "new layer mine": ["layer", "architecture"],
    "evaluate nowhere --test-lengths 50": ["nowhere", "holds no run"],
    "evaluate nowhere": ["--test-lengths"],
    "evaluate nowhere --test-lengths 50 --variant sparse": ["'sparse'", "--task"],
    "evaluate nowhere --test-lengths 50 -t parity --variant plain": ["plain", "choose another name"],
    f"evaluate nowhere --test-lengths 50 --samples {10**12}": [f"{10**12}", "at most 10000000"],
    "report nowhere": ["nowhere", "holds no run"],
    "report": ["DIR"],
}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_an_error_in_the_command_line_is_one_line(line: str) -> None:
    message = user_error(*line.split())
    for part in COMMAND_LINES[line]:
        assert part in message
    assert len(message) < 300
    assert not Path("results").exists()


SUITES = {
    "name = ": ["suite.toml", "line 1"],
    f"{SUITE}\n[recipe]\nsteps = 4": ["suite.toml", "line 13"],
    'name = "x"\narchitectures = ["lstm"]': ["tasks"],
    SUITE.replace("seeds = 1", "seedz = 1"): ["suite.toml", "unknown suite key 'seedz'", "did you mean seeds?"],
    SUITE.replace("seeds = 1", 'seeds = "some"'): ["suite.toml", "seeds='some'"],
    SUITE.replace("seeds = 1", "seeds = 0"): ["suite.toml", "seeds=0"],
    SUITE.replace('"mine"', '"../../escape"'): ["suite.toml", "name='../../escape'", "letters, digits", "'escape'"],
    SUITE.replace('"mine"', '".mine"'): ["name='.mine'", "do not begin with a dot", "'mine'"],
    SUITE.replace('"mine"', '"a/b c"'): ["name='a/b c'", "'a-b-c'"],
    SUITE.replace('"mine"', '".."'): ["name='..'", "'custom'"],
    SUITE.replace('["parity"]', "[]"): ["suite.toml", "tasks"],
    SUITE.replace('["parity"]', "3"): ["suite.toml", "tasks"],
    SUITE.replace('["parity"]', "[3]"): ["suite.toml", "tasks"],
    SUITE.replace('["parity"]', '[{task = "parity", stepz = 4}]'): ["'parity'", "'stepz'", "did you mean steps?"],
    SUITE.replace('["parity"]', '[{task = "parity", steps = "x"}]'): ["recipe of parity", "steps='x'"],
    SUITE.replace("steps = 3", "stepz = 3"): ["recipe", "'stepz'", "did you mean steps?"],
    f"{SUITE}\n[model]\nwidht = 4": ["widht", "did you mean width?"],
    SUITE.replace("seeds = 1", 'match = "300k"'): ["'300k'", "parameters:"],
    SUITE.replace("seeds = 1", 'match = "parameters:1.2.3k"'): ["parameters:1.2.3k", "parameters:NUMBER"],
    SUITE.replace("seeds = 1", 'match = "parameters:0"'): ["parameters:0", "from 1 to"],
    SUITE.replace("seeds = 1", "learning_rates = [1e-3, inf]"): ["learning_rates=inf", "less than or equal to 1000"],
    SUITE.replace("steps = 3", "steps = true"): ["steps=true", "must be int >= 1"],
    SUITE.replace('["parity"]', '[{task = "parity", test_lengths = ""}]'): ["test lengths ''", "empty"],
    SUITE.replace("steps = 3", "weight_decay = nan"): ["weight_decay=nan", "must be float >= 0 <= 1000"],
    SUITE.replace('["parity"]', '["parity", {task = "parity", test_lengths = "9"}]'): ["given twice", "5,8", "9"],
    f'{SUITE}\n[[evaluation]]\nname = "plain"\ntask = "parity"\ntest_lengths = "9"': ["plain", "another name"],
    SUITE + 2 * '[[evaluation]]\nname = "v"\ntask = "parity"\ntest_lengths = "9"\n': ["'v'", "two evaluations"],
    SUITE.replace("seeds = 1", 'plugins = ["gone.py"]'): ["gone.py", "does not exist"],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntask = "partiy"\ntest_lengths = "9"': ["'partiy'", "did you mean parity?"],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntest_lengths = "9"': ["suite.toml", "task"],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntask = "parity"\nof = "majority"\ntest_lengths = "9"': [
        "no parity",
        "parity",
    ],
    f'{SUITE}\n[[evaluation]]\nname = "v"\ntask = "majority"\ntest_lengths = "9"': ["majority", "no task"],
}


@pytest.mark.parametrize("text", SUITES, ids=range(len(SUITES)))
def test_an_error_in_a_suite_is_one_line(text: str) -> None:
    write("suite.toml", text)
    message = user_error("run", "suite.toml")
    for part in SUITES[text]:
        assert part in message


PLUGINS = {
    "import nothing_of_the_kind": ["mine.py", "does not import", "nothing_of_the_kind"],
    "x = (": ["mine.py", "does not import", "SyntaxError", "line 1"],
    "1 / 0": ["mine.py", "does not import", "ZeroDivisionError", "line 1"],
    "x = 1": ["mine.py", "no architecture", "no task"],
    MIXER.format(body="return x") + MIXER.format(body="return x").replace("Mine", "Other"): ["Mine", "Other", "one"],
}


@pytest.mark.parametrize("text", PLUGINS, ids=range(len(PLUGINS)))
def test_an_error_in_a_plugin_is_one_line(text: str) -> None:
    write("mine.py", text)
    for command in (["run", "-a", "mine", *PARITY], ["list", "tasks"], ["show", "lstm"]):
        message = user_error(*command, "--plugin", "mine.py")
        for part in PLUGINS[text]:
            assert part in message


ANNOTATIONS = {
    "kernel: Nothing = 1": ["NameError", "Nothing", "annotations"],
    "kernel: nn.Linear = None": ["annotation that no option can have", "Linear"],
}


@pytest.mark.parametrize("parameter", ANNOTATIONS)
def test_an_option_with_a_wrong_annotation_is_one_line(parameter: str) -> None:
    text = MIXER.format(body="return x").replace("width: int", f"width: int, *, {parameter}")
    path = write("mine.py", f"from __future__ import annotations\n{text}")
    message = user_error("run", "-a", "mine", *PARITY, "--plugin", "mine.py")
    for part in [str(path), *ANNOTATIONS[parameter]]:
        assert part in message


def test_a_plugin_must_be_a_python_file() -> None:
    write("mine.txt", MIXER.format(body="return x"))
    assert "mine.txt: the name of a plug-in must end in .py" in user_error("list", "tasks", "--plugin", "mine.txt")


def test_a_plugin_must_have_a_new_name() -> None:
    write("lstm.py", MIXER.format(body="return x"))
    message = user_error("run", *LSTM, *PARITY, "--plugin", "lstm.py")
    assert "has the name of the built-in architecture 'lstm'" in message
    assert "rename" in message


def test_a_missing_cuda_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device" in user_error("run", *LSTM, *PARITY, *SMALL, "--device", "cuda")


@pytest.mark.parametrize("device", ["cuda:1", "gpu"])
def test_a_library_names_the_devices_too(device: str) -> None:
    with pytest.raises(UserError, match="use auto, cpu or cuda") as caught:
        RunOptions(device).resolved()
    assert ("CUDA_VISIBLE_DEVICES=1 ... --device cuda" in str(caught.value)) == (device == "cuda:1")


@pytest.mark.parametrize("name", ["mine", "state-tracking_2.0", "Größe", "-"])
def test_names_of_suites_are_names_of_folders(name: str) -> None:
    assert make({"name": name, "architectures": ["lstm"], "tasks": ["parity"]}, "test").name == name


def test_a_plugin_that_moved_is_named_with_its_recorded_path() -> None:
    old = write("mine.py", MIXER.format(body="return self.inner(x)"))
    run = ["run", "--plugin", old, "-a", "mine:width=8,depth=1", *PARITY, *SMALL, "--output", "run"]
    assert call(*run).exit_code == 0
    Path("elsewhere").mkdir()
    new = old.rename("elsewhere/mine.py")
    hint = f"The run's plug-in {old} does not exist; if it was moved, give its path with --plugin FILE.py"
    message = user_error("evaluate", "run", "--test-lengths", "9", "--workers", "1")
    assert message.startswith("unknown architecture 'mine'")
    assert hint in message
    report = call("report", "run")
    assert report.exit_code == 0
    assert hint in report.stderr
    again = call("evaluate", "run", "--test-lengths", "9", "--workers", "1", "--plugin", new)
    assert again.exit_code == 0, again.output
    assert hint not in again.output
    write("mine.py", "1 / 0")
    assert call("report", "run", "--plugin", new).exit_code == 0


def test_the_recorded_command_can_be_given_to_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["lengthwise", "run", "-a", "lstm:width=8,depth=1", "--output", "my run; ls"]
    monkeypatch.setattr("sys.argv", words)
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    command = json.loads(Path("run/run.json").read_text())["command"]
    assert "'my run; ls'" in command
    assert shlex.split(command) == words


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_the_output_must_be_a_folder_of_this_suite(dry: list[str]) -> None:
    if not dry:
        Path("file").touch()
        assert "not writable" in user_error("run", *LSTM, *PARITY, *SMALL, "--output", "file/below")
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    write("suite.toml", SUITE)
    message = user_error("run", "suite.toml", "--output", "run", *dry)
    assert "'custom'" in message
    assert "'mine'" in message
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before


def test_an_output_that_cannot_be_written_is_an_error() -> None:
    Path("file").touch()
    assert "file/below" in user_error("new", "task", "mine", "--output", "file/below")
    assert "not writable" in user_error("run", *LSTM, *PARITY, *SMALL, "--output", "file")
