"""Jobs for worker processes on other machines: a job as plain data, and the user's code as source.

The fingerprints of the code behind the cells go with the job. A machine whose own code differs, or whose installed
packages do, refuses it.
"""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from harness.config.cell import Cell, cell_of
from harness.errors import UserError
from harness.execution.job import Job
from harness.execution.plan import Variant
from harness.execution.worker import run_job
from harness.execution.worker_process import serve
from harness.models.precision import Numerics
from harness.registry.catalog import Catalog
from harness.registry.fingerprint import local_files
from harness.registry.options import Spec
from harness.storage.remote_folder import RemoteFolder, contents
from harness.training.code_version import cell_fingerprints
from harness.training.custom import custom_fingerprints

MODULES = "modules"
"""Folder of the modules that recipes name."""


def plain_job(job: Job) -> dict[str, Any]:
    """Return a job as plain data: numbers, texts, bytes, lists and dictionaries."""
    return {
        "cells": [cell.canonical() for cell in job.cells],
        "variants": [_plain_variant(variant) for variant in job.variants],
        "samples": job.samples,
        "device": job.device,
        "train": job.train,
        "numerics": asdict(job.numerics),
        "fingerprints": cell_fingerprints(job.cells[0]),
        "contents": contents(job.folder, [cell.id for cell in job.cells], not job.train),
    }


def _plain_variant(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "task": variant.task.name,
        "options": dict(variant.task.written),
        "lengths": list(variant.lengths),
        "carried": variant.carried,
    }


def job_of(plain: dict[str, Any], catalog: Catalog, send: Callable[[Any], None]) -> Job:
    """Return the job of plain data, with a folder that sends its writes.

    Raises:
        UserError: if the code of its cells is not the same here.
    """
    cells = tuple(cell_of(values, catalog) for values in plain["cells"])
    _check_code(cells[0], plain["fingerprints"])
    variants = tuple(
        Variant(
            each["name"],
            Spec.of("task", each["task"], each["options"], catalog),
            tuple(each["lengths"]),
            each["carried"],
        )
        for each in plain["variants"]
    )
    folder, numerics = RemoteFolder(plain["contents"], send), Numerics(**plain["numerics"])
    return Job(cells, variants, plain["samples"], folder, plain["device"], plain["train"], numerics)


def _check_code(cell: Cell, expected: dict[str, str]) -> None:
    current = cell_fingerprints(cell)
    if different := sorted(key for key in {*expected, *current} if expected.get(key) != current.get(key)):
        raise UserError(
            f"{socket.gethostname()} has other code than the driver for {cell} ({', '.join(different)}); "
            "install the same version of Lengthwise there"
        )


# The user's code.


def user_code(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the user's code behind some jobs: ``files`` by their path, and which of them are ``plugins``."""
    catalog = jobs[0].cells[0].task.catalog
    folders = list(dict.fromkeys(path.parent for path in catalog.plugins))
    places = {path: Path(f"plugins-{folders.index(path.parent)}") for path in catalog.plugins}
    files = {
        str(place / file.relative_to(path.parent)): file.read_bytes()
        for path, place in places.items()
        for file in local_files(path, path.parent)
    }
    recipes = {job.cells[0].recipe for job in jobs}
    modules = {getattr(recipe, key).partition(":")[0] for recipe in recipes for key in custom_fingerprints(recipe)}
    for file, root in map(_file_and_root, sorted(modules)):
        files |= {str(MODULES / found.relative_to(root)): found.read_bytes() for found in local_files(file, root)}
    return {"files": files, "plugins": [str(place / path.name) for path, place in places.items()]}


def _file_and_root(module: str) -> tuple[Path, Path]:
    """Return the file of an imported module, and the folder from which its dotted name counts."""
    file = Path(sys.modules[module].__file__ or "")
    depth = module.count(".") + (file.name == "__init__.py")
    return file, file.parents[depth]


def install(code: dict[str, Any], folder: Path) -> Catalog:
    """Write the user's code into a folder and return a catalog with its plug-ins; modules are imported from there."""
    for name, content in code["files"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / MODULES).mkdir(exist_ok=True)
    os.chdir(folder / MODULES)
    return Catalog(tuple(folder / name for name in code["plugins"]))


def serve_remote(connection: Connection, memory_share: float | None, code: dict[str, Any]) -> None:
    """Run plain jobs that are sent through a connection; see :func:`harness.execution.worker_process.serve`."""
    folder = Path(mkdtemp(prefix="lengthwise-"))
    try:
        catalog = install(code, folder)
    except UserError as error:  # for example a package that a plug-in imports is not installed here
        connection.send(UserError(f"{socket.gethostname()}: {error}"))
        return

    def run(plain: dict[str, Any], number: int, send: Callable[[Any], None]) -> None:
        run_job(job_of(plain, catalog, send), number, send)

    serve(connection, memory_share, run, folder)
