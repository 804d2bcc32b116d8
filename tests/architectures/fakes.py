"""Substitutes for packages that need a GPU: their naive operators, loaded by path, and plain functions."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def naive(file: str) -> ModuleType:
    """Load one file below ``fla/ops`` by its path, without importing the package, which requires Triton."""
    package = importlib.util.find_spec("fla")
    if package is None:
        pytest.skip("fla-core is not installed")
    path = Path(package.submodule_search_locations[0]) / "ops" / file
    spec = importlib.util.spec_from_file_location("naive_" + path.parent.name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stand_in(monkeypatch: pytest.MonkeyPatch, module: str, **functions: Callable) -> None:
    """Install functions under the name of a package's module."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(parts[depth - 1]))
    for name, function in functions.items():
        setattr(sys.modules[module], name, function)
