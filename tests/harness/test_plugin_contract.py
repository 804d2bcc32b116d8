"""A run asks of a user's class what ``check`` asks: wrong declarations and wrong data end it before the first step."""

from pathlib import Path

import pytest
from command_line import LSTM, SMALL, call, user_error, write
from plugin_texts import MIXER, TASK

from harness.execution.contract import declaration_problems
from harness.registry.plugin_import import forget
from tasks.strings.reverse import Reverse

pytestmark = pytest.mark.usefixtures("temporary_folder")

MODEL = '''"""A bag of tokens."""
import torch
from torch import nn
from architectures.base import SequenceModel

class Bag(SequenceModel):
    """Reads a sum of embeddings."""

    reach = None

    def __init__(self, symbols, *, width: int = 8) -> None:
        super().__init__(symbols)
        self.embedding, self.out = nn.Embedding(len(symbols), width), nn.Linear(width, len(symbols))

    def forward(self, source, prefix):
        return self.out(self.embedding(prefix) + self.embedding(source).sum(1, keepdim=True))
'''

SYMBOLS, ANSWER, DRAW, SOLVE = '("a", "b", "c")', 'answer = "generate"', "stream.integers(3, length)", "source.clone()"
GRADE = """
    def grade(self, source, target, prediction):
        return torch.ones_like(target, dtype=torch.bool), target != IGNORE
"""
BROKEN_TASKS = {
    "answer = 'Generate'": (ANSWER, 'answer = "Generate"', "answer = 'Generate' must be one of", "mean generate?"),
    "awnser": (ANSWER, 'awnser = "generate"', "attribute awnser = 'generate' is unknown", "did you mean answer?"),
    "Answer": (ANSWER, 'Answer = "generate"', "attribute Answer = 'generate' is unknown", "did you mean answer?"),
    "graed": ("    def solve", f"{GRADE.replace('grade', 'graed')}\n    def solve", "method graed", "mean grade?"),
    "a list": (SYMBOLS, '["a", "b", "c"]', "symbols = ['a', 'b', 'c'] must be a tuple"),
    "a string": (SYMBOLS, '"abc"', "symbols = 'abc' must be a tuple"),
    "no symbols": (SYMBOLS, "()", "symbols = () must be a tuple of at least one"),
    "twice": (SYMBOLS, '("a", "b", "b")', "symbols must be distinct, but 'b' is 2 times in ('a', 'b', 'b')"),
    "<end>": (SYMBOLS, '("a", "b", "<end>")', "<end> is one of the special symbols <start>, <end>"),
    "a space": (SYMBOLS, '("a", "b", "c d")', "'c d' must be a text without spaces"),
    "an empty symbol": (SYMBOLS, '("a", "b", "")', "'' must be a text without spaces, at least one letter"),
    "a number": (SYMBOLS, '("a", "b", 3)', "3 must be a text"),
    "lengths from 0": (ANSWER, f"{ANSWER}\n    lengths = range(0, 9)", "lengths = range(0, 9) must be a range"),
    "a tuple of lengths": (ANSWER, f"{ANSWER}\n    lengths = (1, 9)", "lengths = (1, 9) must be a range that"),
    "online": (ANSWER, f'{ANSWER}\n    online = "no"', "online = 'no' must be True or False"),
    "a reader": (
        ANSWER,
        f'{ANSWER}\n    known_shortcuts = ("last tokn",)',
        "known_shortcuts = ('last tokn',) must be a tuple of names of simple readers",
        "did you mean last token?",
    ),
    "no comma": (ANSWER, f'{ANSWER}\n    algorithm_readers = ("length")', "algorithm_readers = 'length'"),
    "paper": (ANSWER, f"{ANSWER}\n    paper = 2024", "paper = 2024 must be a text"),
    "foreign ids in a source": (DRAW, "stream.integers(4, length)", "sample at length 1 gives ids outside 0 to 2: [3]"),
    "foreign ids in a target": (SOLVE, "source + 1", "solve at length 1 gives ids outside 0 to 2: [3]"),
    "float ids": (SOLVE, "source.float()", "solve at length 1 gives torch.float32, not torch.int64"),
    "no dimension": (DRAW, "stream.integers(3, length).flatten()", "[8] for 8 rows, not [8, tokens]"),
    "a list of ids": (SOLVE, "source.tolist()", "solve at length 1 gives [[", "not a tensor [8, tokens]"),
    "asks nothing": (
        f"return {SOLVE}",
        "return torch.full_like(source, IGNORE)",
        "none of 8 answers at length 8 has a token",
    ),
    "asks nothing of some rows": (
        f"{ANSWER}{TASK.partition(ANSWER)[2]}",
        """answer = "tag"
    def sample(self, length, stream):
        return stream.integers(3, length)

    def solve(self, source):
        return source.masked_fill(source[:, :1] > 0, IGNORE)
""",
        "a row at length 1 has no target: it is all IGNORE",
    ),
    "its own dice": (DRAW, "torch.randint(3, (stream.rows, length))", "the same stream gave other sources"),
    "writes into the source": (SOLVE, "source.sub_(1).remainder_(3)", "solve writes into its source"),
    "accepts everything": ("    def solve", f"{GRADE}\n    def solve", "the grade accepts predictions in which"),
    "an option without a default": (
        "    def sample",
        "    def __init__(self, *, base: int) -> None:\n        pass\n\n    def sample",
        "option base has no default",
    ),
}  # fmt: skip
"""For each fault: a part of the plug-in, its broken replacement, and parts of the message."""

LINE = "    causal = False"
BROKEN_MIXERS = {
    "causal = 'no'": (LINE, '    causal = "no"', "causal = 'no' must be True or False"),
    "causal = 0": (LINE, "    causal = 0", "causal = 0 must be True or False"),
    "casual": (LINE, "    casual = False", "attribute casual = False is unknown; did you mean causal?"),
    "set in __init__": (f"{LINE}\n", "", "super().__init__()", "super().__init__(); self.casual = 0", "casual = 0"),
    "position": (LINE, f'{LINE}\n    position = "ropee"', "position = 'ropee' must be one of none,", "mean rope?"),
    "heads": (LINE, f"{LINE}\n    heads = 0", "heads = 0 must be a whole number of at least 1"),
    "attends": (LINE, f"{LINE}\n    attends = None", "attends = None must be True or False"),
    "native": (LINE, f'{LINE}\n    native = "shared"', "native = 'shared' must be a Block"),
    "initialise": (
        "    def forward",
        "    def initialise(self, layer, depth):\n        pass\n\n    def forward",
        "method initialise is unknown; did you mean initialize?",
    ),
}  # fmt: skip
BROKEN_MODELS = {
    "reach": ("reach = None", 'reach = "40"', "reach = '40' must be a whole number of at least 1, or None"),
    "online": ("reach = None", "online = 1", "online = 1 must be True or False"),
    "reech": ("reach = None", "reech = 40", "attribute reech = 40 is unknown; did you mean reach?"),
}
FAULTS = [
    *((TASK, "-t", *fault) for fault in BROKEN_TASKS.items()),
    *((MIXER, "-a", *fault) for fault in BROKEN_MIXERS.items()),
    *((MODEL, "-a", *fault) for fault in BROKEN_MODELS.items()),
]


def command(option: str, *more: str) -> list[str]:
    others = LSTM if option == "-t" else ["-t", "parity"]
    return ["run", "--plugin", "mine.py", option, "mine", *others, *SMALL, "--output", "run", *more]


@pytest.mark.parametrize(("text", "option", "name", "fault"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_a_broken_class_ends_the_run_before_it_trains(
    text: str, option: str, name: str, fault: tuple[str, ...]
) -> None:
    changes = fault[:4] if name == "set in __init__" else fault[:2]
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    path = write("mine.py", text)
    message = user_error(*command(option, *(["--set", "answer=readout"] if text.startswith(('"""A bag',)) else [])))
    for part in (str(path), *fault[len(changes) :]):
        assert part in message
    assert not Path("run").exists()


@pytest.mark.parametrize(("text", "option"), [(TASK, "-t"), (MIXER, "-a"), (MODEL, "-a")])
def test_an_unbroken_class_trains(text: str, option: str) -> None:
    write("mine.py", text)
    result = call(*command(option, "--set", "answer=readout"))
    assert result.exit_code == 0, result.output


def test_a_misspelt_answer_does_not_let_a_model_read_the_answer() -> None:
    """With ``answer = "Generate"`` the causality guard was off, and the bidirectional model was trained."""
    write("copies.py", TASK)
    write("means.py", MIXER)
    run = ["run", "--plugin", "copies.py", "--plugin", "means.py", "-a", "means", *LSTM, "-t", "copies", *SMALL]
    assert "not causal" in call(*run, "--dry-run").output
    write("copies.py", TASK.replace("generate", "Generate"))
    forget(Path("copies.py").resolve())
    assert "answer = 'Generate'" in user_error(*run)


def test_a_wrong_layer_of_a_hybrid_is_found() -> None:
    write("mine.py", MIXER.replace("causal = False", 'causal = "no"'))
    run = ["run", "--plugin", "mine.py", "-a", "hybrid:pattern=lstm+mine", "-t", "parity", *SMALL]
    assert "causal = 'no'" in user_error(*run)


def test_own_attributes_are_allowed() -> None:
    """Names that are close to a documented one are errors only where that one is not set."""

    class Numbers(Reverse):
        length = 7
        symbol = ("a", "b")

        def solved(self) -> None:
            pass

    assert list(declaration_problems(Numbers)) == []
    assert list(declaration_problems(Numbers())) == []
