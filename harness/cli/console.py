"""What the commands print on: a console, and tables of one look that fit its width."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PAGE = 100
"""Columns where there is no terminal."""

MARKS = {
    "well": Text("✓", "green"),
    "trouble": Text("✗", "red"),
    "missing": Text("–", "yellow"),
    "": Text(""),
}


def console() -> Console:
    """Return a console on standard output, as wide as the terminal; brackets and colons are just that."""
    look: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    terminal = Console(**look)
    return terminal if terminal.is_terminal else Console(**look, width=PAGE)


def table(title: str, *columns: str) -> Table:
    """Return an empty table; a column whose name begins with ``>`` is set to the right."""
    made = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
    )
    for name in columns:
        made.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    made.padding = (0, 2, 0, 0)
    return made
