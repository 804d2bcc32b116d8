"""Independent oracles: for each task, a few lines of plain Python that answer one row of symbols.

Each file has the oracles of a family or a paper. Its ``ORACLES`` maps specs to functions. Oracles share no code with
the tasks.
"""

import importlib
import pkgutil
from collections.abc import Callable

Oracle = Callable[[list[str]], list[str]]


def all_oracles() -> dict[str, Oracle]:
    """Return the oracles of every file in this folder, by spec."""
    oracles: dict[str, Oracle] = {}
    for module in pkgutil.iter_modules(__path__):
        oracles |= importlib.import_module(f"{__name__}.{module.name}").ORACLES
    return oracles
