"""The size of figures: the widths of venues, and the styles ``paper`` and ``slides``.

A figure is drawn for its width in print, so that it is not scaled when it is included: its smallest text has seven
points. Slides have letters, lines and points twice as large.
"""

from dataclasses import dataclass
from math import inf, isfinite

from harness.errors import UserError, suggest

WIDTHS = {
    "neurips": 5.5,
    "iclr": 5.5,
    "icml": 3.25,
    "icml-text": 6.75,
    "acl": 3.03,
    "acl-text": 6.3,
    "slides": 12.0,
}
"""Widths of text in inches, from the authors' instructions of each venue.

NeurIPS and ICLR: text 5.5 inches (33 picas) wide. ICML: two columns of 3.25 inches with 0.25 between them, 6.75 in all.
ACL (ACLPUB formatting guidelines): two columns of 7.7 cm with 0.6 cm between them, 16 cm in all. A slide of 13.33 by
7.5 inches (16:9) leaves about 12 for a figure.
"""

STYLES = {"paper": 1.0, "slides": 2.0}
"""Size of letters, lines and points, as a multiple of those in a paper."""

PAGE_HEIGHT = {"paper": 8.0, "slides": 5.5}
"""Largest height of a figure in inches; one with more panels continues in further files."""

SMALLEST, LARGEST = 2.0, 40.0
"""Range of widths in inches."""


@dataclass(frozen=True)
class FigureFormat:
    """Width and largest height of a figure in inches, and the scale of its letters."""

    width: float = WIDTHS["neurips"]
    height: float = PAGE_HEIGHT["paper"]
    scale: float = 1.0

    @property
    def room(self) -> float:
        """The width in inches that a paper would need for as many letters."""
        return self.width / self.scale


ONE_PICTURE = FigureFormat(10.0, inf)
"""The format of pictures on web pages: all panels in one file."""


def figure_format(style: str | None, width: str | None) -> FigureFormat:
    """Return the format of a style and of a width, which is a venue or a number of inches.

    Raises:
        UserError: if there is no such style, or no such width.
    """
    style = style or "paper"
    if style not in STYLES:
        raise UserError(f"--style {style!r}: unknown style{suggest(style, STYLES)}")
    default = "slides" if style == "slides" else "neurips"
    return FigureFormat(parse_width(width or default), PAGE_HEIGHT[style], STYLES[style])


def parse_width(text: str) -> float:
    """Return a width in inches.

    >>> parse_width("icml"), parse_width("4.5")
    (3.25, 4.5)
    """
    if text in WIDTHS:
        return WIDTHS[text]
    try:
        width = float(text)
    except ValueError:
        raise UserError(f"--width {text!r}: neither a number of inches nor a venue{suggest(text, WIDTHS)}") from None
    if not (isfinite(width) and SMALLEST <= width <= LARGEST):
        raise UserError(f"--width {text}: must be from {SMALLEST:g} to {LARGEST:g} inches; choose {WIDTHS['neurips']}")
    return width
