"""What ``lengthwise show`` describes, as JSON values."""

from pathlib import Path
from typing import Any

from harness.cli.docstrings import argument_texts, opening, plain
from harness.cli.measured_facts import at_lengths, examples, kernels, model_facts
from harness.config.suite import load
from harness.execution.make_plan import make_plan
from harness.models.cost import Growth
from harness.registry.catalog import Catalog
from harness.registry.options import REQUIRED, Spec, build_task, options_of, wrapper_for


def entry_data(spec: Spec) -> dict[str, Any]:
    """Return the description of an architecture or a task, with its options and measurements."""
    entry = spec.entry
    common = {"spec": str(spec), "kind": entry.kind, "family": entry.family, "origin": entry.origin}
    measured = {"architecture": _architecture, "task": _task}[entry.kind](spec)
    texts = {"summary": entry.summary, "description": plain(opening(entry.cls)).strip()}
    return common | texts | {"options": _options(spec)} | measured


def _options(spec: Spec) -> list[dict[str, Any]]:
    entry = spec.entry
    wrapper = wrapper_for(entry)
    texts = (argument_texts(wrapper) if wrapper else {}) | argument_texts(entry.cls)
    return [
        {
            "name": option.name,
            "type": option.type,
            "default": None if option.default is REQUIRED else option.default,
            "meaning": texts.get(option.name, ""),
        }
        for option in options_of(entry).values()
    ]


def _architecture(spec: Spec) -> dict[str, Any]:
    """Return measurements on a binary alphabet. A cost of ``constant + slope x length`` is given by its two numbers."""
    facts = model_facts(spec)
    choices = [{"kernel": choice, "uses": used, "obstacle": why} for choice, used, why in kernels(spec)]
    costs = {"state_bytes": facts.state, "operations_per_token": facts.operations}
    sizes = {"parameters": facts.parameters, "causal": facts.causal, "maximum_length": facts.reach}
    return {**sizes, **{name: _growth(cost) for name, cost in costs.items()}, "kernels": choices}


def _growth(cost: Growth | None) -> dict[str, float] | None:
    return {"constant": cost.constant, "slope": cost.slope} if cost else None


def _task(spec: Spec) -> dict[str, Any]:
    task = build_task(spec)
    return {
        "paper": task.paper,
        "answer": task.answer,
        "symbols": list(task.symbols),
        "lengths": {"first": task.lengths[0], "last": task.lengths[-1], "step": task.lengths.step},
        "examples": [dict(zip(("options", "source", "answer"), row, strict=True)) for row in examples(spec)],
        "measured": [at._asdict() | {"balance": dict(at.balance)} for at in at_lengths(spec, task)],
    }


def suite_data(name: str) -> dict[str, Any]:
    """Return a suite with its defaults filled in, and the number of its cells."""
    suite = load(name)
    plan = make_plan(suite, Catalog(tuple(map(Path, suite.plugins))))
    return {"kind": "suite", **suite.model_dump(), "cells": len(plan.cells)}
