"""A plug-in imports the files next to it, from whatever directory the command is given, and in workers too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.registry import fingerprint, normal_code
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model
from harness.registry.plugin_import import import_file

MIXER = """
from torch import nn
from architectures.base import Mixer
{imports}

class Mine(Mixer):
    '''A plug-in.'''

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.value = nn.Linear(width, width), VALUE

    def forward(self, x, context):
        {late}
        return self.inner(x)
"""
IMPORTS = {
    "plain": "from helper import VALUE",
    "relative": "from .helper import VALUE",
    "module": "import helper\nVALUE = helper.VALUE",
    "relative module": "from . import helper\nVALUE = helper.VALUE",
    "package": "from parts import deep\nVALUE = deep.VALUE",
    "dotted": "import parts.deep\nVALUE = parts.deep.VALUE",
    "renamed": "import parts.deep as deep\nVALUE = deep.VALUE",
    "relative package": "from .parts.deep import VALUE",
}


def make(folder: Path, name: str, value: str, imports: str = "from helper import VALUE", late: str = "pass") -> Path:
    """Write a plug-in, a helper that reads a value of its folder, and a package that imports the helper."""
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    (folder / "helper.py").write_text("from constants import VALUE\n")
    (folder / "constants.py").write_text(f"VALUE = {value!r}\n")
    (folder / "parts" / "__init__.py").write_text("")
    (folder / "parts" / "deep.py").write_text("from helper import VALUE\n")
    (folder / f"{name}.py").write_text(MIXER.format(imports=imports, late=late))
    return folder / f"{name}.py"


def value_of(file: Path, catalog: Catalog | None = None) -> str:
    spec = Spec.parse("architecture", file.stem, catalog or Catalog((file,)))
    return build_model(spec, ("a", "<blank>")).layers[0].mixer.value


@pytest.mark.parametrize("imports", IMPORTS)
def test_a_plugin_imports_a_file_next_to_it(tmp_path: Path, imports: str) -> None:
    assert value_of(make(tmp_path, "mine", "first", IMPORTS[imports])) == "first"


@pytest.mark.parametrize("imports", ["plain", "relative"])
def test_two_folders_do_not_share_a_helper(tmp_path: Path, imports: str) -> None:
    files = [make(tmp_path / name, name, name, IMPORTS[imports]) for name in ("first", "second")]
    assert [value_of(file, Catalog(tuple(files))) for file in files] == ["first", "second"]
    assert "helper" not in sys.modules


def test_files_of_the_same_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    first, second = (import_file(make(tmp_path / name, "mine", name)) for name in ("first", "second"))
    assert (first.VALUE, second.VALUE) == ("first", "second")
    assert import_file(tmp_path / "first" / "mine.py") is first


def test_a_plugin_can_have_the_name_of_a_library(tmp_path: Path) -> None:
    file = make(tmp_path, "filelock", "own", "import filelock, json, tasks\nVALUE = filelock.FileLock.__name__")
    (tmp_path / "json.py").write_text("1 / 0")
    (tmp_path / "tasks.py").write_text("1 / 0")
    assert value_of(file).endswith("FileLock")


def test_an_error_names_the_line_of_the_users_file(tmp_path: Path) -> None:
    file = make(tmp_path / "one", "mine", "x", "from helper import VALUE, missing")
    with pytest.raises(UserError, match=r"plug-in mine\.py does not import: ImportError: .*\(mine\.py line 4\)"):
        Catalog((file,))
    file = make(tmp_path / "other", "mine", "x")
    (tmp_path / "other" / "constants.py").write_text("\n1 / 0")
    with pytest.raises(UserError, match=r"ZeroDivisionError: .*\(constants\.py line 2\)"):
        Catalog((file,))


def test_workers_and_other_directories(tmp_path: Path) -> None:
    """The directory of the command has a helper of its own, which is not the one of the plug-ins."""
    files = [make(tmp_path / name, name, name, late="import helper") for name in ("first", "second")]
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "helper.py").write_text("1 / 0")
    plugins = [word for file in files for word in ("--plugin", os.path.relpath(file, tmp_path / "here"))]
    options = "-a first:width=8,depth=1 -a second:width=8,depth=1 -t parity --steps 3 --seeds 1 --samples 8"
    more = "--train-lengths 1:4 --test-lengths 5 --workers 2 --device cpu --output run"
    code = "import sys; sys.path.insert(0, ''); from harness.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "run", *plugins, *options.split(), *more.split()],
        cwd=tmp_path / "here",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert len(list(tmp_path.glob("here/run/cells/*/training.json"))) == 2


def printed(file: Path) -> str:
    for function in (normal_code.syntax_of, normal_code.text_of, fingerprint._imported_names):
        function.cache_clear()
    return fingerprint.fingerprint(Catalog((file,)).entries["architecture"]["mine"])


@pytest.mark.parametrize("imports", IMPORTS)
def test_the_fingerprint_counts_the_files_next_to_a_plugin(tmp_path: Path, imports: str) -> None:
    file = make(tmp_path, "mine", "one", IMPORTS[imports])
    before = printed(file)
    (tmp_path / "unused.py").write_text("x = 1\n")
    (tmp_path / "constants.py").write_text("# a comment\nVALUE = 'one'\n")
    assert printed(file) == before
    (tmp_path / "constants.py").write_text("VALUE = 'two'\n")
    assert printed(file) != before
