"""SVG files of matplotlib as parts of the page: unique ids, flexible width, colours of the page, and fewer bytes."""

import re
from html import escape

from harness.report.style import GRID, INK, PAPER

SCROLL_PIXELS = 440
"""Width above which a panel on the page scrolls on small screens instead of shrinking."""

PAGE_COLORS = {INK: "currentColor", GRID: "var(--line)", PAPER: "var(--paper)"}
"""CSS colour of the page for each colour of a plot, so that plots follow light and dark."""

MARKERS = re.compile(r"<g( clip-path=\"[^\"]*\")?>\n((?:<use [^>]*/>\n)+)</g>")
MARKER_STYLE = re.compile(r" style=\"([^\"]*)\"/>")

HEADING = "heading"
"""The id of titles and notes of panels, without their number. The page writes these itself."""

DEFINED = re.compile(
    r'<path id="(\w+)"[^>]*/>|<clipPath id="(\w+)">.*?</clipPath>|<pattern id="(\w+)".*?</pattern>', re.DOTALL
)
"""A marker, a clipping path or a hatch, with its id in one of the groups."""
REFERENCE = re.compile(r'(?:url\(#|href="#)(\w+)')


def cut(svg: str, name: str, box: tuple[float, float, float, float]) -> str:
    """Return one panel of a figure as a standalone SVG, without its heading.

    Args:
        svg: the figure as matplotlib writes it: one line for each tag, indented by its depth.
        name: the id of the groups of the panel, without their number.
        box: left, top, width and height of the panel in points.
    """
    body = "".join(re.findall(_group(name, depth=2), svg, re.DOTALL | re.MULTILINE))
    body = re.sub(_group(HEADING, depth=3), "", body, flags=re.DOTALL | re.MULTILINE)
    head = svg[: svg.index(' <g id="figure')]
    head = re.sub(r'width="[^"]*" height="[^"]*" viewBox="[^"]*"', _size(box), head, count=1)
    # A marker is defined where the figure uses it first, which may be another panel.
    missing = set(REFERENCE.findall(body)) - {found[found.lastindex or 0] for found in DEFINED.finditer(body)}
    shared = [found[0] for found in DEFINED.finditer(svg) if found[found.lastindex or 0] in missing]
    return f"{head} <defs>\n{''.join(shared)}\n </defs>\n{body}</svg>\n"


def _group(name: str, depth: int) -> str:
    """Return a pattern of the groups ``name-0``, ``name-1``, ...: their first and last lines are indented alike."""
    return rf'^{" " * depth}<g id="{name}-\d+">\n.*?^{" " * depth}</g>\n'


def _size(box: tuple[float, float, float, float]) -> str:
    left, top, width, height = box
    view = f"{left:.2f} {top:.2f} {width:.2f} {height:.2f}"
    return f'width="{width:.2f}pt" height="{height:.2f}pt" viewBox="{view}"'


def inline(svg: str, name: str, title: str) -> str:
    """Turn a standalone SVG into a part of a page.

    Args:
        svg: the file as matplotlib writes it.
        name: is put before all ids, which makes them unique on the page.
        title: of the plot, for readers who do not see it.

    The page scales the plot up to 115% of its width. A wide plot never shrinks below 85%.
    """
    # Drop the XML declaration before "<svg", the metadata block and all comments.
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # Put the name before each id, both where it is defined and where url(#...) or href="#..." refers to it.
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", _shorter(svg))
    # Replace fixed colours by CSS variables of the page.
    for color, variable in PAGE_COLORS.items():
        svg = svg.replace(color, variable)
    points = re.search(r'<svg[^>]* width="([\d.]+)pt"', svg)
    width = round(float(points[1]) / 72 * 96) if points else SCROLL_PIXELS
    min_width = f";min-width:{round(0.85 * width)}px" if width > SCROLL_PIXELS else ""
    style = f"max-width:{round(1.15 * width)}px{min_width}"
    head = f'<svg role="img" aria-label="{escape(title)}" style="{style}"'
    # Replace width and height of the opening tag; the optional xlink namespace in front of them stays.
    return re.sub(r'<svg( xmlns:xlink="[^"]*")? width="[^"]*" height="[^"]*"', rf"{head}\g<1>", svg, count=1)


def _shorter(svg: str) -> str:
    """Return the same picture in fewer bytes."""
    # Indentation, and the ids of groups, to which nothing refers.
    svg = re.sub(r'(?<=<g) id="[^"]*"', "", re.sub(r"\n\s+", "\n", svg))
    # Coordinates to a hundredth of a point.
    svg = re.sub(r' (?:x|y|d)="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0]), svg)
    return MARKERS.sub(_one_style, svg)


def _one_style(match: re.Match[str]) -> str:
    """Give the style of equal markers to their group."""
    clip, markers = match[1] or "", match[2]
    styles = set(MARKER_STYLE.findall(markers))
    if len(styles) > 1:
        return match[0]
    return f'<g{clip} style="{styles.pop()}">\n{MARKER_STYLE.sub("/>", markers)}</g>'
