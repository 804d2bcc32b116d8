"""Launchers: where the jobs of a run are executed, one per file. All of them run jobs through the same pool."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from harness.errors import UserError

if TYPE_CHECKING:  # a node of a cluster imports this package before anything else
    from harness.execution.job import Emit, Job
    from harness.execution.run_options import RunOptions


class Launcher(Protocol):
    """Executes jobs.

    Attributes:
        options: those of the run, with the device that ``auto`` stands for where the jobs run.
    """

    options: "RunOptions"

    def launch(self, jobs: "Sequence[Job]", emit: "Emit") -> None:
        """Run all jobs, and pass on the events of their workers."""


@contextmanager
def opened(options: "RunOptions") -> Iterator[Launcher]:
    """Open the launcher that the options name; its packages are imported now."""
    try:
        module = import_module(f"{__name__}.{options.launcher}")
    except ModuleNotFoundError as error:
        extra = options.launcher
        hint = f'install it with pip install "lengthwise[{extra}]"'
        raise UserError(f"--launcher {extra} needs the package {error.name}; {hint}") from None
    with module.opened(options) as launcher:
        yield launcher
