"""Output under any encoding, and files that are UTF-8 whatever the locale is."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import LSTM, PARITY, SMALL, SUITE, call, user_error, write

from harness.encoding import encodable, repaired
from harness.registry.catalog import Catalog
from harness.registry.fingerprint import fingerprint_of
from harness.registry.options import Spec

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("✓ ✗ – ▸ ≥ ‡ →", "ascii", "+ x - > >= ++ ->"),
        ("─━│┃╭┐┼ ±", "ascii", "--||+++ +-"),
        ("é ±", "latin-1", "é ±"),
        ("– ‡ ✓", "cp1252", "– ‡ +"),
        ("é ŵ 漢 \udcc3", "ascii", "e w ? ?"),
        ("✓ é 漢 \udcc3", "utf-8", "✓ é 漢 ?"),
        ("red \x1b[31m\x9b2J \u202eback\n\ttab", "utf-8", "red \\x1b[31m\\x9b2J \\u202eback\n\ttab"),
    ],
)
def test_a_character_that_cannot_be_encoded_is_replaced(text: str, encoding: str, expected: str) -> None:
    assert encodable(text, encoding) == expected


PROGRAM = """
import sys
from harness.cli import app
for line in {lines}:
    try:
        app(line)
    except SystemExit as end:
        assert end.code == 0, (line, end.code)
"""
TITLE = "Länge ≥ 4 ‡ ✓"


def environment(**values: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    return kept | {"PYTHONPATH": str(ROOT)} | values


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0"}


def test_every_command_prints_under_ascii(tmp_path: Path) -> None:
    """Observed: after all the training, ``run`` ended in a traceback without a report."""
    suite = SUITE.replace('name = "mine"', f'name = "mine"\ntitle = "{TITLE}"').replace("seeds = 1", "seeds = 2")
    (tmp_path / "suite.toml").write_text(suite, encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        '"""Größer ✓."""\n' + (ROOT / "harness/cli/templates/task.py").read_text().partition('"""\n')[2], "utf-8"
    )
    lines = [["run", "suite.toml", "--workers", "2"], ["report", "results/mine"], ["doctor"], ["show", "suite.toml"]]
    lines += [["list", "tasks", "--plugin", "mine.py", "--json"], ["check", "mine.py"], ["pack", "results/mine"]]
    lines += [["run", "suite.toml", "--dry-run"], ["--help"]]
    command = [sys.executable, "-c", PROGRAM.format(lines=lines)]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment(**C_LOCALE))
    assert process.returncode == 0, process.stderr.decode()
    output = (process.stdout + process.stderr).decode("ascii")
    assert "Report: results/mine/report.html" in output
    assert " + The class has a docstring" in output or " + The file and its class" in output
    for page in ("report.html", "report.md"):
        assert TITLE in (tmp_path / "results/mine" / page).read_text(encoding="utf-8")
    assert json.loads((tmp_path / "results/mine/run.json").read_text(encoding="utf-8"))["suite"]["title"] == TITLE


def test_a_library_prints_under_ascii(tmp_path: Path) -> None:
    program = """
import sys
from harness.execution.job import Event
from harness.execution.progress import Display
from rich.console import Console
with Display([], Console()) as display:
    display.show(Event(0, "note", text="\\u2713 caf\\u00e9"))
"""
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, capture_output=True, env=environment(PYTHONIOENCODING="ascii"), check=True)
    assert process.stdout == b"+ cafe\n"


def test_files_name_their_encoding() -> None:
    """Text is read and written as UTF-8, and never in the encoding of the locale."""
    for package in ("architectures", "harness", "tasks"):
        for file in (ROOT / package).rglob("*.py"):
            for reading in filter(opens_text, ast.walk(ast.parse(file.read_bytes()))):
                assert "encoding=" in ast.unparse(reading), f"{file.relative_to(ROOT)}: {ast.unparse(reading)}"


def opens_text(node: ast.AST) -> bool:
    """Whether a node is a call that opens, reads or writes a text file; ``RunFolder.open`` is none."""
    if not isinstance(node, ast.Call):
        return False
    text = ast.unparse(node)
    name = ast.unparse(node.func).rpartition(".")[2]
    is_binary = any(f", '{mode}b" in text for mode in "rwa")
    return name in ("open", "read_text", "write_text") and not is_binary and not text.startswith("folder.open(")


@pytest.mark.usefixtures("temporary_folder")
@pytest.mark.parametrize(("encoding", "name"), [("utf-8-sig", "suite.toml"), ("utf-8", "suite.TOML")])
def test_a_suite_with_a_byte_order_mark_or_a_capital_ending_is_read(encoding: str, name: str) -> None:
    Path(name).write_text(SUITE, encoding=encoding)
    result = call("run", name, "--workers", "1")
    assert result.exit_code == 0, result.output
    assert "Suite mine, records in results/mine" in result.output
    assert call("show", name).exit_code == 0


@pytest.mark.usefixtures("temporary_folder")
def test_a_plugin_can_be_in_another_encoding() -> None:
    """Python reads such a file, so its summary and its fingerprint do too."""
    text = "# -*- coding: latin-1 -*-\n" + (ROOT / "harness/cli/templates/architecture.py").read_text(encoding="utf-8")
    Path("mine.py").write_bytes(text.replace('"""', '"""Größe: ', 1).encode("latin-1", "replace"))
    catalog = Catalog((Path("mine.py"),))
    assert catalog.find("architecture", "mine").summary.startswith("Größe: ")
    assert len(fingerprint_of(Spec.parse("architecture", "mine", catalog))) == 12


def test_undecoded_bytes_of_a_command_are_decoded() -> None:
    assert repaired("--output caf\udcc3\udca9 é") == "--output café é"


@pytest.mark.usefixtures("temporary_folder")
def test_a_plugin_whose_path_cannot_be_decoded_is_an_error() -> None:
    write("caf\udcc3\udca9.py", "")
    assert "PYTHONUTF8=1" in user_error("run", *LSTM, *PARITY, *SMALL, "--plugin", "caf\udcc3\udca9.py")
