"""The check that a task cannot be answered without its algorithm."""

from harness.check.fixtures import TaskSubject
from harness.check.result import Skip, expect
from harness.data.presentation import Presentation
from harness.evaluation.shortcuts import Audit

TRAINED, TESTED = 20, 60
"""The longest lengths on which readers are fitted and tested."""


def no_simple_reader_answers(subject: TaskSubject) -> str | None:
    """No simple reader of the tokens solves the task at a length beyond those it was fitted on."""
    lengths = subject.task.lengths[:TESTED]
    trained = [length for length in lengths if length <= TRAINED] or list(lengths[: len(lengths) // 2])
    tested = max((length for length in lengths if length <= TESTED), default=lengths[-1])
    if len(subject.task.symbols) == 1 or not trained or tested <= trained[-1]:
        raise Skip("there is only one symbol, or no length beyond those that are fitted")
    solved = Audit(Presentation(subject.task), str(subject.spec), trained).shortcuts(tested)
    known = subject.task.known_shortcuts
    unknown = [score for score in solved if not {score.reader, "constant"} & set(known)]
    named = ", ".join(f"`{score.reader}` ({score.exact:.0%})" for score in unknown)
    expect(
        not unknown,
        f"questions of length {tested} are answered by {named}: change what is drawn or asked. If that is the "
        "algorithm itself, name it in `algorithm_readers`; if the published definition allows it, in `known_shortcuts`",
    )
    return f"known shortcut: {', '.join(score.reader for score in solved)}" if solved else None
