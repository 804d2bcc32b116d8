"""Each check fails on a plug-in that breaks its part of the contract, with a message that says so."""

from pathlib import Path

import pytest
import torch
from plugin_texts import TASK

from harness.check import ARCHITECTURE_CHECKS, TASK_CHECKS, Result, checks_of, run_check, run_checks, subject_of
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.training.optimizer import AdamW

MIXER = '''"""A running sum of the inputs."""
import math, torch
from types import SimpleNamespace as Namespace
from torch import nn
from typing import Literal
from architectures.base import Mixer, SequenceModel

class Plugin(Mixer):
    """Adds all inputs up to a position."""

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

TRANSLATOR = '''

class Translator(SequenceModel):
    """Wrongly gives logits for the source as well."""

    def __init__(self, symbols, *, width: int = 16) -> None:
        super().__init__(symbols)
        self.embedding, self.out = nn.Embedding(len(symbols), width), nn.Linear(width, len(symbols))

    def forward(self, source, prefix):
        return self.out(self.embedding(source if prefix is None else torch.cat((source, prefix), 1)).cumsum(1))
'''

MIXER_CLASS = "class Plugin(Mixer)" + MIXER.partition("class Plugin(Mixer)")[2]
STEP_METHODS = "    def start" + MIXER.partition("    def start")[2]
HIDDEN_STATE = """    def start(self, rows, like):
        return Namespace(sum=like.new_zeros(rows, like.shape[-1]))

    def step(self, x, state, context):
        state = Namespace(sum=state.sum + x)
        return self.out(state.sum / 8), state
"""
PREFILL = "\n    def prefill(self, x, context):\n        return self(x, context), x[:, -1]\n"
WEIGHTS = "\n    def weights(self, x, context):\n        return torch.ones(len(x), 1, x.shape[1], x.shape[1])\n"
GRADE = "\n    def grade(self, source, target, prediction):\n        return prediction != target, target != IGNORE\n"
COUNT = "(setattr(self, 'calls', getattr(self, 'calls', 0) + 1) or self.calls)"
STEPS_TRAINED = f"({COUNT} if self.training else getattr(self, 'calls', 0))"
SUM, DRAW = "x.cumsum(1) / 8", "stream.integers(3, length)"

BROKEN_MIXERS = {
    "documented": ('"""A running sum of the inputs."""', "", "the file has no docstring"),
    "declared": ("    def __init__(self, width", "    causl = 1\n\n    def __init__(self, width", "mean causal?"),
    "builds": ("nn.Linear(width, width)", "nn.Linear(width, width, bias=torch.rand(1).item() < 2)", "meta tensors"),
    "tensors": (
        'self.kernel_in_use = "sum"',
        'self.kernel_in_use, self.scale = "sum", nn.Parameter(torch.ones(1, dtype=torch.float16))',
        "scale is torch.float16, but trained parameters must be torch.float32 or torch.complex64",
    ),
    "saved": (SUM, f"x.cumsum(1) / (8 + {STEPS_TRAINED})", "must give the same logits after its weights are saved"),
    "records": ('self.kernel_in_use = "sum"', "pass", "no kernel is recorded"),
    "shapes": (MIXER_CLASS, TRANSLATOR, "gave [3, 2, 8], not [3, 1, 8]"),
    "rows": (SUM, "x.cumsum(1) / 8 - x.mean(0)", "rows are mixed"),
    "repeatable": (SUM, "x.cumsum(1) / 8 + torch.rand_like(x)", "two evaluations of the same tokens differ"),
    "reads": (SUM, "x", "do not depend on the first source token"),
    "causal": (SUM, "x.mean(1, keepdim=True).expand_as(x)", "at prefix position 0 change with the tokens after it"),
    "online": (SUM, "x.flip(1).cumsum(1).flip(1) / 8", "the label at source position 0 changes"),
    "long": (SUM, "x.cumsum(1) / float(x.shape[1] < 100)", "not finite"),
    "gradients": (f"self.out({SUM})", f"self.out({SUM}).detach()", "layers.0.mixer.out.bias, layers.0"),
    "kernels": (SUM, "x.cumsum(1) / (8 + len(self.kernel))", "kernel=auto and kernel=sum must agree in the logits"),
    "steps": ("self.out(state / 8)", "self.out(state / 9)", "start and step must give the logits of forward"),
    "prefill": ("    def start", f"{PREFILL}\n    def start", "of 2, prefill must equal start and step in its state"),
    "state": (STEP_METHODS, HIDDEN_STATE, "the state has no bytes"),
    "inspection": ("    def start", f"{WEIGHTS}\n    def start", "must sum to one"),
    "population": (SUM, "x.cumsum(1) / 8 * math.cos(x.max().item() > 1e9)", "(forward, plugin.py line 17)"),
    "device": (SUM, "x.cumsum(1) / torch.full((1,), 8.0)", "with tokens on another device"),
    "replay": (SUM, f"x.cumsum(1) / (8 + {COUNT})", "a replayed training step must equal a plain one"),
    "overfits": (f"self.out({SUM})", "self.out(x * 0)", "expected less than 0.1"),
}  # fmt: skip
"""For each check: a part of the plug-in, its broken replacement, and a part of the failure's message."""

BROKEN_TASKS = {
    "documented": ('"""Copy the source."""', "", "the file has no docstring"),
    "alphabet": ('("a", "b", "c")', '("a", "b", "b")', "symbols must be distinct"),
    "examples": ("a b -> a b", "a b -> b a", "example `a b -> b a`: solve returns `a b`"),
    "shapes": (DRAW, "stream.integers(3, length).flatten()", "not [5, tokens]"),
    "lengths": (DRAW, "stream.integers(3, 4)", "their number must grow with the length"),
    "legal": (DRAW, "stream.integers(4, length)", "ids outside 0 to 2: [3]"),
    "asked": ("source.clone()", "source.masked_fill(source == 0, IGNORE)", "IGNORE before its last token"),
    "ways": (
        "source.clone()",
        "source.masked_fill(source < 3, IGNORE)",
        "answer mode readout at length 1, 16 of 16 rows",
    ),
    "rows": ("source.clone()", "(source + source.sum()) % 3", "depends on the others"),
    "batches": (DRAW, "(stream.integers(3, length) + stream.rows) % 3", "depends on the batch size"),
    "stream": (DRAW, "torch.randint(3, (stream.rows, length))", "draw from the stream only"),
    "pure": ("source.clone()", "source.sub_(1).remainder_(3)", "solve writes into its source"),
    "vary": ("source.clone()", "source * 0", "have one target: `a a"),
    "shortcuts": ("source.clone()", "source[:, :1]", "are answered by `first token` (100%)"),
    "grade": ("    def solve", f"{GRADE}\n    def solve", "the grade must accept the target, but does not at length 1"),
    "presented": ("source.clone()", "source + 7", "some ids belong to no symbol"),
    "device": (
        "source.clone()",
        "source + torch.zeros(1, dtype=torch.long)",
        "on another device than the CPU, making data raises",
    ),
    "replay": ("source.clone()", f"(source + {COUNT}) % 3", "the data of step 0 must be the same"),
}


def plugin(folder: Path, text: str) -> Spec:
    file = folder / "plugin.py"
    file.write_text(text)
    catalog = Catalog((file,))
    entry = catalog.entries_of(file)[0]
    return Spec(entry.kind, entry.name, catalog=catalog)


def problem(folder: Path, text: str, check: str) -> str:
    """Run one check on a plug-in and return the message of its failure."""
    spec = plugin(folder, text)
    result = run_check(check, checks_of(spec.entry)[check], subject_of(spec))
    assert not result.ok, f"{check} passes"
    return result.problem


@pytest.mark.parametrize("check", BROKEN_MIXERS)
def test_broken_mixer(tmp_path: Path, check: str) -> None:
    original, broken, message = BROKEN_MIXERS[check]
    assert original in MIXER
    assert message in problem(tmp_path, MIXER.replace(original, broken), check)


@pytest.mark.parametrize("check", BROKEN_TASKS)
def test_broken_task(tmp_path: Path, check: str) -> None:
    original, broken, message = BROKEN_TASKS[check]
    assert original in TASK
    assert message in problem(tmp_path, TASK.replace(original, broken), check)


def test_a_divergence_that_spreads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module cannot change the other models of a population, but an optimizer that clips all of them together can."""
    monkeypatch.setattr(AdamW, "_clip_and_freeze", lambda self: self.grads.div_(torch.linalg.vector_norm(self.grads)))
    assert "not finite" in problem(tmp_path, MIXER, "divergence")


RECURRENT = (
    """self.out, self.kernel = nn.Linear(width, width), kernel
        self.kernel_in_use = "sum\"""",
    """self.out, self.kernel = nn.GRU(width, width, batch_first=True), kernel
        self.kernel_in_use = "sum\"""",
)
NEED_POPULATIONS = ("population", "divergence", "replay")


def without_batching_rule(forward: str = "self.out(x)[0]") -> str:
    """Return the plug-in with the layer ``nn.GRU``, which torch cannot batch, and without steps."""
    text = MIXER.replace(*RECURRENT).replace(f"self.out({SUM})", forward).replace(STEP_METHODS, "")
    assert "nn.GRU" in text
    return text


def test_a_layer_that_torch_cannot_batch_is_trained_one_by_one(tmp_path: Path) -> None:
    """It used to fail three checks, although ``run`` trains its models one by one."""
    results = {result.name: result for result in run_checks(plugin(tmp_path, without_batching_rule()))}
    assert [result.name for result in results.values() if not result.ok] == []
    for name in NEED_POPULATIONS:
        assert results[name].skipped.startswith("trained one by one: torch cannot batch the model"), name
        assert "Batching rule not implemented for aten::gru.input" in results[name].skipped


@pytest.mark.parametrize("check", NEED_POPULATIONS)
def test_a_mistake_next_to_a_layer_that_torch_cannot_batch_is_found(tmp_path: Path, check: str) -> None:
    """The remark is made only where the model can be trained alone, and its steps can be replayed."""
    text = without_batching_rule("self.out(x)[0] if not self.training else self.out(x)[0] * (1 / 0)")
    assert "ZeroDivisionError" in problem(tmp_path, text, check)


def test_a_replay_is_tested_on_one_model_where_torch_cannot_batch(tmp_path: Path) -> None:
    text = without_batching_rule(f"self.out(x)[0] / (8 + {COUNT})")
    assert "a replayed training step must equal a plain one" in problem(tmp_path, text, "replay")


@pytest.mark.parametrize(("masked_by", "message"), [("0 * source", ""), ("source", "of 16 rows have no target")])
def test_a_last_label_that_is_mostly_ignored(tmp_path: Path, masked_by: str, message: str) -> None:
    """A last label that is always ``IGNORE`` rules out the readout mode; one that is mostly ``IGNORE`` is an error."""
    labels = f"""labels = source.clone()
        labels[:, -1] = labels[:, -1].masked_fill({masked_by}[:, -1] < 2, IGNORE)
        return labels"""
    text = TASK.replace('"generate"', '"tag"\n    lengths = range(2, 99)').replace("return source.clone()", labels)
    spec = plugin(tmp_path, text)
    result = run_check("ways", TASK_CHECKS["ways"], subject_of(spec))
    assert result.ok == (not message)
    assert message in result.problem


@pytest.mark.parametrize("text", [MIXER, TASK], ids=["architecture", "task"])
def test_the_unbroken_plugins_pass_every_check(tmp_path: Path, text: str) -> None:
    results = list(run_checks(plugin(tmp_path, text)))
    assert [result.name for result in results if not result.ok] == []
    assert all(result.sentence.endswith(".") for result in results)


def test_all_checks_run_after_one_fails(tmp_path: Path) -> None:
    original, broken, _ = BROKEN_MIXERS["causal"]
    results: dict[str, Result] = {r.name: r for r in run_checks(plugin(tmp_path, MIXER.replace(original, broken)))}
    assert list(results) == list(ARCHITECTURE_CHECKS)
    assert {"causal", "online", "steps"} <= {name for name, result in results.items() if not result.ok}
    assert results["rows"].ok


def test_every_check_has_a_plugin_that_breaks_it() -> None:
    assert {*BROKEN_MIXERS, "divergence"} == set(ARCHITECTURE_CHECKS)
    assert set(BROKEN_TASKS) == set(TASK_CHECKS)
