"""Fingerprints: the version of the code that a record was made with.

The fingerprint of an architecture or a task is a hash of its file and of every file of its own package that it imports.
For a plug-in, the files of its own folder that it imports are included. Entries that an option names, such as the
layers of a hybrid, are part of the fingerprint. That of the training is a hash of the harness's files that determine
trained weights. Files are hashed in normal form (``normal_code.py``): rewording changes nothing, a changed equation
does. Versions of the training code that were shown to give equal results share a fingerprint (``equal_training.txt``).
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from harness.errors import UserError
from harness.registry.catalog import PACKAGES, Entry, Kind
from harness.registry.normal_code import statements, syntax_of, text_of
from harness.registry.options import Spec, Value, format_options_of, options_of, wrapper_for
from harness.registry.plugin_import import file_in, local_file

_HOME = Path(__file__).resolve().parents[2]
_ALWAYS: dict[Kind, tuple[str, ...]] = {
    "architecture": ("architectures.base", "architectures.language_model"),
    "task": ("tasks.base",),
}


TRAINING = (
    *("data.rng", "data.questions", "data.presentation", "data.batches", "data.step_lengths"),
    *("models.population", "models.tensors", "training.schedules"),
    *("training.trainer", "training.make_optimizer", "training.optimizer", "training.custom", "training.gradient_free"),
    *("training.stopping", "training.validation", "evaluation.scoring"),
    *("training.stages.setting", "training.stages.base", "training.stages.pipeline", "training.stages.supervised"),
)
"""Modules of the harness that determine trained weights, and the scores that choose them."""


EQUAL_TRAINING = Path(__file__).with_name("equal_training.txt")


@cache
def training_fingerprint() -> str:
    """Return the fingerprint of the harness's training code, or that of an earlier version with equal results."""
    current = training_hash()
    return next((versions[0] for versions in equal_versions() if current in versions), current)


def training_hash() -> str:
    """Return the hash of the harness's training code."""
    return _hash(filter(None, (_file_of(f"harness.{module}") for module in TRAINING)))


def equal_versions() -> list[list[str]]:
    """Return the sets of hashes of training code with equal results, the oldest first in each."""
    lines = EQUAL_TRAINING.read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def fingerprint_of(spec: Spec) -> str:
    """Return the fingerprint of an entry with options."""
    return fingerprint(*named_entries(spec), modules=format_modules(spec))


def format_modules(spec: Spec) -> tuple[str, ...]:
    """Return the module of the format that a task's spec has options of."""
    wrapper = wrapper_for(spec.entry) if spec.kind == "task" and format_options_of(spec) else None
    return (wrapper.__module__,) if wrapper else ()


def named_entries(spec: Spec) -> list[Entry]:
    """Return the entry of a spec and the entries that its options name, such as the layers of a hybrid."""
    entries = spec.catalog.entries[spec.kind]
    values = _defaults(spec.entry) | dict(spec.options)
    words = (word for value in values.values() if isinstance(value, str) for word in value.split("+"))
    return [spec.entry, *(entries[word] for word in words if word in entries)]


def fingerprints_of(specs: Iterable[Spec]) -> dict[str, str]:
    """Return the fingerprint of each spec by its kind, as records store them."""
    return {spec.kind: fingerprint_of(spec) for spec in specs}


def _defaults(entry: Entry) -> dict[str, Value]:
    try:
        return {option.name: option.default for option in options_of(entry).values()}
    except UserError:
        return {}  # it does not import today, which does not change what its record was made with


def fingerprint(entry: Entry, *named: Entry, modules: tuple[str, ...] = ()) -> str:
    """Return twelve hexadecimal digits of the code of an entry, of those that its options name, and of modules."""
    modules = (*modules, *(each.module for each in (entry, *named)), *_ALWAYS[entry.kind])
    files = {f for f in (entry.path, *(each.path for each in named), *map(_file_of, modules)) if f}
    folders = {each.path: each.path.parent for each in (entry, *named) if each.path and each.origin == "plug-in"}
    pending = list(files)
    while pending:
        file = pending.pop()
        new = set(_imports(file, PACKAGES[entry.kind])) - files
        if file in folders:
            local = set(_local_imports(file, folders[file])) - files
            folders |= dict.fromkeys(local, folders[file])
            new |= local
        files |= new
        pending += new
    return _hash(files)


def _hash(files: Iterable[Path]) -> str:
    return hashlib.sha256("".join(sorted(_digest(text_of(file)) for file in files)).encode()).hexdigest()[:12]


@cache
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def code_hash(*paths: Path) -> str:
    """Return twelve hexadecimal digits of the code of files, without comments and docstrings."""
    return hashlib.sha256("".join(map(text_of, paths)).encode()).hexdigest()[:12]


def _imports(path: Path, room: str) -> Iterator[Path]:
    """Yield the files of the room that a file imports."""
    names = (name for name in _imported_names(path) if name.partition(".")[0] == room)
    yield from filter(None, map(_file_of, names))


@cache
def _imported_names(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, and the names it imports from them, which may be modules too."""
    names: set[str] = set()
    for node in statements(syntax_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(names)


def _local_imports(path: Path, folder: Path) -> Iterator[Path]:
    """Yield the files of a plug-in's folder that one of its files imports, relatively or by their plain names."""
    for node in statements(syntax_of(path)):
        names, base, find = [], folder, local_file
        if isinstance(node, ast.ImportFrom):
            names = [".".join(filter(None, (node.module, alias.name))) for alias in node.names]
            if node.level:
                base, find = path.parents[node.level - 1], file_in
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        # An import of `a.b.c` also runs the files of `a` and of `a.b`.
        for parts in (name.split(".") for name in names):
            modules = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
            yield from filter(None, (find(base, module) for module in modules))


def local_files(path: Path, folder: Path) -> set[Path]:
    """Return a file of the user and the files of a folder that it imports, directly or through others."""
    files, pending = {path}, [path]
    while pending:
        new = set(_local_imports(pending.pop(), folder)) - files
        files |= new
        pending += new
    return files


def _file_of(module: str) -> Path | None:
    return _module_in(_HOME, module)


@cache
def _module_in(home: Path, module: str) -> Path | None:
    base = home.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
