"""Files that are either complete or not there."""

import os
from pathlib import Path


def write_atomically(path: Path, *parts: str | bytes) -> None:
    """Write the parts one after another beside the path, flush them, and rename."""
    with open(aside(path), "wb") as file:
        for part in parts:
            file.write(part.encode() if isinstance(part, str) else part)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside(path), path)


def aside(path: Path) -> Path:
    """Return where a file is written before it gets its name, one place a process."""
    return path.with_name(f".{path.name}.{os.getpid()}")
