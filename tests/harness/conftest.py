"""A fixture for tests of the command line."""

from pathlib import Path

import pytest


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test in a folder of its own, and write no report."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.report.write.write_report", lambda results, folder: folder / "report.html")
