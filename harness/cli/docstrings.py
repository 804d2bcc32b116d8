"""Docstrings as a user reads them: paragraphs that wrap, glossaries that keep their lines, and what ``Args`` says."""

import inspect
import re
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

SECTION = re.compile(r"^(Args|Attributes|Examples|Class facts)\b.*:$", re.MULTILINE)
ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)
MARKUP = re.compile(r":\w+:`([^`]+)`|``([^`]+)``")


def paragraphs(*texts: str) -> Iterator[RenderableType]:
    """Yield what to print: one line a paragraph, but a line each where lines are indented."""
    for paragraph in re.split(r"\n\s*\n", plain("\n\n".join(texts)).strip()):
        yield ""
        lines = paragraph.splitlines()
        keep = any(line.startswith(" ") for line in lines)
        for line in lines if keep else [" ".join(lines)]:
            yield Padding(Text(line.strip()), (0, 0, 0, len(line) - len(line.lstrip())))


def plain(text: str) -> str:
    """Take the markup out."""
    return MARKUP.sub(lambda found: found[1] or found[2], text)


def opening(cls: type) -> str:
    """Return what a class docstring says before its sections."""
    return SECTION.split(inspect.cleandoc(cls.__doc__ or ""))[0]


def arguments(cls: type) -> dict[str, str]:
    """Return what the docstring's ``Args`` say of each argument."""
    parts = SECTION.split(inspect.cleandoc(cls.__doc__ or ""))
    said = dict(zip(parts[1::2], parts[2::2], strict=True)).get("Args", "")
    return {name: plain(" ".join(meaning.split())) for name, meaning in ARGUMENT.findall(said)}
