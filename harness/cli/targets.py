"""What a text on the command line names: entries of the catalog, with options, or those of a Python file."""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import unknown
from harness.registry.catalog import PACKAGES, Catalog, split_file
from harness.registry.options import Spec


def specs_of(target: str, plugins: list[Path], others: Iterable[str] = ()) -> list[Spec]:
    """Return an architecture and a task of one name, or all programs of a file.

    Args:
        target: ``NAME`` or ``FILE.py``, with options or a program's name after a colon.
        others: further names that an error may suggest.

    Raises:
        UserError: if there is nothing of that name.
    """
    file, text = split_file(target)
    catalog = Catalog((*plugins, *([file] if file else [])))
    programs = [entry.name for entry in catalog.entries_of(file) if entry.function] if file else []
    if file and programs and text == file.stem:
        return [Spec.parse("task", name, catalog) for name in programs]
    name = text.partition(":")[0]
    kinds = [kind for kind in PACKAGES if name in catalog.entries[kind]]
    if not kinds:
        known = [*catalog.names("architecture"), *catalog.names("task"), *others]
        raise unknown("name", name, programs or known)
    return [Spec.parse(kind, text, catalog) for kind in kinds]
