"""The catalog: which architectures and tasks there are, found by looking.

Three places are looked at: the packages' own files (the folder is the family), files the user names (``--plugin``),
and entry points of installed packages (groups ``lengthwise.architectures`` and ``lengthwise.tasks``). Listing reads
files without importing them; a broken or uninstalled entry is listed with its reason and breaks nothing else.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from harness.errors import UserError, unknown

Kind = Literal["architecture", "task"]
ROOMS: dict[Kind, str] = {"architecture": "architectures", "task": "tasks"}
_HOME = Path(__file__).resolve().parents[2]


@dataclass
class Entry:
    """One architecture or task: where it lives, and its class once asked for.

    ``origin`` is ``built-in``, ``plug-in`` or the name of the installed package. ``function`` is the RASP-L program
    that makes the task, where a plug-in has programs.
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
        """The first line of the file's docstring; the reason in angle brackets where the file cannot be read."""
        if self.path is None:
            return f"from {self.origin}"
        try:
            text = ast.get_docstring(ast.parse(self.path.read_text()))
        except (SyntaxError, OSError, UnicodeDecodeError) as error:
            return f"<broken: {_reason(error)}>"
        return (text or "").strip().partition("\n")[0]

    @cached_property
    def cls(self) -> type:
        """The class; raises :class:`UserError` where the file does not import or defines none."""
        if self.function:
            from tasks.rasp._user import task_of

            return task_of(self._load(), self.function)
        found = self._defined(self._load())
        if len(found) == 1:
            return found[0]
        wanted = {"architecture": "a Mixer or SequenceModel", "task": "a Task"}[self.kind]
        many = (
            f"{len(found)} ({', '.join(c.__name__ for c in found)}); keep one public class a file" if found else "none"
        )
        raise UserError(f"{self.kind} {self.name!r} ({self.path or self.module}): must define {wanted}, found {many}")

    def load(self) -> type:
        """Import the file and return its class; raises :class:`UserError` where that fails."""
        return self.cls

    def _load(self) -> ModuleType:
        try:
            if self.origin == "plug-in":
                assert self.path is not None
                return import_file(self.path)
            return self.point.load() if self.point else importlib.import_module(self.module)
        except Exception as error:
            raise UserError(f"{self.kind} {self.name!r} does not import: {_reason(error)}") from error

    def _defined(self, module: ModuleType | type) -> list[type]:
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
    """Return one line: the error, and where in the user's file it happened if known."""
    where = ""
    if isinstance(error, SyntaxError):
        where = f" (line {error.lineno})"
    elif error.__traceback__ is not None:
        last = error.__traceback__
        while last.tb_next is not None:
            last = last.tb_next
        where = f" ({Path(last.tb_frame.f_code.co_filename).name} line {last.tb_lineno})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}{where}"


def import_file(path: Path) -> ModuleType:
    """Import a Python file by path, once a process; its module name comes from the path."""
    name = f"lengthwise_plugin_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class Catalog:
    """All entries of both kinds, by name. ``plugins`` are the user's files."""

    def __init__(self, plugins: tuple[Path, ...] = ()) -> None:
        self.plugins = tuple(dict.fromkeys(Path(p).resolve() for p in plugins))
        self.entries = _entries(self.plugins)

    def __reduce__(self) -> tuple[Callable[..., "Catalog"], tuple[tuple[Path, ...]]]:
        return _unpickled, (self.plugins,)

    @cached_property
    def entries(self) -> dict[Kind, dict[str, Entry]]:
        """The entries by kind and name; after unpickling, files are looked at when they are first needed."""
        return _entries(self.plugins)

    def find(self, kind: Kind, name: str) -> Entry:
        """Return the entry, or raise :class:`UserError` naming the nearest one."""
        if name not in self.entries[kind]:
            raise unknown(kind, name, self.entries[kind])
        return self.entries[kind][name]

    def names(self, kind: Kind) -> list[str]:
        """Return the names in catalog order, which fixes colours and the order of rows."""
        return list(self.entries[kind])

    def of_plugin(self, path: Path) -> Entry:
        """Return the entry that a plug-in file defines."""
        return next(
            e
            for kind in ROOMS
            for e in self.entries[kind].values()
            if e.path == path.resolve() and e.origin == "plug-in"
        )


@cache
def _unpickled(plugins: tuple[Path, ...]) -> Catalog:
    """Return the catalog of a pickled spec, one a process; an error in a plug-in is raised when it is first used."""
    catalog = Catalog.__new__(Catalog)
    catalog.plugins = plugins
    return catalog


def _entries(plugins: tuple[Path, ...]) -> dict[Kind, dict[str, Entry]]:
    entries = {kind: _built_in(kind) for kind in ROOMS}
    for entry in (*_installed(), *(entry for path in plugins for entry in _plugin(path))):
        same = entries[entry.kind].get(entry.name)
        if same is not None:
            place = entry.path or entry.module
            other = f"{same.origin} {entry.kind} {entry.name!r}"
            raise UserError(f"{entry.origin} {place} collides with the {other}; rename the file")
        entries[entry.kind][entry.name] = entry
    return entries


def _installed() -> Iterator[Entry]:
    for kind, room in ROOMS.items():
        for point in entry_points(group=f"lengthwise.{room}"):
            package = point.dist.name if point.dist else "?"
            yield Entry(kind, point.name, "installed", package, None, point.module, point)


def _built_in(kind: Kind) -> dict[str, Entry]:
    """Every public file one folder below the room, families in alphabetical order; ``parts`` holds no entries."""
    files = sorted((_HOME / ROOMS[kind]).glob("*/*.py"))
    return {
        path.stem: Entry(
            kind, path.stem, path.parent.name, "built-in", path, f"{ROOMS[kind]}.{path.parent.name}.{path.stem}"
        )
        for path in files
        if not path.stem.startswith("_") and path.parent.name != "parts"
    }


def program_of(text: str) -> tuple[Path | None, str]:
    """Read ``file.py:function`` as (the file, the task's name); any other text is a task's name already."""
    file, _, function = text.rpartition(":")
    if not (file.endswith(".py") and function.isidentifier()):
        return None, text
    return Path(file), f"{Path(file).stem}.{function}"


def _plugin(path: Path) -> list[Entry]:
    """Return the entries of a user's file, one but for RASP-L programs; importing it tells which kind it is."""
    if not path.is_file():
        raise UserError(f"plug-in {path} does not exist")
    try:
        import_file(path)
    except Exception as error:
        raise UserError(f"plug-in {path.name} does not import: {_reason(error)}") from error
    candidates = [Entry(kind, path.stem, "plug-in", "plug-in", path) for kind in ROOMS]
    found = [entry for entry in candidates if entry._defined(import_file(path))]
    if len(found) == len(candidates):
        raise UserError(f"plug-in {path.name} defines both an architecture and a task; a file defines one")
    found = found or list(_programs(path))
    if not found:
        nothing = "no architecture (Mixer or SequenceModel) and no task (Task, or an ALPHABET and RASP-L programs)"
        raise UserError(f"plug-in {path.name} defines {nothing}; a file defines one")
    for entry in found:
        entry.load()
    return found


def _programs(path: Path) -> Iterator[Entry]:
    """Yield a task for each RASP-L program of a user's file, called ``file.function``."""
    from tasks.rasp._user import programs

    for function in programs(import_file(path)):
        yield Entry("task", f"{path.stem}.{function}", "plug-in", "plug-in", path, function=function)
