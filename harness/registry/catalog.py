"""The catalog finds the architectures and tasks by searching for their files.

It has three sources: files of the packages ``architectures`` and ``tasks`` (the folder is the family), files that the
user names with ``--plugin``, and entry points of installed packages (groups ``lengthwise.architectures`` and
``lengthwise.tasks``). Built-in files are listed without importing them. A broken one is listed with the error as its
summary and does not affect the others.
"""

import ast
import importlib
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from harness.encoding import repaired
from harness.errors import UserError, unknown
from harness.registry import plugin_import
from harness.registry.plugin_import import import_file

Kind = Literal["architecture", "task"]
PACKAGES: dict[Kind, str] = {"architecture": "architectures", "task": "tasks"}
"""The package that holds the built-in entries of each kind."""
_ROOT = Path(__file__).resolve().parents[2]
_IMPORTERS = (__file__, plugin_import.__file__)
"""Files whose lines are no place of an error in an imported file."""
FILE_SPEC = re.compile(r"([^=]*\.py)(?::(.*))?")
"""A Python file, and after a colon the options of its entry or the name of a program in it."""


@dataclass
class Entry:
    """One architecture or task of the catalog. Its file is imported when its class is first used.

    Attributes:
        family: folder of a built-in entry, ``installed`` for an entry point, ``plug-in`` for a user's file.
        origin: ``built-in``, ``plug-in``, or the name of the installed package.
        path: the file; ``None`` for an entry point.
        module: the importable name; empty for a plug-in.
        point: the entry point of an installed package.
        function: name of the RASP-L program in a plug-in that the task is made from; empty for other entries.
    """

    kind: Kind
    name: str
    family: str
    origin: str
    path: Path | None = None
    module: str = ""
    point: EntryPoint | None = field(default=None, repr=False)
    function: str = ""

    @cached_property
    def summary(self) -> str:
        """The first line of the file's docstring, or the error in angle brackets where the file cannot be parsed."""
        if self.path is None:
            return f"from {self.origin}"
        try:
            text = ast.get_docstring(ast.parse(self.path.read_bytes()))
        except (SyntaxError, OSError, ValueError) as error:
            return f"<broken: {_reason(error)}>"
        return (text or "").strip().partition("\n")[0]

    @cached_property
    def cls(self) -> type:
        """The class; raises :class:`UserError` where the file does not import or does not define exactly one."""
        if self.function:
            from tasks.rasp._user import task_of

            return task_of(self._load(), self.function)
        classes = self._classes_in(self._load())
        if len(classes) == 1:
            return classes[0]
        base = {"architecture": "Mixer or SequenceModel", "task": "Task"}[self.kind]
        names = f" ({', '.join(cls.__name__ for cls in classes)})" if classes else ""
        where = f"{self.kind} {self.name!r} ({self.path or self.module})"
        raise UserError(f"{where}: defines {len(classes)} public {base} classes{names}; define exactly one in the file")

    def load(self) -> type:
        """Import the file and return its class; raise :class:`UserError` where this fails."""
        return self.cls

    def _load(self) -> ModuleType:
        try:
            if self.origin == "plug-in":
                assert self.path is not None
                return import_file(self.path)
            return self.point.load() if self.point else importlib.import_module(self.module)
        except Exception as error:
            raise UserError(f"{self.kind} {self.name!r} does not import: {_reason(error)}") from error

    def _classes_in(self, module: ModuleType | type) -> list[type]:
        """Return the public classes of the entry's kind that a module defines; an entry point can name the class."""
        bases = _bases(self.kind)
        if isinstance(module, type):
            return [module] if issubclass(module, bases) else []
        return [
            value
            for name, value in vars(module).items()
            if isinstance(value, type)
            and issubclass(value, bases)
            and value.__module__ == module.__name__
            and not name.startswith("_")
        ]


def _bases(kind: Kind) -> tuple[type, ...]:
    if kind == "task":
        from tasks.base import Task

        return (Task,)
    from architectures.base import Mixer, SequenceModel

    return (Mixer, SequenceModel)


def _reason(error: BaseException) -> str:
    """Return an error as one line, with the file and line number where they are known."""
    where = ""
    if isinstance(error, SyntaxError):
        where = f" (line {error.lineno})"
    elif error.__traceback__ is not None:
        frames = traceback.extract_tb(error.__traceback__)
        written = [frame for frame in frames if frame.filename not in _IMPORTERS and not frame.filename.startswith("<")]
        innermost = (written or frames)[-1]
        where = f" ({Path(innermost.filename).name} line {innermost.lineno})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}{where}"


class Catalog:
    """All architectures and tasks by name. ``plugins`` are paths of the user's files."""

    def __init__(self, plugins: tuple[Path, ...] = ()) -> None:
        self.plugins = tuple(dict.fromkeys(Path(p).resolve() for p in plugins))
        self.entries = _entries(self.plugins)  # now, so that an error in a plug-in is raised here

    def __reduce__(self) -> tuple[Callable[..., "Catalog"], tuple[tuple[Path, ...]]]:
        return _unpickled, (self.plugins,)

    @cached_property
    def entries(self) -> dict[Kind, dict[str, Entry]]:
        """The entries by kind and name. An unpickled catalog searches for them when they are first needed."""
        return _entries(self.plugins)

    def find(self, kind: Kind, name: str) -> Entry:
        """Return the entry; raise :class:`UserError` with the closest name where there is none."""
        if name in self.entries[kind]:
            return self.entries[kind][name]
        programs = [entry for entry in self.entries[kind] if entry.startswith(f"{name}.")]
        if programs:
            functions = ", ".join(program.removeprefix(f"{name}.") for program in programs)
            raise UserError(f"{name}.py is a file of programs; choose one as {name}.py:FUNCTION from {functions}")
        if Path(f"{name}.py").is_file():
            raise UserError(f"unknown {kind} {name!r}; for the file of that name write {name}.py")
        raise unknown(kind, name, self.entries[kind])

    def names(self, kind: Kind) -> list[str]:
        """Return the names in catalog order. Colours of plots and the order of rows follow it."""
        return list(self.entries[kind])

    def entries_of(self, path: Path) -> list[Entry]:
        """Return what a plug-in file defines: one architecture, one task, or a task for each program."""
        entries = (entry for kind in PACKAGES for entry in self.entries[kind].values())
        return [entry for entry in entries if entry.path == path.resolve() and entry.origin == "plug-in"]


@cache
def _unpickled(plugins: tuple[Path, ...]) -> Catalog:
    """Return the catalog of a pickled spec, one per process. It reads its plug-ins when an entry is first used."""
    catalog = Catalog.__new__(Catalog)
    catalog.plugins = plugins
    return catalog


def _entries(plugins: tuple[Path, ...]) -> dict[Kind, dict[str, Entry]]:
    """Return all entries by kind and name; raise :class:`UserError` for two entries of one kind and name."""
    entries = {kind: _built_in(kind) for kind in PACKAGES}
    for entry in (*_installed(), *(entry for path in plugins for entry in _plugin(path))):
        same = entries[entry.kind].get(entry.name)
        if same is not None:
            where = entry.path or entry.module
            other = f"{same.origin} {entry.kind} {entry.name!r}"
            raise UserError(f"{entry.origin} {where} has the name of the {other}; rename the file")
        entries[entry.kind][entry.name] = entry
    return entries


def _installed() -> Iterator[Entry]:
    for kind, package in PACKAGES.items():
        for point in entry_points(group=f"lengthwise.{package}"):
            origin = point.dist.name if point.dist else "?"
            yield Entry(kind, point.name, "installed", origin, None, point.module, point)


def _built_in(kind: Kind) -> dict[str, Entry]:
    """Return an entry for each public file one folder below the package, sorted by path. ``parts`` has no entries."""
    entries = {}
    for path in sorted((_ROOT / PACKAGES[kind]).glob("*/*.py")):
        name, family = path.stem, path.parent.name
        if not name.startswith("_") and family != "parts":
            entries[name] = Entry(kind, name, family, "built-in", path, f"{PACKAGES[kind]}.{family}.{name}")
    return entries


def split_file(text: str) -> tuple[Path | None, str]:
    """Split ``FILE.py``, ``FILE.py:KEY=VALUE`` or ``FILE.py:FUNCTION`` into the file and the spec of its entry.

    The spec is ``FILE``, ``FILE:KEY=VALUE`` or ``FILE.FUNCTION``. Other text has no file and is the spec.
    """
    match = FILE_SPEC.fullmatch(text.strip())
    if match is None:
        return None, text
    file, rest = Path(match[1]), match[2]
    if rest is None:
        return file, file.stem
    return file, f"{file.stem}{'.' if rest.isidentifier() else ':'}{rest}"


def split_files(texts: Iterable[str]) -> tuple[list[str], list[Path]]:
    """Return the specs of texts that may name files, and these files; see :func:`split_file`."""
    split = [split_file(text) for text in texts]
    return [spec for _, spec in split], [file for file, _ in split if file]


def _plugin(path: Path) -> list[Entry]:
    """Import a user's file and return its entries: one architecture, one task, or a task for each RASP-L program."""
    if not path.is_file():
        raise UserError(f"plug-in {path} does not exist")
    if path.suffix != ".py":
        raise UserError(f"plug-in {path}: the name of a plug-in must end in .py")
    if str(path) != repaired(str(path)):  # records could not name it
        raise UserError(f"plug-in {str(path)!a}: its path cannot be decoded in this locale; set PYTHONUTF8=1")
    try:
        import_file(path)
    except Exception as error:
        raise UserError(f"plug-in {path.name} does not import: {_reason(error)}") from error
    candidates = [Entry(kind, path.stem, "plug-in", "plug-in", path) for kind in PACKAGES]
    entries = [entry for entry in candidates if entry._classes_in(import_file(path))]
    if len(entries) == len(candidates):
        raise UserError(f"plug-in {path.name} defines both an architecture and a task; put them into two files")
    entries = entries or list(_programs(path))
    if not entries:
        nothing = "no architecture (Mixer or SequenceModel) and no task (Task, or an ALPHABET and RASP-L programs)"
        raise UserError(f"plug-in {path.name} defines {nothing}; define one of them")
    for entry in entries:
        entry.load()
    return entries


def _programs(path: Path) -> Iterator[Entry]:
    """Yield a task named ``file.function`` for each RASP-L program of a user's file."""
    from tasks.rasp._user import programs

    for function in programs(import_file(path)):
        yield Entry("task", f"{path.stem}.{function}", "plug-in", "plug-in", path, function=function)
