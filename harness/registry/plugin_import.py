"""Import of the user's files by path, each with the files next to it.

A folder that holds a plug-in becomes a package with a name of its own, made from the folder's path. A file of the
folder can therefore import the others relatively (``from .helper import x``). It can also import them by their plain
name (``from helper import x``), whatever the current directory is, because its ``__import__`` looks in its own folder
first. Two folders that both have a ``helper.py`` do not share it.
"""

import builtins
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.registry.user_code import contained

PREFIX = "lengthwise_plugin_"
"""Beginning of the name of a plug-in's package."""

NEVER_LOCAL = frozenset({*sys.stdlib_module_names, "architectures", "tasks", "harness", "torch"})
"""Plain names that a file next to a plug-in cannot replace."""


def import_file(path: Path) -> ModuleType:
    """Import a Python file by path, once per process. Its package is named after its folder."""
    name = f"{_package_of(path.parent)}.{path.stem.replace('.', '_')}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=PluginLoader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with contained():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def forget(path: Path) -> None:
    """Remove a plug-in and the files of its folder from the imported modules, so that they are read again."""
    package = _package_name(path.parent)
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def file_in(folder: Path, module: str) -> Path | None:
    """Return the file of a module below a folder by its dotted name; ``None`` where there is no such file."""
    base = folder.joinpath(*module.split("."))
    return next((file for file in (base / "__init__.py", base.with_name(f"{base.name}.py")) if file.is_file()), None)


def local_file(folder: Path, module: str) -> Path | None:
    """Return the file that a plug-in in a folder imports by a plain name; ``None`` where the name is not local."""
    return None if module.partition(".")[0] in NEVER_LOCAL else file_in(folder, module)


def _package_name(folder: Path) -> str:
    return PREFIX + hashlib.sha256(str(folder).encode()).hexdigest()[:12]


def _package_of(folder: Path) -> str:
    """Return the name of a folder's package; the package is created at the first call."""
    name = _package_name(folder)
    if name not in sys.modules:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return name


class PluginLoader(SourceFileLoader):
    """Loads a file of a plug-in's folder with an ``__import__`` that looks in that folder first."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the file."""
        # Import statements call the `__import__` of the builtins that the module's globals name.
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


class PluginFinder:
    """Finds the files next to a plug-in for ``sys.meta_path`` and loads them with :class:`PluginLoader`."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of a module in a plug-in's package; ``None`` for all other modules."""
        if not name.startswith(PREFIX):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = PluginLoader(spec.loader.name, spec.loader.path)
        return spec


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import for a plug-in: a file of its folder by plain name, anything else as usual."""
    if level or globals is None or not _is_local(name, globals):
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    package = globals["__name__"].partition(".")[0]
    # A name after `import` may be a module too. With such a list the usual import returns the last module of the path.
    module = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or ("__name__",), 0)
    return module if fromlist else sys.modules[f"{package}.{name.partition('.')[0]}"]


def _is_local(name: str, importer: Mapping[str, Any]) -> bool:
    """Whether a plain name is a file of the importer's plug-in folder other than the importer itself."""
    (folder,) = sys.modules[importer["__name__"].partition(".")[0]].__path__
    top = name.partition(".")[0]
    file = local_file(Path(folder), top)
    return file is not None and str(file) != importer.get("__file__")


sys.meta_path.insert(0, PluginFinder)
