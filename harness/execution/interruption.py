"""Interruptions: Ctrl-C and SIGTERM let a training in progress write a snapshot before its process ends.

A signal can arrive in the middle of a step, where the state of a training is not consistent. So the first signal only
asks the training to write a snapshot after its step, and the process is interrupted then. It is interrupted at once if
nothing is being trained, or if the training cannot be stored, and at the second signal.
"""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.training.trainer import Trainer

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal has interrupted the process. ``code`` is the exit code that shells expect for it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


class Interruption:
    """The signal that this process has received, and the training that writes a snapshot first."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.trainer: Trainer | None = None

    def request(self, number: int, frame: Any = None) -> None:
        """Handle a signal; see the module.

        Raises:
            Interrupted: if there is nothing to wait for.
        """
        must_wait = self.number is None and self.trainer is not None and self.trainer.save is not None
        self.number = number
        if not must_wait:
            raise Interrupted(number)
        assert self.trainer is not None
        self.trainer.saved = -math.inf  # a snapshot is due after this step

    def attend(self) -> None:
        """Raise :class:`Interrupted` if a signal was received, where nothing would be lost by it."""
        if self.number is not None:
            raise Interrupted(self.number)

    @contextmanager
    def during(self, trainer: Trainer) -> Iterator[None]:
        """Wait for the snapshots of a trainer in this context."""
        self.trainer = trainer
        try:
            yield
        finally:
            self.trainer = None

    @contextmanager
    def handled(self, *signals: signal.Signals) -> Iterator[None]:
        """Handle signals in this context; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.number = None
        before = {number: signal.signal(number, self.request) for number in signals or SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.number = None


INTERRUPTION = Interruption()
"""The interruption of this process."""


@contextmanager
def time_budget(seconds: float | None) -> Iterator[None]:
    """End what runs in this context after some seconds, without an error. ``None`` is no limit."""
    if seconds is None:
        yield
        return
    with INTERRUPTION.handled(signal.SIGALRM):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except Interrupted as error:
            if error.code != 128 + signal.SIGALRM:
                raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
