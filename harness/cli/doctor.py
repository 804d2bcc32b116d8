"""``lengthwise doctor`` reports versions, devices and kernels of this machine, and errors of the installation."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from harness.cli import arguments

OUR_PACKAGES = ("architectures", "harness", "lengthwise", "tasks")
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds our packages."""

Finding = tuple[str, str, str]
"""A key of :data:`~harness.cli.console.MARKS`, what was examined, and the result.

An ``error`` must be fixed. What a ``warning`` names is optional: its absence costs speed only.
"""


def doctor(as_json: arguments.Json = False) -> None:
    """Report versions, devices and usable kernels, and errors of the installation."""
    from harness.cli.console import MARKS, console, print_json, table

    findings = {title: list(examine()) for title, examine in SECTIONS.items()}
    has_errors = any(mark == "error" for found in findings.values() for mark, _, _ in found)
    if as_json:
        rows = [(title, *finding) for title, found in findings.items() for finding in found]
        print_json([dict(zip(("section", "status", "subject", "result"), row, strict=True)) for row in rows])
        raise typer.Exit(1 if has_errors else 0)
    out = console()
    for title, found in findings.items():
        section = table(title, "", "", "")
        section.show_header = False
        for mark, subject, result in found:
            section.add_row(MARKS[mark], subject, result)
        out.print(section)
    out.print("\nErrors found: fix the lines marked ✗." if has_errors else "\nNo errors found.")
    raise typer.Exit(1 if has_errors else 0)


def _versions() -> Iterator[Finding]:
    from harness.storage.provenance import versions

    yield from (("", name, version) for name, version in versions().items())


def _devices() -> Iterator[Finding]:
    import torch

    from harness.execution.run_options import default_workers
    from harness.storage.provenance import device_name

    yield "ok", "processor", f"{device_name('cpu')}; {default_workers('cpu')} workers of one thread each"
    if not torch.cuda.is_available():
        yield "warning", "cuda", "torch finds no CUDA device; everything runs on the CPU"
    for name in (f"cuda:{index}" for index in range(torch.cuda.device_count())):
        yield "ok", name, device_name(name)


def _kernels() -> Iterator[Finding]:
    from importlib import import_module
    from pkgutil import iter_modules

    import architectures.parts.kernels as package

    for module in iter_modules(package.__path__, f"{package.__name__}."):
        kernel = getattr(import_module(module.name), "KERNEL", None)
        if kernel is not None:
            obstacle = kernel.obstacle()
            yield ("warning", kernel.name, obstacle) if obstacle else ("ok", kernel.name, kernel.version())


def _folders() -> Iterator[Finding]:
    from harness.config.custom import results_root

    for name in OUR_PACKAGES:
        others = [str(path) for path in _importable(name) if path.resolve().parent != ROOT]
        if others:
            yield "error", name, f"Python can import another {name}, which must be removed: {', '.join(others)}"
        else:
            yield "ok", name, str(ROOT / name)
    yield _results(results_root())


def _importable(name: str) -> list[Path]:
    """Return all packages and modules of this name on ``sys.path``."""
    files = [folder / suffix for folder in map(Path, sys.path) for suffix in (f"{name}/__init__.py", f"{name}.py")]
    return [file.parent if file.stem == "__init__" else file for file in files if file.is_file()]


def _results(folder: Path) -> Finding:
    """Test whether results can be written. Where the folder is missing, the test is made in its parent."""
    from tempfile import TemporaryFile

    try:
        with TemporaryFile(dir=folder if folder.exists() else Path()):
            return "ok", str(folder), f"{folder.resolve()} is writable"
    except OSError as error:
        return "error", str(folder), f"{folder.resolve()} is not writable: {error.strerror}"


SECTIONS: dict[str, Callable[[], Iterator[Finding]]] = {
    "Versions": _versions,
    "Devices": _devices,
    "Kernels": _kernels,
    "Folders": _folders,
}
