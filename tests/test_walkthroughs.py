"""The walkthroughs in ``docs/`` run as they stand: the Python blocks of a page, one after another."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"<!-- executed by tests/test_walkthroughs\.py -->\n```python\n(.*?)```", re.S)
PAGES = sorted(page.name for page in DOCS.glob("*.md") if BLOCK.search(page.read_text()))


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text()
    assert len(BLOCK.findall(text)) == text.count("```python\n")
    exec(compile("\n".join(BLOCK.findall(text)), page, "exec"), {})


def test_there_are_walkthroughs_of_a_step_and_of_a_run() -> None:
    assert {"run.md", "training_step.md"} <= set(PAGES)
