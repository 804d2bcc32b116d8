"""Writes that survive a crash: a file under its final name is complete, and so is every line of an appended file."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, *parts: str | bytes) -> None:
    """Write the parts one after another to a temporary file, flush it, and rename it."""
    with open(temporary_path(path), "wb") as file:
        for part in parts:
            file.write(part.encode() if isinstance(part, str) else part)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary_path(path), path)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines to a file and flush it. The rest of a line that an earlier crash left unfinished is removed."""
    with open(path, "ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def complete_lines(path: Path) -> list[str]:
    """Return the lines of an appended file, without one that a crash left unfinished; none if there is no file."""
    try:
        return path.read_bytes().decode().split("\n")[:-1]
    except (FileNotFoundError, NotADirectoryError):
        return []


def temporary_path(path: Path) -> Path:
    """Return the name of a file until it is complete, which differs between processes."""
    return path.with_name(f".{path.name}.{os.getpid()}")
