"""The command group: it turns every error of the user into one line on standard error and sets the exit code.

===  ==============================================================================
  0  success
  1  a cell failed, a check failed, or the installation has an error
  2  an error in what the user gave: the line names the value, the rule and the fix
130  interrupted by Ctrl-C
143  interrupted by SIGTERM
===  ==============================================================================
"""

import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from harness.encoding import printable, replace_unencodable
from harness.errors import UserError, close_match

USER_ERROR, INTERRUPTED = 2, 130
HINT = re.compile(r"\.? \(?(?:Possible options:|Did you mean(?: one of:)?) (.*?)\??\)?$")
"""The suggestion at the end of a parser error, as several versions of the parser write it."""
CHOICE = re.compile(r"'(?P<value>[^']*)' is not one of (?P<choices>'.*')$")
"""The end of a parser error about a value that is not among its choices."""


class OneLineErrors(TyperGroup):
    """A command group that reports each error as one line, and shows its help where no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        return super().parse_args(ctx, args or ["--help"])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command and exit with its exit code."""
        replace_unencodable()
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except typer.Abort:
            code = INTERRUPTED
        except UserError as error:
            code = print_error(str(error))
        except OSError as error:
            code = print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except Exception as error:
            if not hasattr(error, "format_message"):  # only errors of the parser have this method
                raise
            code = print_error(usage_error(error))
        sys.exit(code or 0)


def print_error(text: str, code: int = USER_ERROR) -> int:
    """Print one line on standard error and return the exit code."""
    print(f"lengthwise: {printable(' '.join(text.split()))}", file=sys.stderr)
    return code


def interruption(error: KeyboardInterrupt) -> typer.Exit:
    """Print that the command was interrupted, and return its exit."""
    text = "interrupted; finished cells and snapshots are kept; give the same command again to resume"
    return typer.Exit(print_error(text, getattr(error, "code", INTERRUPTED)))


def usage_error(error: Any) -> str:
    """Return an error of the parser in the style of our own messages."""
    text = error.format_message().strip().removesuffix(".").replace("Value error, ", "")
    text = text.replace(": Input should be ", f"{_rejected_value(error)}: must be ")
    text = HINT.sub(r"; did you mean \1?", text)
    if gpu := re.search(r"'cuda:(\d+)' is not one of", text):
        text += f"; choose a GPU as in CUDA_VISIBLE_DEVICES={gpu[1]} ... --device cuda"
    elif choice := CHOICE.search(text):
        match = close_match(choice["value"], re.findall(r"'([^']*)'", choice["choices"]))
        text += f"; did you mean {match}?" if match else ""
    path = error.ctx.command_path if getattr(error, "ctx", None) else "lengthwise"
    hint = "" if "did you mean" in text or " is not one of " in text else f"; see {path} --help"
    return text[:1].lower() + text[1:] + hint


def _rejected_value(error: Any) -> str:
    """Return the rejected value where it is missing from the parser's message: pydantic's errors hold it."""
    errors: list[Any] = getattr(error.__cause__, "errors", list)()
    return f" {errors[0]['input']!r}" if errors else ""
