"""``lengthwise show``: what an architecture, a task or a suite is, with options, examples and measured facts."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments as given
from harness.cli.list import SUITES
from harness.errors import UserError, unknown
from harness.registry.catalog import ROOMS, Catalog, Entry, program_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from harness.cli.measured_facts import AtLength
    from harness.models.cost import Growth
    from harness.registry.options import Option, Spec
    from tasks.base import Task


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="An architecture, a task or a suite; options may follow, as in lstm:width=32."
        ),
    ],
    plugin: given.Plugins = None,
) -> None:
    """Show what something is: idea, paper, options, worked examples, measured facts."""
    from harness.cli.console import console

    out = console()
    if name.endswith(".toml") or (SUITES / f"{name}.toml").is_file():
        parts = _suite(name)
    else:
        file, name = program_of(name)
        catalog = Catalog((*(plugin or []), *([file] if file else [])))
        parts = (part for entry in named(name.partition(":")[0], catalog) for part in _entry(entry, name, catalog))
    for part in parts:
        out.print(part)


def named(name: str, catalog: Catalog) -> list[Entry]:
    """Return the architecture and the task of this name, whichever there are."""
    found = [catalog.entries[kind][name] for kind in ROOMS if name in catalog.entries[kind]]
    if not found:
        suites = [path.stem for path in SUITES.glob("*.toml")]
        raise unknown("name", name, [*catalog.names("architecture"), *catalog.names("task"), *suites])
    return found


def _entry(entry: Entry, text: str, catalog: Catalog) -> "Iterator[RenderableType]":
    from rich.text import Text

    from harness.cli.docstrings import opening, paragraphs
    from harness.registry.options import Spec

    spec = Spec.parse(entry.kind, text, catalog)
    where = "" if entry.origin == "built-in" else f" · {entry.origin}"
    yield Text.assemble((str(spec), "bold cyan"), (f"  {entry.kind} · {entry.family}{where}", "dim"))
    yield from paragraphs(sys.modules[entry.cls.__module__].__doc__ or "", opening(entry.cls))
    yield from {"architecture": _architecture, "task": _task}[entry.kind](spec)


def _architecture(spec: "Spec") -> "Iterator[RenderableType]":
    from harness.cli.console import MARKS, table
    from harness.cli.docstrings import arguments
    from harness.cli.measured_facts import kernels
    from harness.registry.options import options_of, shell_for

    entry = spec.entry
    shell, options = shell_for(entry.cls), options_of(entry)
    common = arguments(shell) if shell else {}
    own = {name: option for name, option in options.items() if name not in common}
    rest = {name: option for name, option in options.items() if name in common}
    yield from _options("Options", own, arguments(entry.cls))
    yield from _options("Options of every mixer", rest, common)
    yield _measured(spec)
    usable = table("Kernels", "kernel", "", "")
    for choice, resolved, why in kernels(spec):
        usable.add_row(choice, MARKS["missing" if why else "well"], why or resolved)
    if usable.row_count:
        yield usable


def _measured(spec: "Spec") -> "Table":
    from harness.cli.console import table
    from harness.cli.measured_facts import model_facts
    from harness.report.number_format import count, size

    facts = model_facts(spec)
    made = table("Measured here, on a binary alphabet", "", "")
    made.show_header = False
    made.add_row("parameters", f"{facts.parameters:,}")
    made.add_row("causal", "yes" if facts.causal else "no: it cannot be asked to generate")
    made.add_row("longest input", "any" if facts.reach is None else f"{facts.reach:,} tokens")
    made.add_row(
        "training", f"{_grown(facts.operations, count)} operations a token" if facts.operations else "by counting"
    )
    made.add_row("state", _grown(facts.state, size) if facts.state else "cannot step token by token")
    return made


def _grown(cost: "Growth", words: "Callable[[float], str]") -> str:
    """Write a cost by length ``L``; what is less than nothing at length 0 is left out."""
    parts = [words(cost.constant)] if cost.constant > 0 or not cost.slope else []
    return " + ".join([*parts, *([f"{words(cost.slope)} x L"] if cost.slope else [])])


def _task(spec: "Spec") -> "Iterator[RenderableType]":
    from harness.cli.console import table
    from harness.cli.docstrings import arguments
    from harness.cli.measured_facts import at_lengths, worked
    from harness.evaluation.chance import ROWS
    from harness.registry.options import build_task, options_of
    from tasks.base import worked_examples

    task, entry = build_task(spec), spec.entry
    yield f"\nPaper: {task.paper}" if task.paper else ""
    yield f"Asked as: {task.answer}   Alphabet: {_few(task.symbols)}   Lengths: {_range(task.lengths)}"
    yield from _program(task)
    yield from _options("Options", options_of(entry), arguments(entry.cls))
    examples = table("Worked examples", "options", ">question", "answer")
    for example in worked_examples(entry.cls):
        examples.add_row(example.options, *worked(example, spec))
    yield examples
    title = f"Measured here, on {ROWS:,} questions"
    made = table(title, ">length", ">chance exact", ">chance token", ">distinct", "answer symbols")
    for at in _as_user_error(at_lengths(spec, task), spec):
        balance = _few([f"{symbol} {share:.1%}" for symbol, share in at.balance])
        made.add_row(str(at.length), f"{at.chance_exact:.3f}", f"{at.chance_token:.3f}", f"{at.distinct:,}", balance)
    yield made


def _as_user_error(found: "Iterator[AtLength]", spec: "Spec") -> "Iterator[AtLength]":
    """Yield what is found; a user's program may break its rules on questions longer than those it was tried on."""
    from tasks.rasp import RuleBroken

    try:
        yield from found
    except RuleBroken as error:
        raise UserError(f"task {spec}: the program {error}") from None


def _program(task: "Task") -> "Iterator[RenderableType]":
    """The RASP-L program and how long it is; silent where none is known."""
    if task.program is None:
        return
    import inspect
    import textwrap

    from rich.syntax import Syntax

    from tasks.rasp._machine import length

    yield f"RASP-L program, {length(task.program)} core operations:\n"
    yield Syntax(
        textwrap.dedent(inspect.getsource(task.program)).rstrip(), "python", theme="ansi_light", word_wrap=True
    )


def _options(title: str, options: "dict[str, Option]", meanings: dict[str, str]) -> "Iterator[RenderableType]":
    from rich.text import Text

    from harness.cli.console import table

    made = table(title, "option", "type", "default", "meaning")
    for option in options.values():
        made.add_row(option.name, Text(option.type, "dim"), str(option.default), meanings.get(option.name, ""))
    if options:
        yield made


def _suite(name: str) -> "Iterator[RenderableType]":
    from rich.text import Text

    from harness.cli.console import table
    from harness.cli.docstrings import paragraphs
    from harness.cli.dry_run import architectures_table, tasks_table
    from harness.config.suite import load
    from harness.execution.plan import make_plan

    suite = load(name)
    plan = make_plan(suite, Catalog(tuple(Path(each) for each in suite.plugins)))
    yield Text.assemble((suite.name, "bold cyan"), ("  suite", "dim"))
    yield from paragraphs(suite.title, suite.description)
    rates = ", ".join(f"{rate:g}" for rate in suite.learning_rates)
    yield f"\n{len(plan.cells)} cells, {suite.seeds} seeds, learning rates {rates}, {suite.samples} questions a length"
    yield tasks_table(plan)
    yield architectures_table(plan)
    claims = table("Known results, looked up in the scores", "claim", "expected", "seeds")
    for known in suite.known:
        for place, each in enumerate(known.expect):
            claims.add_row("" if place else known.claim, each.words, str(each.seeds or "all") * (not each.above))
    if suite.known:
        yield claims


def _few(words: "tuple[str, ...] | list[str]") -> str:
    return " ".join(words) if len(words) <= 6 else f"{' '.join(words[:5])} ... {words[-1]} ({len(words)})"


def _range(lengths: range) -> str:
    end = "up" if lengths[-1] >= 1 << 23 else f"to {lengths[-1]}"
    return f"{lengths[0]} {end}" + (f" in steps of {lengths.step}" if lengths.step > 1 else "")
