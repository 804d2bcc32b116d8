"""The command group: whatever goes wrong, the user reads one line and the shell gets an exit code.

==  =====================================================================
 0  done
 1  a cell, a contract or a part of the installation failed
 2  the user can mend it: the line names the value, the rule, the nearest choice
130 interrupted
==  =====================================================================
"""

import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from harness.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130
HINT = re.compile(r"\.? \(?(?:Possible options:|Did you mean(?: one of:)?) (.*?)\??\)?$")
"""How the parser, in its several versions, names what is near."""


class OneLine(TyperGroup):
    """A group whose mistakes are one line each; without a command it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        return super().parse_args(ctx, args or ["--help"])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command and leave with its exit code."""
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except typer.Abort:
            code = INTERRUPTED
        except UserError as error:
            code = say(str(error))
        except OSError as error:
            code = say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            code = say(usage(error))
        sys.exit(code or 0)


def say(text: str, code: int = USER_ERROR) -> int:
    """Print one line on standard error and return the exit code."""
    print(f"lengthwise: {' '.join(text.split())}", file=sys.stderr)
    return code


def usage(error: Any) -> str:
    """Put a complaint of the parser into our words."""
    text = error.format_message().strip().removesuffix(".").replace(": Input should be ", f"{_given(error)}: must be ")
    text = HINT.sub(r"; did you mean \1?", text)
    path = error.ctx.command_path if getattr(error, "ctx", None) else "lengthwise"
    hint = "" if "did you mean" in text or " is not one of " in text else f"; see {path} --help"
    return text[:1].lower() + text[1:] + hint


def _given(error: Any) -> str:
    """Return the value complained of, where the parser's own words leave it out."""
    complaints: list[Any] = getattr(error.__cause__, "errors", list)()
    return f" {complaints[0]['input']!r}" if complaints else ""
