"""Starts processes that import the harness only, from any script, notebook or thread."""

import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, SpawnContext
from threading import RLock
from types import ModuleType

_LOCK = RLock()


def start_context(preload: Sequence[str]) -> ForkServerContext | SpawnContext:
    """Return how processes start: as copies of a process that has imported the modules ``preload``, or from nothing.

    The first start imports the modules, which takes seconds, and later ones take milliseconds. A process that uses a
    GPU cannot be a copy of another one, so ``preload`` is empty for it. Windows has no copies.
    """
    if not preload or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


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
