"""Kernel packages, one in each file: fast implementations of mechanisms that have a reference form in this package.

A kernel never changes the parameters or the function, only the speed. Each file imports its package inside its
functions and exports ``KERNEL``, which tells whether the package is usable on this machine and, if not, why.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_replicas: ContextVar[bool] = ContextVar("replicas", default=False)


@dataclass(frozen=True)
class Kernel:
    """A kernel package: ``obstacle`` returns the reason why it cannot be used here, with a remedy, or ``None``.

    ``version`` is called only if there is no obstacle.
    """

    name: str
    obstacle: Callable[[], str | None]
    version: Callable[[], str]


class KernelMissing(ValueError):
    """A kernel that was named in an option cannot be used here."""


def require(kernel: Kernel) -> str:
    """Return ``name version`` of a usable kernel; raise :class:`KernelMissing` with the reason otherwise."""
    reason = kernel.obstacle()
    if reason is not None:
        raise KernelMissing(f"kernel={kernel.name} cannot be used here: {reason}")
    return f"{kernel.name} {kernel.version()}"


@contextmanager
def replicas_ride_along() -> Iterator[None]:
    """Mark a forward pass in which ``torch.func.vmap`` runs a population of models.

    Some fused operators have no batching rule (``aten::lstm``, attention on a CPU). Modules that use them check
    :func:`replicas` and then run their plain form.
    """
    token = _replicas.set(True)
    try:
        yield
    finally:
        _replicas.reset(token)


def replicas() -> bool:
    """Whether this forward pass runs a population of models."""
    return _replicas.get()
