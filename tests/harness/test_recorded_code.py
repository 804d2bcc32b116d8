"""A run folder may be somebody else's: reading it runs no code that it names, and says the same as with that code."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from command_line import MIXER, call, user_error, write

import lengthwise
from harness.analysis.load import frames
from harness.registry import fingerprint, normal_code
from harness.registry.catalog import Catalog
from harness.registry.plugin_import import forget

SUITE = """
name = "mine"
architectures = ["mine", "mine:scale=1.5"]
tasks = ["parity"]
seeds = 1
samples = 8
test_lengths = "5"
plugins = ["mine.py"]
[model]
width = 8
scale = 2.0
[recipe]
steps = 3
batch_size = 4
train_lengths = "1:4"
optimizer = "mine_optimizer:Mine"
"""
OPTIMIZER = "import torch\nclass Mine(torch.optim.SGD):\n    pass\n"
TRAP = "from pathlib import Path\nPath('trap').touch()\n"


@pytest.fixture
def plugin(temporary_folder: Path) -> Path:
    """Train two forms of a plug-in with an optimizer of the user; return the plug-in's file."""
    text = MIXER.format(body="return self.inner(x)").replace("width: int)", "width: int, *, scale: float = 1.5)")
    file, optimizer = write("mine.py", text), write("mine_optimizer.py", OPTIMIZER)
    write("suite.toml", SUITE)
    result = call("run", "suite.toml", "--output", "run", "--workers", "1")
    assert result.exit_code == 0, result.output
    for path in (file, optimizer):
        path.write_text(TRAP + path.read_text())
    forget_code(file)
    return file


def forget_code(plugin: Path) -> None:
    """Clear what this process has cached of the user's code."""
    forget(plugin)
    sys.modules.pop("mine_optimizer", None)
    for function in (normal_code.syntax_of, normal_code.text_of, fingerprint._imported_names):
        function.cache_clear()


def test_a_folder_is_read_without_running_what_it_names(plugin: Path) -> None:
    for command in ("report run", "report run --json", "compare run run", "verify run", "pack run --output packed"):
        assert call(*command.split()).exit_code == 0, command
    lengthwise.load("run")
    assert f"--plugin {plugin}" in user_error("evaluate", "run", "--test-lengths", "9", "--workers", "1")
    with pytest.raises(lengthwise.UserError, match="unknown architecture 'mine'"):
        lengthwise.load_model("run", lengthwise.load("run").cells.cell[0])
    assert not Path("trap").exists()


def test_what_is_read_is_what_the_code_would_have_told(plugin: Path) -> None:
    without = frames([Path("run")], Catalog())[0]
    assert set(without.architecture) == {"mine", "mine:scale=1.5"}
    assert (set(without.family), list(without.stale)) == ({"plug-in"}, [True, True])  # the optimizer's file has changed
    pd.testing.assert_frame_equal(without, frames([Path("run")], Catalog((plugin,)))[0])


def test_a_plugin_is_evaluated_with_the_code_that_trained_it_only(plugin: Path) -> None:
    evaluate = ["evaluate", "run", "--test-lengths", "9", "--workers", "1", "--plugin", plugin]
    assert "was trained with code" in user_error(*evaluate)
    plugin.write_text(plugin.read_text().removeprefix(TRAP))
    forget_code(plugin)
    assert call(*evaluate).exit_code == 0
