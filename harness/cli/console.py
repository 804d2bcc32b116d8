"""The console that commands print to, and tables in one style that fit its width."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PAGE_WIDTH = 100
"""Width in columns where standard output is not a terminal."""

MARKS = {
    "ok": Text("✓", "green"),
    "error": Text("✗", "red"),
    "warning": Text("–", "yellow"),
    "": Text(""),
}


def console() -> Console:
    """Return a console on standard output, as wide as the terminal. It prints brackets and colons unchanged."""
    settings: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    terminal = Console(**settings)
    return terminal if terminal.is_terminal else Console(**settings, width=PAGE_WIDTH)


def table(title: str, *columns: str) -> Table:
    """Return an empty table. A column whose name begins with ``>`` is right-aligned."""
    empty = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
    )
    for name in columns:
        empty.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    empty.padding = (0, 2, 0, 0)
    return empty
