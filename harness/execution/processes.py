"""Starts processes that import the harness only, from any script, notebook or thread."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType

_LOCK = RLock()


@contextmanager
def clean_start() -> Iterator[None]:
    """Let processes that start in this context ignore Ctrl-C, and not import the main module of this process.

    Python would otherwise run the user's script again in each new process, which starts further processes where the
    script has no main guard, and fails where it came from standard input. Jobs need nothing from that script.
    Ctrl-C reaches all processes of a terminal, so only the launcher reacts to it and ends the others.
    """
    with _LOCK, _interrupts_blocked():
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in this thread. A new process inherits the mask; unlike a signal handler, any thread can set it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
