"""The suite of ``lengthwise compile``: for each task a transformer that is large enough for its compiled program.

The recipe has the stage ``compiled``, of one step, which changes nothing. Further steps train on right answers.
"""

from collections.abc import Sequence
from typing import Any

from architectures.parts.position_ids import REACH
from harness.compiler import NotCompilable, compile_task
from harness.config.lengths import Span, parse_grid
from harness.config.suite import Suite, make
from harness.data.presentation import Presentation
from harness.errors import UserError
from harness.execution.plan_lengths import available_lengths
from harness.registry.catalog import Catalog, split_files
from harness.registry.options import Spec, build_task

NAME = "compiled"
FURTHEST = 10
"""By default, test lengths go to so many times the longest training length."""


def compiled_suite(texts: Sequence[str], values: dict[str, Any], train_lengths: str, steps: int) -> Suite:
    """Return the suite.

    Args:
        texts: tasks; ``FILE.py:PROGRAM`` is a program of the user.
        values: keys of the suite that replace the defaults; ``None`` replaces nothing.
        train_lengths: for the training after the compilation, and for what counts as beyond training.
        steps: of training on right answers.
    """
    specs, files = split_files(texts)
    longest = Span.parse(train_lengths, "train lengths").high
    given = {key: value for key, value in values.items() if value is not None}
    test_lengths = given.get("test_lengths", str(Span(longest + 1, FURTHEST * longest)))
    catalog, plugins = Catalog(tuple(files)), [str(file.resolve()) for file in files]
    entries = [_entry(text, test_lengths, catalog) for text in specs]
    recipe = {"train_lengths": train_lengths, "begin": True, **_stages(steps)}
    suite = {"name": NAME, "tasks": entries, "plugins": plugins, "seeds": 1, "recipe": recipe}
    suite |= {"architectures": [spec for entry in entries for spec in entry["architectures"]]}
    return make(suite | given | {"test_lengths": test_lengths}, "command line")


def _stages(steps: int) -> dict[str, Any]:
    """Return the recipe keys of one step that changes nothing, and of so many steps of training."""
    if not steps:
        return {"steps": 1, "warmup": 0, "stages": "compiled"}
    return {
        "steps": 1 + steps,
        "warmup": min(100, steps // 5),
        "stages": f"compiled:share={1 / (1 + steps):.2g} + supervised",
    }


def _entry(text: str, test_lengths: str, catalog: Catalog) -> dict[str, Any]:
    """Return a task and the smallest transformer for it, with positions for the longest questions."""
    spec = Spec.parse("task", text, catalog)
    presentation = Presentation(build_task(spec), begin=True)
    longest = available_lengths(spec, parse_grid(test_lengths, "test lengths"))[-1]
    needed = presentation.stream_length(longest)
    reach = max(REACH, 1 << (needed - 1).bit_length())
    try:
        size = compile_task(presentation, reach).size
    except NotCompilable as reason:
        raise UserError(f"{spec} cannot be compiled: {reason}") from None
    sizes = f"position=learned,width={size.width},depth={size.depth},heads={size.heads}"
    options = sizes if reach == REACH else f"{sizes},reach={reach}"
    return {"task": text, "architectures": [f"transformer:{options}"]}
