"""Where the tests of the command line work."""

from pathlib import Path

import pytest


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of its own; tables are shown but plots are not drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.report.write.write_report", lambda cells, scores, meta, folder: folder / "report.html")
