"""LaTeX tables (booktabs) that fit a text width of 5.5 inches.

A table that is too wide is split by columns into parts, each with the label column; one that is longer than a page is a
``longtable``. Columns whose values repeat become a line above their rows. The best cells are bold where the table has a
:class:`harness.report.captions.Paper` form, whose caption states the rule.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

import pandas as pd

from harness.report import number_format as fmt
from harness.report.captions import HEADER_ROWS, Table

MOST_COLUMNS = 8
"""Most columns of a part."""

LINE = 96
"""Letters of a line of a table: footnotesize in 5.5 inches, less the space of a gap between columns."""

BOLD_LINE = 80
"""Letters of a line in bold type."""

GAP = 2
"""Letters that a column needs besides its text."""

HEAD, PARAGRAPH = 14, 32
"""Letters of a line of a heading, and of a column whose text is broken into lines."""

PARAGRAPH_TYPE = r"p{1.6in}"
"""The column type of long texts."""

PAGE_ROWS = 45
"""Rows of a table that still fits on one page."""

PREAMBLE = r"% needs \usepackage{booktabs}"
LONG_PREAMBLE = r"% needs \usepackage{booktabs,longtable}; in two columns, put \onecolumn before it"

SPECIAL = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "≥": r"$\geq$", "≤": r"$\leq$"}
    | {"▸": r"$\triangleright$", "·": r"$\cdot$", "→": r"$\to$", "×": r"$\times$", '"': "''"}
    | {"–": "--", "†": r"\dag{}", "‡": r"\ddag{}", "…": r"\dots{}", "§": r"\S{}", "±": r"$\pm$"}
)
"""Letters with a meaning in LaTeX, and those of our texts that older fonts lack."""


def latex(table: Table) -> str:
    """Return a table with caption and label, in as many parts as its width requires."""
    paper = table.paper
    frame, caption = (paper.frame, paper.caption) if paper else (table.frame, table.caption)
    if frame.empty:
        return f"% {table.title}: nothing yet\n"
    parts = _parts(frame.drop(columns=list(table.group)), table)
    long = len(frame) > PAGE_ROWS
    texts = [LONG_PREAMBLE if long else PREAMBLE]
    for place, columns in enumerate(parts):
        number = f" ({place + 1} of {len(parts)})" if len(parts) > 1 else ""
        title = escape(f"{table.title}{number}. {caption if not place else ''}".strip())
        label = f"tab:{table.name}" + (f"-{place + 1}" if len(parts) > 1 else "")
        rows = list(_rows(frame, columns, table))
        texts.append(_environment(frame[columns], rows, title, label, long))
    return "\n".join(texts)


def escape(text: object) -> str:
    """Escape a text for LaTeX.

    >>> escape(">=160 at 5%")
    '$\\\\geq$160 at 5\\\\%'
    """
    escaped = str(text).replace(">=", "≥").replace("<=", "≤").translate(SPECIAL)
    return escaped.encode("ascii", "replace").decode()


def _environment(part: pd.DataFrame, rows: list[str], title: str, label: str, long: bool) -> str:
    """Return one part as a ``table``, or as a ``longtable`` that may break over pages."""
    spec = "".join(map(_alignment, (part[name] for name in part)))
    head = [r"\toprule", " & ".join(_heading(part[name]) for name in part) + r" \\", r"\midrule"]
    if long:
        lines = [r"{\footnotesize\setlength{\tabcolsep}{4pt}", rf"\begin{{longtable}}{{{spec}}}"]
        lines += [rf"\caption{{{title}}}\label{{{label}}}\\", *head, r"\endfirsthead", *head, r"\endhead"]
        return "\n".join([*lines, *rows, r"\bottomrule", r"\end{longtable}}", ""])
    lines = [r"\begin{table}", r"\centering\footnotesize\setlength{\tabcolsep}{4pt}", rf"\caption{{{title}}}"]
    lines += [rf"\label{{{label}}}", rf"\begin{{tabular}}{{{spec}}}", *head, *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _parts(frame: pd.DataFrame, table: Table) -> list[list[str]]:
    """Return the columns of each part: the labels first, then the parts of the table or as many as fit a line."""
    labels, names = list(frame.columns[: table.labels]), list(frame.columns[table.labels :])
    if table.parts:
        return [[*labels, *(name for name in part if name in frame)] for part in table.parts]
    parts = [[*labels]]
    for name in names:
        is_wide = sum(_width(frame[column]) + GAP for column in [*parts[-1], name]) > LINE
        if len(parts[-1]) > len(labels) and (is_wide or len(parts[-1]) == MOST_COLUMNS):
            parts.append([*labels])
        parts[-1].append(name)
    return parts


def _width(column: pd.Series) -> int:
    """Return the letters of the widest line of a column."""
    lines = fmt.break_name(str(column.name), HEAD)
    return max([*map(len, lines), *(min(PARAGRAPH, len(str(text))) for text in column)])


def _alignment(column: pd.Series) -> str:
    """Return the column type: a paragraph for long texts, right for numbers, otherwise left."""
    texts = [str(text) for text in column]
    if max(map(len, texts), default=0) > PARAGRAPH:
        return PARAGRAPH_TYPE
    numbers = sum(text[:1].isdigit() or text[:1] in "(>-+–" for text in texts)
    return "r" if 2 * numbers > len(texts) else "l"


def _heading(column: pd.Series) -> str:
    """Return the heading of a column, broken into lines."""
    lines = [escape(line.strip()) for line in fmt.break_name(str(column.name), HEAD)]
    align = "r" if _alignment(column) == "r" else "l"
    broken = r"\\".join(lines)
    return broken if len(lines) == 1 else rf"\shortstack[{align}]{{{broken}}}"


def _rows(frame: pd.DataFrame, columns: list[str], table: Table) -> Iterator[str]:
    """Yield the rows of a part, with a line above those that share the values of the group."""
    bold = table.paper.bold if table.paper else frozenset()
    labels, long = frame[columns[0]].tolist(), {name for name in columns if _alignment(frame[name]) == PARAGRAPH_TYPE}
    groups = frame[list(table.group)].apply(tuple, axis=1) if table.group else pd.Series([()] * len(frame))
    for values, places in groupby(range(len(frame)), key=groups.tolist().__getitem__):
        yield from _group_lines(table.group, values, len(columns))
        for place in places:
            if labels[place] == HEADER_ROWS[0]:
                yield r"\midrule"  # between the scores and the rows that they are read against
            texts = [_cell(frame[name].iloc[place], (place, name) in bold, name in long) for name in columns]
            yield " & ".join(texts) + r" \\"


def _cell(text: object, bold: bool, long: bool) -> str:
    """Return a cell; of a bold one, what comes before its interval is bold; a long one may break inside of names."""
    if long:
        return re.sub(r"(\\_|[:,=])(?=\S)", r"\1\\allowbreak{}", escape(text))
    if not bold:
        return escape(text)
    number, space, rest = str(text).partition(" ")
    return rf"\textbf{{{escape(number)}}}{space}{escape(rest)}"


def _group_lines(names: Sequence[str], values: Sequence[object], columns: int) -> Iterator[str]:
    """Yield the lines above the rows of a group: its first value, then the others with their names."""
    if not names:
        return
    first, *others = values
    more = "; ".join(f"{name} {text}" for name, text in zip(names[1:], others, strict=True) if str(text))
    yield r"\addlinespace"
    for line in wrap(str(first), BOLD_LINE) or [""]:
        yield rf"\multicolumn{{{columns}}}{{l}}{{\textbf{{{escape(line)}}}}} \\"
    for line in wrap(more, LINE):
        yield rf"\multicolumn{{{columns}}}{{l}}{{{escape(line)}}} \\"
