"""A fingerprint changes with the code behind an entry, and with nothing else."""

from pathlib import Path

import pytest

import harness.registry.fingerprint
from harness.registry.catalog import Catalog, Entry
from harness.registry.fingerprint import fingerprint, fingerprint_of
from harness.registry.options import Spec

CODE = '''"""Mine."""
from architectures.parts.deep import scan

def mine(x):
    """Scan."""
    y = scan(x)  # so
    return [y for z in y]

class Measured:
    size = 1

    def events_since(self, source):
        return source

LIMIT = 1
"""The limit."""
'''
HOME = {
    "architectures/base.py": "class Mixer: ...\n",
    "architectures/language_model.py": "from architectures.base import Mixer\n",
    "architectures/parts/scan.py": "def scan(x):\n    return x + 1\n",
    "architectures/parts/deep.py": "from architectures.parts.scan import scan\n",
    "architectures/parts/other.py": "def other(x):\n    return x\n",
    "architectures/family/mine.py": CODE,
    "tasks/base.py": "class Task: ...\n",
}
MINE, SCAN = "architectures/family/mine.py", "architectures/parts/scan.py"


def printed(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: tuple[str, str, str]) -> str:
    """Return the fingerprint of ``mine`` in a house of its own, with some files changed: (file, old, new)."""
    files = dict(HOME)
    for file, old, new in changes.values():
        assert old in files[file]
        files[file] = files[file].replace(old, new)
    home = folder / str(len(list(folder.iterdir())))
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    monkeypatch.setattr(harness.registry.fingerprint, "_HOME", home)
    return fingerprint(Entry("architecture", "mine", "family", "built-in", home / MINE, "architectures.family.mine"))


KEEPS = {
    "a comment": (MINE, "# so", "# not so"),
    "a docstring of the file": (MINE, '"""Mine."""', '"""Ours,\n\nand theirs."""'),
    "a docstring of a function": (MINE, '"""Scan."""', '"""Scan twice."""'),
    "the documentation of a constant": (MINE, '"""The limit."""', '"""The lowest limit."""'),
    "no docstring any more": (MINE, '    """Scan."""\n', ""),
    "a method that says where errors sit": (MINE, "return source", "return source + 1"),
    "layout": (MINE, "y = scan(x)", "y = scan(\n        x,\n    )"),
    "the name of a local variable": (MINE, "y", "result"),
    "the name of a loop variable": (MINE, "for z", "for each"),
    "a part that is not used": ("architectures/parts/other.py", "return x", "return -x"),
    "the other room": ("tasks/base.py", "class Task: ...", "class Task: pass"),
}
CHANGES = {
    "the code": (MINE, "y = scan(x)", "y = scan(-x)"),
    "which variable is read": (MINE, "return [y for", "return [z for"),
    "the name of a parameter": (MINE, "def mine(x):", "def mine(x, *, y=0):"),
    "a part of a part": (SCAN, "x + 1", "x + 2"),
    "the contract": ("architectures/base.py", "...", "causal = True"),
    "the language model": ("architectures/language_model.py", "Mixer", "Mixer as M"),
}


@pytest.mark.parametrize("change", KEEPS)
def test_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    before = printed(tmp_path, monkeypatch)
    assert printed(tmp_path, monkeypatch, change=KEEPS[change]) == before


@pytest.mark.parametrize("change", CHANGES)
def test_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    before = printed(tmp_path, monkeypatch)
    assert printed(tmp_path, monkeypatch, change=CHANGES[change]) != before


def test_every_entry_has_its_own() -> None:
    catalog = Catalog()
    for kind in ("architecture", "task"):
        entries = catalog.entries[kind].values()
        assert len({fingerprint(entry) for entry in entries}) == len(entries)


def test_a_plug_in_counts_the_parts_it_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed(tmp_path, monkeypatch)
    file = tmp_path / "plugin.py"
    file.write_text("from architectures.parts.scan import scan\n")
    entry = Entry("architecture", "plugin", "plug-in", "plug-in", file)
    before = fingerprint(entry)
    printed(tmp_path, monkeypatch, change=(SCAN, "x + 1", "x + 2"))
    assert fingerprint(entry) != before


def test_the_layers_of_a_hybrid_count() -> None:
    catalog = Catalog()
    texts = ("hybrid", "hybrid:pattern=mamba+transformer", "hybrid:pattern=lstm+transformer")
    usual, same, other = (fingerprint_of(Spec.parse("architecture", text, catalog)) for text in texts)
    assert usual == same != other
