"""Tables for papers: whole rows, what is bold, and a document that a TeX compiles without a line that is too wide."""

import doctest
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import made_run

import harness.report.paper_tables
from harness.report.latex import MOST_COLUMNS, latex
from harness.report.paper_tables import best_scores
from harness.report.results import Results
from harness.report.tables import tables

WORDS = r"<>&%$#_{}~^\\ \"‡≥ 漢 — é"
DOCUMENT = (
    r"\documentclass{article}\usepackage[textwidth=5.5in]{geometry}\usepackage{booktabs,longtable}\begin{document}"
)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    names = ("lstm", "transformer:position=rope", "mamba", "stack_rnn", f"mine:{'option_with_a_long_name=12,' * 3}")
    cells, scores, meta = made_run(names, seeds=5, steps=(1000,))
    cells = cells.assign(reason=cells.reason.where(cells.reason == "", WORDS))
    return {table.name: latex(table) for table in tables(Results.of(cells, scores, meta))}


def bodies(text: str) -> Iterator[str]:
    """Yield what each part of a table has between its rules."""
    yield from re.findall(r"\\toprule(.*?)\\bottomrule", text, re.DOTALL)


def test_parts_have_whole_rows_and_few_columns(texts: dict[str, str]) -> None:
    for text in texts.values():
        for body in bodies(text):
            rows = [row for row in body.splitlines() if row.endswith("\\\\") and "multicolumn" not in row]
            (columns,) = {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows}
            assert columns <= MOST_COLUMNS
            assert not re.search(r"(?<!\\)[_#]|≥", body)
    assert len(list(bodies(texts["detail"]))) == 3


def test_the_best_are_bold_with_their_intervals(texts: dict[str, str]) -> None:
    assert "\\textbf{$\\geq$320\\ddag{}} (5/5)" in texts["solved-to"]
    assert re.search(r"\\textbf\{1\.00\\ddag\{\}\} \[\d\.\d\d, 1\.00\]", texts["beyond-exact"])
    assert "Bold: the highest median" in texts["beyond-exact"]
    assert best_scores({"a": 0.52, "b": 0.5}, {"a": (0.49, 0.55), "b": None}, 0.5) == set()  # not above chance
    assert best_scores({"a": 0.904, "b": 0.901, "c": 0.8}, {}, 0.5) == {"a", "b"}  # printed alike, no intervals
    assert doctest.testmod(harness.report.paper_tables).failed == 0


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs a TeX")
def test_a_tex_compiles_all_tables(texts: dict[str, str], tmp_path: Path) -> None:
    document = "\n\\clearpage\n".join([DOCUMENT, *texts.values(), "\\end{document}"])
    (tmp_path / "all.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
