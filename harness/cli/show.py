"""``lengthwise show`` describes an architecture, a task or a suite: source, options, examples and measurements."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments, completion
from harness.config.suite_files import is_suite_file, names, path_of
from harness.errors import UserError
from harness.registry.catalog import Catalog

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
            metavar="NAME|FILE.py",
            help="An architecture, a task, a suite, or a Python file. Options can follow, as in lstm:width=32.",
            autocompletion=completion.everything,
        ),
    ],
    plugin: arguments.Plugins = None,
    as_json: arguments.Json = False,
) -> None:
    """Describe an architecture, a task or a suite: source, options, examples and measurements."""
    from harness.cli.console import console, print_json
    from harness.cli.show_data import entry_data, suite_data
    from harness.cli.targets import specs_of

    is_suite = is_suite_file(name) or path_of(name).is_file()
    specs = [] if is_suite else specs_of(name, plugin or [], names())
    if as_json:
        print_json([suite_data(name)] if is_suite else [entry_data(spec) for spec in specs])
        return
    out = console()
    are_programs = len(specs) > 1 and all(spec.entry.function for spec in specs)
    for part in _suite(name) if is_suite else _programs(specs) if are_programs else _entries(specs):
        out.print(part)


def _entries(specs: "Sequence[Spec]") -> "Iterator[RenderableType]":
    for spec in specs:
        yield from _entry(spec)


def _programs(specs: "Sequence[Spec]") -> "Iterator[RenderableType]":
    """Yield a table of the programs of a file."""
    from harness.cli.console import table
    from harness.cli.docstrings import opening

    file = getattr(specs[0].entry.path, "name", "")
    rows = table(f"{len(specs)} programs of {file}", "program", "what it says")
    for spec in specs:
        rows.add_row(spec.entry.function, opening(spec.entry.cls).partition("\n")[0])
    yield rows
    yield f"\nlengthwise show {file}:FUNCTION describes one of them."


def _entry(spec: "Spec") -> "Iterator[RenderableType]":
    from rich.text import Text

    from harness.cli.docstrings import opening, paragraphs

    entry = spec.entry
    origin = "" if entry.origin == "built-in" else f" · {entry.origin}"
    yield Text.assemble((str(spec), "bold cyan"), (f"  {entry.kind} · {entry.family}{origin}", "dim"))
    yield from paragraphs(sys.modules[entry.cls.__module__].__doc__ or "", opening(entry.cls))
    yield from {"architecture": _architecture, "task": _task}[entry.kind](spec)


def _architecture(spec: "Spec") -> "Iterator[RenderableType]":
    from harness.cli.console import MARKS, table
    from harness.cli.docstrings import argument_texts
    from harness.cli.measured_facts import kernels
    from harness.registry.options import language_model_for, options_of

    entry = spec.entry
    language_model, options = language_model_for(entry.cls), options_of(entry)
    common_texts = argument_texts(language_model) if language_model else {}
    specific = {name: option for name, option in options.items() if name not in common_texts}
    common = {name: option for name, option in options.items() if name in common_texts}
    yield from _options("Options", specific, argument_texts(entry.cls))
    yield from _options("Options of every mixer", common, common_texts)
    yield _measurements(spec)
    choices = table("Kernels", "kernel", "", "")
    for choice, resolved, obstacle in kernels(spec):
        choices.add_row(choice, MARKS["warning" if obstacle else "ok"], obstacle or resolved)
    if choices.row_count:
        yield choices


def _measurements(spec: "Spec") -> "Table":
    from harness.cli.console import table
    from harness.cli.measured_facts import model_facts
    from harness.report.number_format import count, size

    facts = model_facts(spec)
    operations = (
        f"{_formula(facts.operations, count)} operations per token" if facts.operations else "operations not counted"
    )
    rows = {
        "alphabet": "binary",
        "parameters": f"{facts.parameters:,}",
        "causal": "yes" if facts.causal else "no, so it cannot generate answers",
        "maximum length": "any" if facts.reach is None else f"{facts.reach:,} tokens",
        "training": operations,
        "state": _formula(facts.state, size) if facts.state else "cannot be stepped token by token",
    }
    measurements = table("Measurements (L: length)", "", "")
    measurements.show_header = False
    for name, value in rows.items():
        measurements.add_row(name, value)
    return measurements


def _formula(cost: "Growth", formatted: "Callable[[float], str]") -> str:
    """Write a cost as a function of length ``L``. A negative constant is left out."""
    terms = [formatted(cost.constant)] if cost.constant > 0 or not cost.slope else []
    if cost.slope:
        terms.append(f"{formatted(cost.slope)} x L")
    return " + ".join(terms)


def _task(spec: "Spec") -> "Iterator[RenderableType]":
    from harness.cli.audit import TEST_LENGTH, TRAIN_LENGTHS, audit_table
    from harness.cli.console import table
    from harness.cli.docstrings import argument_texts
    from harness.cli.measured_facts import at_lengths, examples
    from harness.config.lengths import Span
    from harness.evaluation.chance import ROWS
    from harness.evaluation.shortcuts import audit_task
    from harness.registry.options import build_task, options_of, wrapper_for

    task, entry = build_task(spec), spec.entry
    yield f"\nPaper: {task.paper}" if task.paper else ""
    yield f"Answer: {task.answer}   Alphabet: {_abridged(task.symbols)}   Lengths: {_range(task.lengths)}"
    yield from _program(task)
    wrapper = wrapper_for(entry)
    texts = (argument_texts(wrapper) if wrapper else {}) | argument_texts(entry.cls)
    yield from _options("Options", options_of(entry), texts)
    shown = table("Examples", "options", ">source", "answer")
    for row in examples(spec):
        shown.add_row(*row)
    yield shown
    title = f"Measured on {ROWS:,} sources"
    measurements = table(title, ">length", ">chance exact", ">chance token", ">distinct", "answer symbols")
    for at in _with_user_errors(at_lengths(spec, task), spec):
        balance = _abridged([f"{symbol} {share:.1%}" for symbol, share in at.balance])
        scores = f"{at.chance_exact:.3f}", f"{at.chance_token:.3f}"
        measurements.add_row(str(at.length), *scores, f"{at.distinct:,}", balance)
    yield measurements
    yield audit_table(audit_task(spec, Span.parse(TRAIN_LENGTHS, "train lengths"), TEST_LENGTH))


def _with_user_errors(measurements: "Iterator[AtLength]", spec: "Spec") -> "Iterator[AtLength]":
    """Yield the measurements; raise :class:`UserError` where a user's RASP-L program breaks a rule of the language.

    A program is tried on short sources when it is loaded, so an error can appear at these lengths first.
    """
    from tasks.rasp import RuleBroken

    try:
        yield from measurements
    except RuleBroken as error:
        raise UserError(f"task {spec}: the program {error}") from None


def _program(task: "Task") -> "Iterator[RenderableType]":
    """Yield the RASP-L program of a task and its length; nothing where no program is known."""
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


def _options(title: str, options: "dict[str, Option]", texts: dict[str, str]) -> "Iterator[RenderableType]":
    from rich.text import Text

    from harness.cli.console import table

    rows = table(title, "option", "type", "default", "meaning")
    for option in options.values():
        rows.add_row(option.name, Text(option.type, "dim"), str(option.default), texts.get(option.name, ""))
    if options:
        yield rows


def _suite(name: str) -> "Iterator[RenderableType]":
    from rich.text import Text

    from harness.cli.console import table
    from harness.cli.docstrings import paragraphs
    from harness.cli.dry_run import architectures_table, tasks_table
    from harness.config.suite import load
    from harness.execution.make_plan import make_plan
    from harness.report.number_format import plural

    suite = load(name)
    plan = make_plan(suite, Catalog(tuple(map(Path, suite.plugins))))
    yield Text.assemble((suite.name, "bold cyan"), ("  suite", "dim"))
    yield from paragraphs(suite.title, suite.description)
    rates = ", ".join(f"{rate:g}" for rate in suite.learning_rates)
    counts = f"{plural(len(plan.cells), 'cell')}, {plural(suite.seeds, 'seed')}, {suite.samples} sequences per test set"
    yield f"\n{counts}, learning rates {rates}"
    yield tasks_table(plan)
    yield architectures_table(plan)
    claims = table("Known results, checked against the scores", "claim", "expected", "seeds")
    for claim in suite.known:
        for index, expected in enumerate(claim.expect):
            seeds = "" if expected.above else str(expected.seeds or "all")
            claims.add_row("" if index else claim.claim, expected.words, seeds)
    if suite.known:
        yield claims


def _abridged(words: Sequence[str]) -> str:
    return " ".join(words) if len(words) <= 6 else f"{' '.join(words[:5])} ... {words[-1]} ({len(words)})"


def _range(lengths: range) -> str:
    end = "up" if lengths[-1] >= 1 << 23 else f"to {lengths[-1]}"
    return f"{lengths[0]} {end}" + (f" in steps of {lengths.step}" if lengths.step > 1 else "")
