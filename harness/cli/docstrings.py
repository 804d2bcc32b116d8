"""Docstrings as help texts: paragraphs that wrap, indented blocks that keep their lines, and the ``Args`` section."""

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
    """Yield each paragraph as one line, which the console wraps. A paragraph with indented lines keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", plain("\n\n".join(texts)).strip()):
        yield ""
        lines = paragraph.splitlines()
        is_block = any(line.startswith(" ") for line in lines)
        for line in lines if is_block else [" ".join(lines)]:
            yield Padding(Text(line.strip()), (0, 0, 0, len(line) - len(line.lstrip())))


def plain(text: str) -> str:
    """Return the text without reStructuredText markup."""
    return MARKUP.sub(lambda match: match[1] or match[2], text)


def opening(cls: type) -> str:
    """Return the part of a class docstring that precedes its sections."""
    return SECTION.split(inspect.cleandoc(cls.__doc__ or ""))[0]


def argument_texts(cls: type) -> dict[str, str]:
    """Return the description of each argument in the ``Args`` section of a class docstring."""
    parts = SECTION.split(inspect.cleandoc(cls.__doc__ or ""))
    section = dict(zip(parts[1::2], parts[2::2], strict=True)).get("Args", "")
    return {name: plain(" ".join(text.split())) for name, text in ARGUMENT.findall(section)}
