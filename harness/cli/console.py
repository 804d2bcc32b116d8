"""Where commands print: tables and data to standard output; progress, messages and warnings to standard error.

Tables have one style and fit the width of the console.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harness.encoding import printable

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
    chosen = terminal if has_width else Console(**settings, width=PAGE_WIDTH)
    chosen.push_render_hook(_WithoutControl())
    return chosen


class _WithoutControl(RenderHook):
    """Writes out the control characters in texts of records and plug-ins, which a terminal would follow."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(renderable) for renderable in renderables]


@dataclass(frozen=True)
class _Printable:
    content: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.content, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


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
