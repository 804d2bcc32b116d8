"""``Task.events_since`` on sources whose events can be counted by hand."""

import pytest

from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, encode

CASES = [
    ("flip_flop", "w 1 r 1 i 0 i 1 r 1", ". . 0 . . . . . 3 ."),
    ("associative_recall", "k3 v1 k0 v7 k3 v1 k2 v2 k3", "1"),
    ("joint_recall", "c2 k5 v1 c0 k5 v7 c1 k1 v0 c2 k5", "2"),
    ("needle:distractors=1,letters=1", "K1 = a ; b b K0 = c ; ? K1", "6"),
    ("mqar:pairs=2", "k5 v3 k9 v7 k9 v1 k5 k0", ". . . . 0 . 2 ."),
    ("many_stacks", "push 1 a0 push 0 a2 push 1 a5 pop 1 _ pop 1 _", ". . . . . . . . . . . 0 . . 3"),
    ("variable_assignments", "a = _ + 3 ; b = a + 4 ; ? a", "1"),
    (
        "variable_assignments:ask=every",
        "c = _ + 4 ; b = c + 3 ; c = a + 1 ; a = b + 1 ; ? c",
        ". . . . . . . . . . . 0 . . . . . . . . . . . 1 . .",
    ),
]


@pytest.mark.parametrize(("text", "source", "events"), CASES, ids=[case[0] for case in CASES])
def test_events_are_counted(text: str, source: str, events: str) -> None:
    task = build_task(Spec.parse("task", text, Catalog()))
    row = encode(task.symbols, tuple(source.split()))
    counted = task.events_since(row)
    assert counted is not None
    assert counted.shape == task.solve(row).shape
    assert ["." if n == IGNORE else str(n) for n in counted[0].tolist()] == events.split()
