"""The sections of the page, in reading order: their captions, their tables, and whether scripts draw a view in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.analysis.estimators import INTERVAL_SEEDS
from harness.report.captions import MEASURES, SHORTCUT, SOLVED_TO, Table, seeds_and_selection, selection
from harness.report.comparison_tables import BARS
from harness.report.results import Results
from harness.report.run_tables import STATE, devices
from harness.report.training_tables import FITTED, PLATEAU

CURVES = (
    f"Lines connect the medians over seeds. From {INTERVAL_SEEDS} seeds on, bands are 95% bootstrap intervals of the "
    "median. The training range is shaded; chance is dotted and the best shortcut dashed grey. A line is dashed where "
    "fewer than half of the seeds fit their training lengths. A bar at the end of a line says that no longer length "
    "was evaluated."
)


@dataclass(frozen=True)
class Section:
    """One section. ``data`` names the rows of the payload that its view draws, empty where it has no view.

    ``tables`` are shown below the view; one table is open where there is no view. ``otherwise`` is the text of a
    section with nothing to show; without one it is left out.
    """

    anchor: str
    title: str
    caption: Callable[[Results], str] = lambda results: ""
    data: str = ""
    tables: tuple[str, ...] = ()
    otherwise: str = ""


SECTIONS = (
    Section("known", "Known results, and whether they appear", tables=("known",)),
    Section(
        "matrix",
        "Architectures by tasks",
        lambda results: (
            f"Colour runs from nothing gained to the best value. {SOLVED_TO} Scaled accuracy is exact match beyond "
            "training with chance at 0 and a perfect score at 1. In range is the mean exact match over the evaluated "
            f"training lengths. {SHORTCUT} {seeds_and_selection(results)}"
        ),
        "pairs",
    ),
    Section("pair", "One pair: its seeds, and the commands that train them again", data="pairs"),
    Section("lengths", "Accuracy by length", lambda results: f"{CURVES} {selection(results)}", "pairs", ("lengths",)),
    Section(
        "rates",
        "Learning rates",
        lambda results: (
            "Solid lines are the mean exact match on validation data at training lengths, which chooses the rate; "
            "dashed lines are the mean beyond training lengths, which is never used for choosing. A filled point is "
            "the chosen rate."
        ),
        "rates",
        ("rate-windows", "learning-rates"),
    ),
    Section(
        "steps",
        "Steps to fit",
        lambda results: (
            "Each line is one seed, from the step at which it leaves the plateau to the step at which it fits (filled "
            "point). A hollow point at the end of the budget is a seed that never fits; its line is dashed, and "
            f"missing where it never leaves the plateau. {FITTED} {PLATEAU}"
        ),
        "cells",
        ("steps-to-fit",),
    ),
    Section(
        "loss",
        "Loss and validation",
        lambda results: (
            "Each line is one seed; long curves are thinned. Validation is the exact match at training lengths. "
            f"{selection(results)}"
        ),
        "cells",
        ("unfitted",),
    ),
    Section(
        "checkpoints",
        "Exact match beyond training, by checkpoint",
        lambda results: "Each point is the median over seeds.",
        "checkpoints",
    ),
    Section(
        "errors",
        "Where the errors sit",
        lambda results: (
            "Each architecture is a block of rows, one for each tested length, from the shortest at the top to the "
            "longest; a line divides training lengths from longer ones. Darker is more, over all seeds together. "
            "Events are the records, lines or instructions between the one that is asked for and the question, of the "
            "tasks that define them."
        ),
        "errors",
    ),
    Section(
        "cost",
        "Cost",
        lambda results: (
            "Each point is one architecture: its score beyond training, as the mean over the tasks shown of the "
            "medians over seeds, against the median over these tasks of a cost. The grey line is the Pareto front: no "
            "architecture on it is beaten in both. Names without room are left out; point at a mark to see its name. "
            f"{STATE} {devices(results)}"
        ),
        "costs",
        ("cost", "cost-by-task"),
    ),
    Section(
        "programs",
        "Program length against generalization",
        lambda results: (
            "Each point is one task and architecture, at the median over seeds; it is hollow where fewer than half of "
            "the seeds fit. Program length and answer length are confounded, so both plots have to be compared. "
            f"{MEASURES['exact']}"
        ),
        "programs",
        ("conjecture",),
    ),
    Section(
        "attention",
        "Attention and alignment",
        lambda results: (
            "Each row is a position that is answered, each column a position that it may attend to. Each pair is shown "
            "by one model: the lowest seed at the chosen learning rate. Tasks answered at a single position are left "
            "out."
        ),
        "attention",
    ),
    Section("published", "Published numbers", tables=("published",)),
    Section(
        "compare",
        "Architectures over all tasks",
        lambda results: (
            "Architectures are ranked on each task by the median scaled accuracy over seeds, 1 for the best; ties "
            f"share their ranks. {BARS} All architectures are compared, whatever the filters show."
        ),
        "ranks",
        ("comparisons", "ranks", "profile"),
    ),
    Section(
        "two",
        "Two architectures side by side",
        lambda results: f"{CURVES} The probability and the difference are explained below the table of every pair.",
        "architectures",
    ),
    Section("carried", "From a carried state", tables=("carried",)),
    Section(
        "recipes",
        "Ways to train",
        lambda results: f"Each colour is a way to train; all take the same number of steps. {CURVES}",
        "recipes",
        ("recipes", "transfer", "stages"),
    ),
    Section("sizes", "How much data is enough", tables=("enough-sequences", "training-set-sizes")),
    Section("settings", "How the models were trained", tables=("settings",)),
    Section(
        "problems",
        "Failures and what was not run",
        tables=("problems",),
        otherwise="Nothing failed and nothing is missing.",
    ),
    Section("tables", "Tables of scores", tables=("solved-to", "beyond-exact", "beyond-token", "detail")),
)


def sections(results: Results, data: Mapping[str, Any], tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Return what the template shows of each section that has something to show."""
    shown = []
    for section in SECTIONS:
        present = [(name, tables[name].title) for name in section.tables if name in tables and len(tables[name].frame)]
        has_view = bool(section.data and _has_rows(section.data, data, tables))
        if not (has_view or present or section.otherwise):
            continue
        content: dict[str, Any] = {
            "anchor": section.anchor,
            "title": section.title,
            "caption": section.caption(results) if has_view or not section.data else "",
        }
        content |= {"view": has_view, "tables": present, "folded": bool(section.data or len(present) > 1)}
        shown.append(content | {"otherwise": "" if present else section.otherwise})
    return shown


def _has_rows(name: str, data: Mapping[str, Any], tables: Mapping[str, Table]) -> bool:
    """Whether the payload has rows of this name: programs where their table is, and at least two architectures."""
    if name == "programs":
        return "conjecture" in tables
    return len(data[name].get("name", ())) > 1 if name == "architectures" else bool(data[name])
