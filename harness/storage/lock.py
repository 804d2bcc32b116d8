"""The lock of a run folder: two runs never write one folder at the same time.

A lock file of the operating system is held as long as the process lives, so nothing is left to clean up after a crash.
Some cluster file systems do not share such locks between machines. So the owner's machine, process and time stand in a
file next to it, whose time is renewed every minute. A file that has not been renewed for ten minutes is taken over.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import UserError
from harness.storage.atomic import write_atomically

LOCK, OWNER = ".run.lock", ".run.owner"
RENEWED, STALE = 60.0, 600.0
"""Seconds between renewals of the owner's file, and its age from which on its owner counts as gone."""


@contextmanager
def locked(folder: Path) -> Iterator[str]:
    """Hold the lock of a run folder, which is created; yield a note if the folder is taken over, else an empty text.

    Raises:
        UserError: if another process writes this folder; the message names its machine and process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise in_use(folder, _owner(folder)) from None
    try:
        note = _take_over(folder)
        write_atomically(folder / OWNER, json.dumps(_own_name() | {"since": _now()}))
        try:
            with _renewing(folder / OWNER):
                yield note
        finally:
            (folder / OWNER).unlink(missing_ok=True)
    finally:
        lock.release()


def _take_over(folder: Path) -> str:
    """Return a note about an owner that has gone without removing its file; raise if it may still be there."""
    owner = _owner(folder)
    if owner is None:
        return ""
    age = time.time() - (folder / OWNER).stat().st_mtime
    if owner.get("host") != socket.gethostname() and age < STALE:
        raise in_use(folder, owner)
    return f"{folder} was not closed by {_name(owner)}; its finished cells are kept, and this run takes it over"


def in_use(folder: Path, owner: dict[str, Any] | None) -> UserError:
    """Return the error of a folder that another process writes."""
    by = f" by {_name(owner)} since {owner.get('since', 'an unknown time')}" if owner else ""
    return UserError(f"{folder} is being written{by}; wait until that run ends, or choose another with --output")


def _name(owner: dict[str, Any]) -> str:
    return f"process {owner.get('pid', 'unknown')} on {owner.get('host', 'an unknown machine')}"


def _own_name() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _owner(folder: Path) -> dict[str, Any] | None:
    """Return what the owner's file says; ``None`` without one, and nothing of a file that is damaged."""
    try:
        content = json.loads((folder / OWNER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextmanager
def _renewing(path: Path) -> Iterator[None]:
    """Renew the time of a file every minute in this context."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEWED):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
