"""Completion of names in a shell: ``lengthwise --install-completion`` enables it.

The names are read from files without importing them, so an answer takes as long as ``lengthwise list``.
"""

from harness.config.suite_files import names
from harness.registry.catalog import Catalog, Kind


def architectures(incomplete: str) -> list[str]:
    """Return the architectures whose name begins with a text."""
    return _of_kind("architecture", incomplete)


def tasks(incomplete: str) -> list[str]:
    """Return the tasks whose name begins with a text."""
    return _of_kind("task", incomplete)


def suites(incomplete: str) -> list[str]:
    """Return the shipped suites whose name begins with a text."""
    return [name for name in names() if name.startswith(incomplete)]


def entries(incomplete: str) -> list[str]:
    """Return the architectures and tasks whose name begins with a text."""
    return [*architectures(incomplete), *tasks(incomplete)]


def everything(incomplete: str) -> list[str]:
    """Return the architectures, tasks and suites whose name begins with a text."""
    return [*entries(incomplete), *suites(incomplete)]


def _of_kind(kind: Kind, incomplete: str) -> list[str]:
    return [name for name in Catalog().names(kind) if name.startswith(incomplete)]
