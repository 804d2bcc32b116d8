"""Kernel packages, one a file: fast implementations of a mechanism that has a reference form here.

A kernel never changes the parameters or the function, only the speed. Each file imports its package inside its
functions and exports ``KERNEL``, which can say whether the package is usable on this machine and, if not, why.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_replicas: ContextVar[bool] = ContextVar("replicas", default=False)


@dataclass(frozen=True)
class Kernel:
    """A kernel package: its name, and ``obstacle``, which says why it cannot be used here and what would help.

    ``version`` is called only where there is no obstacle.
    """

    name: str
    obstacle: Callable[[], str | None]
    version: Callable[[], str]


class KernelMissing(ValueError):
    """A kernel was asked for by name and cannot be used here."""


def require(kernel: Kernel) -> str:
    """Return ``name version`` of a usable kernel; raise :class:`KernelMissing` with the reason otherwise."""
    why = kernel.obstacle()
    if why is not None:
        raise KernelMissing(f"kernel={kernel.name} cannot be used here: {why}")
    return f"{kernel.name} {kernel.version()}"


@contextmanager
def replicas_ride_along() -> Iterator[None]:
    """Mark a forward in which ``torch.func.vmap`` carries a population of models through the same code.

    Fused operators without a batching rule (``aten::lstm``, attention on a CPU) ask :func:`replicas` and take
    their plain form then.
    """
    token = _replicas.set(True)
    try:
        yield
    finally:
        _replicas.reset(token)


def replicas() -> bool:
    """Whether a population rides along in this forward."""
    return _replicas.get()
