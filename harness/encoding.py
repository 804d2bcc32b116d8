"""Text for output streams whose encoding lacks some characters, such as ASCII, latin-1 or cp1252."""

import codecs
import re
import sys
import unicodedata
from typing import Any

ERRORS = "lengthwise"
"""Name of the error handler that writes a similar text in place of a character that cannot be encoded."""

SIMILAR = {
    "✓": "+",
    "✗": "x",
    "▸": ">",
    "→": "->",
    "←": "<-",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "×": "x",
    "·": ".",
    "±": "+-",
    "–": "-",
    "—": "-",
    "−": "-",
    "†": "+",
    "‡": "++",
    "…": "...",
    "•": "*",
    "━": "-",
    "─": "-",
    "│": "|",
    "┃": "|",
}

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters except tab and line feed, and characters that change the direction of the text after them."""


def _similar(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of the characters that cannot be encoded, and where encoding continues."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(map(_similar_character, characters)), error.end


def _similar_character(character: str) -> str:
    """Return an ASCII text for a character: a listed one, the letter without its accents, or a question mark."""
    plain = SIMILAR.get(character) or unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain:
        return plain
    is_box = "BOX DRAWING" in unicodedata.name(character, "")
    return "+" if is_box else "?"


codecs.register_error(ERRORS, _similar)


def replace_unencodable() -> None:
    """Let standard output and standard error replace characters that they cannot encode, instead of raising."""
    streams: tuple[Any, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def repaired(text: str) -> str:
    """Return the text with the bytes decoded that a locale other than UTF-8 left undecoded in a command or a path."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def encodable(text: str, encoding: str) -> str:
    """Return the text with the characters replaced that an encoding lacks, and control characters written out."""
    return printable(text).encode(encoding, ERRORS).decode(encoding)


def printable(text: str) -> str:
    """Return the text with control characters written out: a terminal would follow them as commands.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return CONTROL.sub(lambda match: repr(match[0])[1:-1], text)
