"""Independent oracles: for each task a few lines of plain Python that answer one row of symbols.

A file here stands for a folder of ``tasks/``. Its ``ORACLES`` maps specs to functions; a function may take an option of
the task as its own argument. Nothing here shares code with the tasks.
"""

import importlib
import pkgutil
from collections.abc import Callable

Oracle = Callable[[list[str]], list[str]]


def all_oracles() -> dict[str, Oracle]:
    """Return the oracles of every file in this folder, by spec."""
    found: dict[str, Oracle] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= importlib.import_module(f"{__name__}.{module.name}").ORACLES
    return found
