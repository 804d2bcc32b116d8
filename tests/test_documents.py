"""The documents are executed: examples of CONTRIBUTING.md pass the checks, and each command of the documents runs."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.check import run_checks
from harness.cli import app
from harness.registry.catalog import Catalog
from harness.registry.options import Spec

ROOT = Path(__file__).resolve().parent.parent
MARK = "executed by tests/test_documents.py -->\n```python\n"
EXAMPLES = re.findall(f"{MARK}(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
NAMES = ("ema", "first", "ascending", "lion")
TINY = ["-a", "lstm", "-t", "parity", "--train-lengths", "1:4", "--test-lengths", "6"]
TOY = ["--steps", "10", "--samples", "8", "--seeds", "1", "--workers", "1"]


def commands(document: str) -> list[str]:
    """Return the ``lengthwise`` commands in the bash blocks of a document, without comments."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", (ROOT / document).read_text(), re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("lengthwise ")]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the examples of CONTRIBUTING.md as files."""
    folder = tmp_path_factory.mktemp("documents")
    for name, text in zip(NAMES, EXAMPLES, strict=True):
        (folder / f"{name}.py").write_text(text)
    CliRunner().invoke(app, ["new", "architecture", "decay_memory", "--output", str(folder)])
    return folder


@pytest.mark.parametrize("text", EXAMPLES, ids=NAMES)
def test_example_is_short(text: str) -> None:
    assert len(text.splitlines()) <= 30


@pytest.mark.parametrize("name", ["ema", "first", "ascending"])
def test_example_passes_the_checks(plugins: Path, name: str) -> None:
    catalog = Catalog((plugins / f"{name}.py",))
    entry = catalog.entries_of(plugins / f"{name}.py")[0]
    results = list(run_checks(Spec(entry.kind, entry.name, catalog=catalog)))
    assert results
    assert not [f"{result.name}: {result.problem}" for result in results if not result.ok and not result.skipped]


DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("command", dict.fromkeys(command for page in DOCUMENTS for command in commands(page)))
def test_command_runs(command: str, plugins: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)[1:]
    if words[0] != "report":  # one command draws the plots
        monkeypatch.setattr("harness.report.write.write_report", lambda results, folder: folder / "report.html")
    for file in plugins.glob("*.py") if words[0] != "new" else ():
        (tmp_path / file.name).write_text(file.read_text())
    folders = [word for word in words if word.startswith("results/")]
    judged = ["--seeds", "2"] if "--fail-if-worse" in words else []  # one seed is too few to be judged
    for folder in folders if words[0] in {"evaluate", "report", "pack", "compare", "track"} else ():
        assert CliRunner().invoke(app, ["run", *TINY, "--output", folder, *TOY, *judged]).exit_code == 0
    toys = {"run": [] if "--dry-run" in words else TOY, "compile": TOY, "bench": ["--steps", "8", "--no-workers"]}
    result = CliRunner().invoke(app, words + toys.get(words[0], []))
    assert result.exit_code == 0, result.output


def test_extras_of_the_readme_exist() -> None:
    named = set(re.findall(r"\.\[(\w+)\]", (ROOT / "README.md").read_text()))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert named
    assert named <= set(declared)


def test_make_targets_of_the_readme_exist() -> None:
    named = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.M))
    assert {"quick", "test"} <= named <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))


def test_the_readme_lists_every_architecture_and_task() -> None:
    readme, catalog = (ROOT / "README.md").read_text(), Catalog()
    for kind, plural in (("architecture", "architectures"), ("task", "tasks")):
        names = [entry.name for entry in catalog.entries[kind].values() if entry.origin == "built-in"]
        assert not [name for name in names if f"`{name}`" not in readme]
        assert re.search(rf"\b{len(names)} (?:\w+ )?{plural}\b", readme), f"the README must say {len(names)} {plural}"
