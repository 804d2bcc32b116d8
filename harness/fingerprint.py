"""Fingerprints: which code a record was made with.

The fingerprint of an architecture or a task is a hash of its file and of every file of its own room that it imports,
comments and docstrings stripped, so that a reworded comment changes nothing and a changed equation does.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from harness.catalog import ROOMS, Entry, Kind

_HOME = Path(__file__).resolve().parent.parent
_ALWAYS: dict[Kind, tuple[str, ...]] = {
    "architecture": ("architectures.base", "architectures.shell"),
    "task": ("tasks.base",),
}


def fingerprint(entry: Entry) -> str:
    """Return twelve hexadecimal digits of the code behind an entry."""
    files = {f for f in (entry.path, *map(_file_of, (entry.module, *_ALWAYS[entry.kind]))) if f}
    pending = list(files)
    while pending:
        new = set(_imports(pending.pop(), ROOMS[entry.kind])) - files
        files |= new
        pending += new
    bodies = sorted(hashlib.sha256(_code(f).encode()).hexdigest() for f in files)
    return hashlib.sha256("".join(bodies).encode()).hexdigest()[:12]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _code(path: Path) -> str:
    """Return the code of a file without comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _imports(path: Path, room: str) -> Iterator[Path]:
    """Yield the files of the room that a file imports."""
    for node in ast.walk(_tree(path)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            file = _file_of(name) if name.partition(".")[0] == room else None
            if file is not None:
                yield file


def _file_of(module: str) -> Path | None:
    base = _HOME.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
