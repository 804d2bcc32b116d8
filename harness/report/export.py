"""Files of tables: CSV for computation, Markdown for reading, LaTeX (booktabs) for papers."""

from pathlib import Path

from harness.report.captions import HEADER_ROWS, Table

TEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "≥": r"$\geq$", "≤": r"$\leq$"}
    | {"▸": r"$\triangleright$", "·": r"$\cdot$"}
    | {"–": "--", "†": r"\dag{}", "‡": r"\ddag{}", "…": r"\dots{}"}
)


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write one table in all formats and return the files."""
    texts = {"csv": table.data.to_csv(index=False), "md": markdown(table), "tex": latex(table)}
    files = []
    for suffix, content in texts.items():
        files.append(folder / f"{table.name}.{suffix}")
        files[-1].write_text(content, encoding="utf-8")
    return files


def markdown(table: Table) -> str:
    """Return a heading, the table and its caption as Markdown."""
    frame = table.frame
    if frame.empty:
        return f"### {table.title}\n\nNothing yet.\n"
    rows = [list(frame.columns), *frame.values.tolist()]
    rows = [[str(value).replace("|", "\\|") for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, " | ".join("-" * width for width in widths))
    body = "\n".join(f"| {line} |" for line in lines)
    return f"### {table.title}\n\n{body}\n\n{table.caption}\n"


def latex(table: Table) -> str:
    """Return a booktabs table with caption and label; it needs ``\\usepackage{booktabs}``."""
    if table.frame.empty:
        return f"% {table.title}: nothing yet\n"
    frame = table.frame.map(escape).rename(columns=escape)
    body = frame.style.hide(axis="index").to_latex(
        hrules=True,
        caption=escape(f"{table.title}. {table.caption}"),
        label=f"tab:{table.name}",
        position_float="centering",
        column_format="l" * frame.shape[1],
    )
    header = f"\n{HEADER_ROWS[0]} &"  # a rule separates the scores from the header rows below them
    return "% \\usepackage{booktabs}\n" + body.replace(header, f"\n\\midrule{header}")


def escape(text: object) -> str:
    """Escape a text for LaTeX.

    >>> escape(">=160 at 5%")
    '$\\\\geq$160 at 5\\\\%'
    """
    return str(text).replace(">=", "≥").replace("<=", "≤").translate(TEX)
