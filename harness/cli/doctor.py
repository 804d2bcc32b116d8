"""``lengthwise doctor``: what this machine can do, and what stands in the way."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

PACKAGES = ("architectures", "harness", "tasks")
HOME = Path(__file__).resolve().parents[2]
"""Where our three packages lie."""

Finding = tuple[str, str, str]
"""A mark, what was looked at, and what was found. What is missing costs speed at most; trouble must be mended."""


def doctor() -> None:
    """Report versions, devices, usable kernels, and whatever stands in the way."""
    from harness.cli.console import MARKS, console, table

    out, marks = console(), set()
    for title, look in SECTIONS.items():
        made = table(title, "", "", "")
        made.show_header = False
        for mark, what, found in look():
            made.add_row(MARKS[mark], what, found)
            marks.add(mark)
        out.print(made)
    out.print("\nSomething must be mended: see ✗." if "trouble" in marks else "\nAll is well.")
    raise typer.Exit(1 if "trouble" in marks else 0)


def _versions() -> Iterator[Finding]:
    from harness.storage.provenance import versions

    yield from (("", name, version) for name, version in versions().items())


def _devices() -> Iterator[Finding]:
    import torch

    from harness.execution.run_options import default_workers
    from harness.storage.provenance import device_name

    yield "well", "processor", f"{device_name('cpu')}; {default_workers('cpu')} workers of one thread each"
    if not torch.cuda.is_available():
        yield "missing", "cuda", "torch sees no device; a CPU is enough"
    for name in (f"cuda:{index}" for index in range(torch.cuda.device_count())):
        yield "well", name, device_name(name)


def _kernels() -> Iterator[Finding]:
    from importlib import import_module
    from pkgutil import iter_modules

    import architectures.parts.kernels as room

    for module in iter_modules(room.__path__, f"{room.__name__}."):
        kernel = getattr(import_module(module.name), "KERNEL", None)
        if kernel is not None:
            why = kernel.obstacle()
            yield ("missing", kernel.name, why) if why else ("well", kernel.name, kernel.version())


def _places() -> Iterator[Finding]:
    for name in PACKAGES:
        others = [str(place) for place in _importable(name) if place.resolve().parent != HOME]
        in_the_way = f"another one is in the way: {', '.join(others)}"
        yield ("trouble", name, in_the_way) if others else ("well", name, str(HOME / name))
    yield _records(Path("results"))


def _importable(name: str) -> list[Path]:
    """Return every package or module of a name that Python could import."""
    places = [folder / suffix for folder in map(Path, sys.path) for suffix in (f"{name}/__init__.py", f"{name}.py")]
    return [place.parent if place.stem == "__init__" else place for place in places if place.is_file()]


def _records(folder: Path) -> Finding:
    """Say whether records can be written; the folder itself is made by the first run."""
    from tempfile import TemporaryFile

    try:
        with TemporaryFile(dir=folder if folder.exists() else Path()):
            return "well", str(folder), f"{folder.resolve()} is writable"
    except OSError as error:
        return "trouble", str(folder), f"{folder.resolve()} is not writable: {error.strerror}"


SECTIONS: dict[str, Callable[[], Iterator[Finding]]] = {
    "Versions": _versions,
    "Devices": _devices,
    "Kernels": _kernels,
    "Places": _places,
}
