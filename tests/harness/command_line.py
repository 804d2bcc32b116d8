"""Helpers for tests that call the command line: options of small runs, a suite, a plug-in and calls."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from harness.cli import app

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


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def json_lines(path: Path) -> list[Any]:
    """Return the values of a file with one line of JSON for each."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(name: str, text: str) -> Path:
    path = Path(name).resolve()
    path.write_text(text)
    return path


def user_error(*arguments: object) -> str:
    """Call a command that must fail with exit code 2 and one line, after any messages, and return the line."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    *messages, line = result.stderr.splitlines()
    assert not any(message.startswith(("lengthwise: ", "Traceback")) for message in messages), result.stderr
    assert line.startswith("lengthwise: ")
    assert "Value error" not in line
    return line.removeprefix("lengthwise: ")
