"""Where commands print: tables and data to standard output; progress, messages and warnings to standard error.

Tables have one style and fit the width of the console.
"""

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PAGE_WIDTH = 100
"""Width in columns where the output is not a terminal and the variable COLUMNS is not set."""

MARKS = {
    "ok": Text("✓", "green"),
    "error": Text("✗", "red"),
    "warning": Text("–", "yellow"),
    "": Text(""),
}


def console() -> Console:
    """Return the console of tables, on standard output. It prints brackets and colons unchanged."""
    return _console()


def messages(quiet: bool = False) -> Console:
    """Return the console of progress and messages, on standard error; a quiet one prints nothing."""
    return _console(stderr=True, quiet=quiet)


def _console(**where: bool) -> Console:
    """Return a console as wide as the terminal, or as COLUMNS says, or of :data:`PAGE_WIDTH`."""
    settings: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, **where}
    terminal = Console(**settings)
    has_width = terminal.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return terminal if has_width else Console(**settings, width=PAGE_WIDTH)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; escapes keep what an encoding other than UTF-8 would lose."""
    is_utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=1, ensure_ascii=not is_utf8))


def table(title: str, *columns: str) -> Table:
    """Return an empty table. A column whose name begins with ``>`` is right-aligned."""
    empty = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
    )
    for name in columns:
        empty.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    empty.padding = (0, 2, 0, 0)
    return empty
