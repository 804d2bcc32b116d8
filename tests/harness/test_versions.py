"""Reports of several runs: two versions of a plug-in are two rows, and the order of the folders changes no number."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command_line import LSTM, MIXER, PARITY, SMALL, call
from test_resume import plan
from test_resume import run as train

from harness.analysis.labels import add_recipes_to_labels
from harness.analysis.load import frames
from harness.registry import fingerprint, normal_code
from harness.registry.catalog import Catalog, _unpickled
from harness.registry.plugin_import import forget
from harness.report.results import Results
from harness.storage.checksum import without_checksum

pytestmark = pytest.mark.usefixtures("temporary_folder")

TASK = """
from tasks.base import Task

class Same(Task):
    '''A plug-in.'''

    symbols = ("a", "b")

    def sample(self, length, stream):
        return stream.integers(2, length)

    def solve(self, source):
        return source[:, {place}:][:, :1]
"""


def run(file: Path, text: str, output: str, *more: str) -> None:
    """Train with a version of a plug-in, as a new process would."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    forget(file.resolve())
    for function in (normal_code.syntax_of, normal_code.text_of, fingerprint._imported_names, _unpickled):
        function.cache_clear()
    result = call("run", "--plugin", file, *LSTM, *PARITY, *SMALL, "--output", output, *more)
    assert result.exit_code == 0, result.output


def numbers(*folders: str) -> tuple[Results, pd.DataFrame]:
    paths = [Path(folder) for folder in folders]
    results = Results.of(*frames(paths, Catalog()))
    order = ["architecture", "task", "variant"]
    return results, results.summary.sort_values(order).set_index(order).drop(columns="solved_to")


@pytest.mark.parametrize("places", [("mine.py", "mine.py"), ("one/mine.py", "two/mine.py")])
def test_two_versions_of_an_architecture_are_two_rows(places: tuple[str, str]) -> None:
    """The version of the second folder was dropped, and the order of the folders changed the numbers."""
    for place, output, body in zip(places, "AB", ("return self.inner(x)", "return self.inner(x) * 0"), strict=True):
        run(Path(place), MIXER.format(body=body), output, "-a", "mine:width=8")
    (results, summary), (_, again) = numbers("A", "B"), numbers("B", "A")
    pd.testing.assert_frame_equal(summary, again)
    versions = [label for label in results.architectures if label.startswith("mine")]
    assert len(versions) == 2
    assert all(label.startswith("mine:width=8 [code ") for label in versions)
    assert [label for label in results.architectures if label not in versions] == ["lstm:depth=1,width=8"]
    notes = [note for note in results.meta.notes if "comes from" in note]
    assert sorted(note.rpartition(" ")[2] for note in notes) == ["A", "B"]
    for folder in "AB":
        (label,) = (note.partition(" comes")[0] for note in notes if note.endswith(folder))
        single = numbers(folder)[1].drop(columns=["stale"])
        pair = summary.drop(columns=["stale"]).loc[(label, "parity", "")]
        pd.testing.assert_series_equal(pair, single.loc[("mine:width=8", "parity", "")], check_names=False)
    assert call("report", "A", "B", "--output", "both").exit_code == 0


def test_two_versions_of_a_task_are_two_columns() -> None:
    for output, place in zip("AB", (0, -1), strict=True):
        run(Path("same.py"), TASK.format(place=place), output, "-t", "same")
    (results, summary), (_, again) = numbers("A", "B"), numbers("B", "A")
    pd.testing.assert_frame_equal(summary, again)
    assert [task.startswith("same [code ") for task in results.tasks] == [False, True, True]
    assert results.architectures == ["lstm:depth=1,width=8"]


def test_the_same_cell_in_two_folders_counts_once_and_adds_its_lengths() -> None:
    text = MIXER.format(body="return self.inner(x)")
    run(Path("mine.py"), text, "A", "-a", "mine:width=8")
    run(Path("mine.py"), text, "B", "-a", "mine:width=8")
    assert call("evaluate", "B", "--test-lengths", "11", "--workers", "1", "--plugin", "mine.py").exit_code == 0
    (results, summary), (_, again) = numbers("A", "B"), numbers("B", "A")
    pd.testing.assert_frame_equal(summary, again)
    assert results.architectures == ["lstm:depth=1,width=8", "mine:width=8"]
    assert len(results.cells) == 2
    assert sorted(results.scores.length.unique()) == [1, 2, 3, 4, 5, 8, 11]
    assert len(results.scores) == 2 * 7


def test_a_changed_stage_makes_records_stale(tmp_path: Path) -> None:
    recipe = {"steps": 6, "batch_size": 4, "train_lengths": "1:4", "warmup": 0}
    train(plan(seeds=2, recipe=recipe | {"stages": "supervised + self_improve:rounds=1"}), tmp_path)
    assert not frames([tmp_path], Catalog())[0].stale.any()
    path = next(tmp_path.glob("cells/*/training.json"))
    record = json.loads(without_checksum(path.read_bytes()))
    record["fingerprints"]["stage self_improve"] = "another version"
    path.write_text(f"{json.dumps(record)}\n")
    assert frames([tmp_path], Catalog())[0].stale.tolist().count(True) == 1


def test_recipe_keys_of_a_newer_version_are_part_of_the_labels() -> None:
    rows: list[dict[str, Any]] = [{"task": "parity", "recipe": recipe} for recipe in ({}, {"novel": 3})]
    add_recipes_to_labels(rows)
    assert [row["task"] for row in rows] == ["parity [novel=default]", "parity [novel=3]"]
