"""The checks catch what they are for: for each there is a plug-in that breaks it, and words that say so."""

from pathlib import Path

import pytest
import torch

from harness.check import ARCHITECTURE_CHECKS, TASK_CHECKS, Result, checks_of, run_check, run_checks, subject_of
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.training.optimizer import AdamW

MIXER = '''"""A sum of what was seen."""
import math, torch
from types import SimpleNamespace as Namespace
from torch import nn
from typing import Literal
from architectures.base import Mixer, SequenceModel

class Plugin(Mixer):
    """It adds up."""

    def __init__(self, width: int, *, kernel: Literal["auto", "sum"] = "auto") -> None:
        super().__init__()
        self.out, self.kernel = nn.Linear(width, width), kernel
        self.kernel_in_use = "sum"

    def forward(self, x, context):
        return self.out(x.cumsum(1) / 8)

    def start(self, rows, like):
        return like.new_zeros(rows, like.shape[-1])

    def step(self, x, state, context):
        state = state + x
        return self.out(state / 8), state
'''

TASK = '''"""Copy what is shown."""
import torch
from tasks.base import IGNORE, Task

class Plugin(Task):
    """Say it again.

    Examples:
        a b -> a b
    """

    symbols = ("a", "b", "c")
    answer = "generate"

    def sample(self, length, stream):
        return stream.integers(3, length)

    def solve(self, source):
        return source.clone()
'''

TRANSLATOR = '''

class Translator(SequenceModel):
    """It answers for the source as well."""

    def __init__(self, symbols, *, width: int = 16) -> None:
        super().__init__(symbols)
        self.embedding, self.out = nn.Embedding(len(symbols), width), nn.Linear(width, len(symbols))

    def forward(self, source, prefix):
        return self.out(self.embedding(source if prefix is None else torch.cat((source, prefix), 1)).cumsum(1))
'''

WHOLE = "class Plugin(Mixer)" + MIXER.partition("class Plugin(Mixer)")[2]
STEPPING = "    def start" + MIXER.partition("    def start")[2]
HIDDEN = """    def start(self, rows, like):
        return Namespace(sum=like.new_zeros(rows, like.shape[-1]))

    def step(self, x, state, context):
        state = Namespace(sum=state.sum + x)
        return self.out(state.sum / 8), state
"""
WEIGHTS = "\n    def weights(self, x, context):\n        return torch.ones(len(x), 1, x.shape[1], x.shape[1])\n"
GRADE = "\n    def grade(self, source, target, prediction):\n        return prediction != target, target != IGNORE\n"
COUNT = "(setattr(self, 'calls', getattr(self, 'calls', 0) + 1) or self.calls)"
SUM, ANY = "x.cumsum(1) / 8", "stream.integers(3, length)"

BROKEN_MIXERS = {
    "documented": ('"""A sum of what was seen."""', "", "the file has no docstring"),
    "builds": ("nn.Linear(width, width)", "nn.Linear(width, width, bias=torch.rand(1).item() < 2)", "meta tensors"),
    "records": ('self.kernel_in_use = "sum"', "pass", "no kernel is recorded"),
    "shapes": (WHOLE, TRANSLATOR, "gave [3, 2, 8], not [3, 1, 8]"),
    "rows": (SUM, "x.cumsum(1) / 8 - x.mean(0)", "rows are mixed"),
    "repeatable": (SUM, "x.cumsum(1) / 8 + torch.rand_like(x)", "two evaluations of the same tokens differ"),
    "reads": (SUM, "x", "do not depend on the first source token"),
    "causal": (SUM, "x.mean(1, keepdim=True).expand_as(x)", "at prefix position 0 change with the tokens after it"),
    "online": (SUM, "x.flip(1).cumsum(1).flip(1) / 8", "the label at source position 0 changes"),
    "long": (SUM, "x.cumsum(1) / float(x.shape[1] < 100)", "not finite"),
    "gradients": (f"self.out({SUM})", f"self.out({SUM}).detach()", "layers.0.mixer.out.bias, layers.0"),
    "kernels": (SUM, "x.cumsum(1) / (8 + len(self.kernel))", "kernel=auto and kernel=sum must agree in the logits"),
    "steps": ("self.out(state / 8)", "self.out(state / 9)", "start and step must give what forward gives"),
    "state": (STEPPING, HIDDEN, "the state has no bytes"),
    "inspection": ("    def start", f"{WEIGHTS}\n    def start", "must sum to one"),
    "population": (SUM, "x.cumsum(1) / 8 * math.cos(x.max().item() > 1e9)", "(forward, plugin.py line 17)"),
    "device": (SUM, "x.cumsum(1) / torch.full((1,), 8.0)", "with tokens on another device"),
    "replay": (SUM, f"x.cumsum(1) / (8 + {COUNT})", "a step that is replayed must do what it does"),
    "overfits": (f"self.out({SUM})", "self.out(x * 0)", "expected less than 0.1"),
}  # fmt: skip

BROKEN_TASKS = {
    "documented": ('"""Copy what is shown."""', "", "the file has no docstring"),
    "alphabet": ('("a", "b", "c")', '("a", "b", "b")', "symbols must be distinct"),
    "examples": ("a b -> a b", "a b -> b a", "example `a b -> b a`: solve answers `a b`"),
    "shapes": (ANY, "stream.integers(3, length).flatten()", "not [5, tokens]"),
    "lengths": (ANY, "stream.integers(3, 4)", "what is longer about them?"),
    "legal": (ANY, "stream.integers(4, length)", "ids outside 0 to 2: [3]"),
    "asked": ("source.clone()", "source.masked_fill(source == 0, IGNORE)", "IGNORE before its last token"),
    "ways": ("source.clone()", "source.masked_fill(source < 3, IGNORE)", "asked to readout at length 1, 16 of 16 rows"),
    "rows": ("source.clone()", "(source + source.sum()) % 3", "depends on the others"),
    "batches": (ANY, "(stream.integers(3, length) + stream.rows) % 3", "depends on the batch size"),
    "stream": (ANY, "torch.randint(3, (stream.rows, length))", "draw from the stream alone"),
    "pure": ("source.clone()", "source.sub_(1).remainder_(3)", "solve writes into its question"),
    "vary": ("source.clone()", "source * 0", "have one answer: `a a"),
    "grade": ("    def solve", f"{GRADE}\n    def solve", "the grade refuses a solution at length 1"),
    "presented": ("source.clone()", "source + 7", "ids that are no symbol"),
    "device": (
        "source.clone()",
        "source + torch.zeros(1, dtype=torch.long)",
        "on another device than the CPU it raises",
    ),
    "replay": ("source.clone()", f"(source + {COUNT}) % 3", "must be those of step 0"),
}


def plugin(folder: Path, text: str) -> Spec:
    file = folder / "plugin.py"
    file.write_text(text)
    catalog = Catalog((file,))
    entry = catalog.of_plugin(file)
    return Spec(entry.kind, entry.name, catalog=catalog)


def problem(folder: Path, text: str, check: str) -> str:
    """Make one check on a file and return what it says is broken."""
    spec = plugin(folder, text)
    result = run_check(check, checks_of(spec.entry)[check], subject_of(spec))
    assert not result.ok, f"{check} passes"
    return result.problem


@pytest.mark.parametrize("check", BROKEN_MIXERS)
def test_broken_mixer(tmp_path: Path, check: str) -> None:
    good, bad, words = BROKEN_MIXERS[check]
    assert good in MIXER
    assert words in problem(tmp_path, MIXER.replace(good, bad), check)


@pytest.mark.parametrize("check", BROKEN_TASKS)
def test_broken_task(tmp_path: Path, check: str) -> None:
    good, bad, words = BROKEN_TASKS[check]
    assert good in TASK
    assert words in problem(tmp_path, TASK.replace(good, bad), check)


def test_a_divergence_that_spreads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No module can reach its neighbours in a population, but an optimizer that clips them together can."""
    monkeypatch.setattr(AdamW, "_guard", lambda self: self.grads.div_(torch.linalg.vector_norm(self.grads)))
    assert "not finite" in problem(tmp_path, MIXER, "divergence")


@pytest.mark.parametrize(("share", "words"), [("0 * source", ""), ("source", "of 16 rows ask nothing")])
def test_a_last_label_that_is_mostly_not_asked(tmp_path: Path, share: str, words: str) -> None:
    """Never, and the task cannot be read out; now and then, and a batch may ask nothing: that is broken."""
    labels = f"""labels = source.clone()
        labels[:, -1] = labels[:, -1].masked_fill({share}[:, -1] < 2, IGNORE)
        return labels"""
    text = TASK.replace('"generate"', '"tag"\n    lengths = range(2, 99)').replace("return source.clone()", labels)
    spec = plugin(tmp_path, text)
    result = run_check("ways", TASK_CHECKS["ways"], subject_of(spec))
    assert result.ok == (not words)
    assert words in result.problem


@pytest.mark.parametrize("text", [MIXER, TASK], ids=["architecture", "task"])
def test_the_files_are_whole_before_they_are_broken(tmp_path: Path, text: str) -> None:
    results = list(run_checks(plugin(tmp_path, text)))
    assert [result.name for result in results if not result.ok] == []
    assert all(result.sentence.endswith(".") for result in results)


def test_one_fault_does_not_hide_the_other_checks(tmp_path: Path) -> None:
    good, bad, _ = BROKEN_MIXERS["causal"]
    results: dict[str, Result] = {r.name: r for r in run_checks(plugin(tmp_path, MIXER.replace(good, bad)))}
    assert list(results) == list(ARCHITECTURE_CHECKS)
    assert {"causal", "online", "steps"} <= {name for name, result in results.items() if not result.ok}
    assert results["rows"].ok


def test_every_check_has_something_that_breaks_it() -> None:
    assert {*BROKEN_MIXERS, "divergence"} == set(ARCHITECTURE_CHECKS)
    assert set(BROKEN_TASKS) == set(TASK_CHECKS)
