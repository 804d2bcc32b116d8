"""Writes that survive a crash: a file under its final name is complete, and so is every line of an appended file."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from harness.errors import UserError

PAUSES = (1.0, 4.0)
"""Seconds after which a write that the machine refused is tried again."""


class StorageError(UserError):
    """The machine does not store a record: its disk is full, read-only or gone. No model is to blame."""


def stored(path: Path, write: Callable[[], None]) -> None:
    """Call a function that writes ``path``; if the machine refuses, try again after each of :data:`PAUSES`.

    Raises:
        StorageError: if the last attempt fails too; the message names the file.
    """
    for pause in (*PAUSES, None):
        try:
            return write()
        except OSError as error:
            if pause is None:
                raise StorageError(
                    f"{path} cannot be written: {error.strerror or error}; finished cells and snapshots are kept; "
                    "give the same command again once it can be"
                ) from None
            time.sleep(pause)


def write_atomically(path: Path, *parts: str | bytes) -> None:
    """Write the parts one after another to a temporary file, flush it, and rename it."""
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part.encode() if isinstance(part, str) else part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()  # part of a file would fill a full disk further
        raise


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines to a file and flush it. The rest of a line that an earlier crash left unfinished is removed."""
    with open(path, "ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(f"{line}\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def complete_lines(path: Path) -> list[bytes]:
    """Return the lines of an appended file, without one that a crash left unfinished; none if there is no file."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except (FileNotFoundError, NotADirectoryError):
        return []


def temporary_path(path: Path) -> Path:
    """Return the name of a file until it is complete, which differs between processes."""
    return path.with_name(f".{path.name}.{os.getpid()}")
