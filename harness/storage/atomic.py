"""Atomic writes: a file under its final name is always complete."""

import os
from pathlib import Path


def write_atomically(path: Path, *parts: str | bytes) -> None:
    """Write the parts one after another to a temporary file, flush it, and rename it."""
    with open(temporary_path(path), "wb") as file:
        for part in parts:
            file.write(part.encode() if isinstance(part, str) else part)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary_path(path), path)


def temporary_path(path: Path) -> Path:
    """Return the name of a file until it is complete, which differs between processes."""
    return path.with_name(f".{path.name}.{os.getpid()}")
