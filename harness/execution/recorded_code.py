"""The user's code behind recorded cells: a run folder may be somebody else's, so reading it never runs code.

A record names plug-ins and modules. They are not imported: what a report says about them is in the records. A trained
plug-in is run again only if the user gives its file, and if its code is what trained the cell.
"""

import ast
from collections.abc import Sequence
from pathlib import Path

from harness.config.cell import Cell, cell_of
from harness.config.recipe import Recipe, is_import_path
from harness.errors import UserError
from harness.registry.catalog import Catalog
from harness.registry.fingerprint import code_hash, fingerprint_of
from harness.registry.plugin_import import file_in
from harness.storage.folder import RunFolder
from harness.storage.records import RunRecord, TrainingRecord
from harness.training.custom import KEYS


def stored_cell(folder: RunFolder, cell_id: str, catalog: Catalog) -> Cell | None:
    """Return the cell of a training record, whose model can be built again; ``None`` where there is no record.

    Raises:
        UserError: if it is of a plug-in that the catalog lacks, or whose code is not what trained the cell.
    """
    record = folder.cell(cell_id).training
    if record is None:
        return None
    try:
        cell = cell_of(record.cell, catalog)
    except UserError as error:
        run = folder.run()
        unread = unread_plugins(run, catalog) if run else []
        raise UserError(f"{error}. {unread_text(unread)}") if unread else error from None
    _check_plugins(cell, record)
    return cell


def _check_plugins(cell: Cell, record: TrainingRecord) -> None:
    for spec in cell.specs:
        recorded, current = record.fingerprints.get(spec.kind), fingerprint_of(spec)
        if spec.entry.origin == "plug-in" and recorded != current:
            raise UserError(
                f"{spec.kind} {spec.name!r} of cell {cell.id} was trained with code {recorded}, but {spec.entry.path} "
                f"is {current}; give the file of that time with --plugin, or train it again with lengthwise run"
            )


def unread_plugins(run: RunRecord, catalog: Catalog) -> list[Path]:
    """Return the recorded plug-ins of a run that the catalog does not have under the same file name."""
    names = {path.name for path in catalog.plugins}
    return [path for path in map(Path, run.suite.plugins) if path.name not in names]


def unread_text(plugins: Sequence[Path]) -> str:
    """Return the sentence about recorded plug-ins that are not run."""
    missing = [str(path) for path in plugins if not path.is_file()]
    if missing:
        paths = ", ".join(missing)
        return f"The run's plug-in {paths} does not exist; if it was moved, give its path with --plugin FILE.py"
    options = " ".join(f"--plugin {path}" for path in plugins)
    return f"The run's plug-ins are not run, and not compared with today's code, unless you give {options}"


def recipe_fingerprints(recipe: Recipe) -> dict[str, str]:
    """Return the fingerprints of :func:`harness.training.custom.custom_fingerprints` that need no import.

    These are those of files in the working folder that define the object themselves.
    """
    paths = {key: getattr(recipe, key) for key in KEYS}
    modules = {key: path.partition(":") for key, path in paths.items() if is_import_path(path)}
    files = {key: file_in(Path.cwd(), module) for key, (module, _, _) in modules.items()}
    return {key: code_hash(file) for key, file in files.items() if file and _defines(file, modules[key][2])}


def _defines(file: Path, name: str) -> bool:
    """Whether a file has a function or class of this name at its top."""
    try:
        nodes = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError, OSError):
        return False
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name for node in nodes)
