"""The main tables for a terminal: architectures by tasks, split into as many tables as the width requires."""

from collections.abc import Callable, Iterator
from math import nan
from textwrap import fill

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.config.claims import APPEARS, FAILS, UNTESTED
from harness.report import number_format as fmt
from harness.report.captions import SHORTCUT, SOLVED_TO, chance, marks, seeds_and_selection
from harness.report.claims import claims_table
from harness.report.page.findings import finding, summary
from harness.report.paper_tables import Interval, median_intervals
from harness.report.recipe_tables import recipes_table
from harness.report.results import Results, TaskResult
from harness.report.run_tables import cost_table
from harness.report.stale import mark_stale
from harness.report.summary import cost_sentence, warnings
from harness.report.table_cell import TableCell

COLUMN, WIDE_COLUMN = 16, 22
"""Letters of a column of scores, and of one with intervals."""

MOST_FINDINGS = 8
"""Most tasks about which there is a sentence."""

SCORES = "Exact match beyond training lengths, median over seeds"
NO_INTERVAL = (nan, nan)

LABEL = 27
"""Most letters of the column of architectures."""

VERDICTS = {APPEARS: "green", FAILS: "red", UNTESTED: "dim"}


def terminal_report(results: Results, width: int = 100) -> Group:
    """Return warnings, findings, solved to, the means beyond training and the cost; no line exceeds ``width`` columns.

    The means have intervals where all tasks fit in one table with them.
    """
    if not results.architectures:
        return Group(Text("Nothing has been trained yet."))
    is_wide = _label_width(results) + 1 + (WIDE_COLUMN + 2) * len(results.main_results) <= width
    column = WIDE_COLUMN if is_wide else COLUMN
    parts: list[RenderableType] = [
        *(Text(fill(line, width), style="yellow") for line in warnings(results)),
        *_findings(results, width),
        *_claims(results),
        *_grid(results, width, "Solved to, and seeds that fit", lambda cell, ends: _solved(cell), COLUMN),
        *_grid(results, width, f"{SCORES}{' with 95% interval' if is_wide else ''}", _score, column),
        *_recipes(results, width),
        _cost(results),
    ]
    table_cells = [
        results.table_cell(name, result) for name in results.architectures for result in results.main_results
    ]
    dim = "Numbers are dim where fewer than half of the seeds fit."
    caption = f"{SOLVED_TO} {SHORTCUT} {dim} {seeds_and_selection(results)}{marks(table_cells)}"
    parts += [Text(f"{fill(line, width)}\n") for line in [cost_sentence(results)] if line]
    return Group(*parts, Text(caption, style="dim"))


def _claims(results: Results) -> Iterator[Table]:
    """Yield a table of the published claims and their verdicts, if the suite has any."""
    claims = claims_table(results).frame
    if len(claims):
        table = Table(title="\nKnown results", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
        for name in ("claim", "verdict"):
            table.add_column(name, overflow="fold")
        for claim, verdict in dict(zip(claims.claim, claims.verdict, strict=True)).items():
            table.add_row(claim, Text(verdict, VERDICTS[verdict]))
        yield table


def _findings(results: Results, width: int) -> Iterator[Text]:
    """Yield a summary of the run, and a sentence for each of the first tasks."""
    yield Text(fill(summary(results), width), style="bold")
    shown = results.main_results[:MOST_FINDINGS]
    for result in shown:
        yield Text(fill(f"{result.title}: {finding(results, result)}", width, subsequent_indent="  "))
    if more := len(results.main_results) - len(shown):
        yield Text(f"The page has findings on {fmt.plural(more, 'more task')}.", style="dim")


def _grid(
    results: Results, width: int, title: str, write: Callable[[TableCell, Interval], Text], column: int
) -> Iterator[Table]:
    """Yield tables of architectures by tasks, each with as many tasks as fit ``width``."""
    label_width, ends = _label_width(results), median_intervals(results, "exact") if column > COLUMN else {}
    tasks_per_table = max(1, (width - label_width - 1) // (column + 2))
    for start in range(0, len(results.main_results), tasks_per_table):
        task_results = results.main_results[start : start + tasks_per_table]
        table = _table(title if not start else "", label_width)
        for result in task_results:
            table.add_column(_head(result), width=column, justify="right", vertical="bottom", overflow="fold")
        for architecture in results.architectures:
            cells = [
                write(results.table_cell(architecture, result), ends.get((architecture, result.task), NO_INTERVAL))
                for result in task_results
            ]
            table.add_row(architecture, *cells)
        yield table


def _recipes(results: Results, width: int) -> Iterator[Table]:
    """Yield, for each task that was trained in several ways, tables of recipes by architectures."""
    frame = recipes_table(results).frame
    for task, rows in frame.groupby("task", sort=False) if len(frame) else ():
        scores = rows.set_index("architecture").drop(columns="task").T
        per_table = max(1, (width - LABEL - 1) // (COLUMN + 2))
        for start in range(0, scores.shape[1], per_table):
            table = _table(f"Ways to train: exact match on {task} beyond training lengths", LABEL)
            for name in scores.columns[start : start + per_table]:
                table.add_column(Text(name), width=COLUMN, justify="right", vertical="bottom", overflow="fold")
            for recipe, row in scores.iterrows():
                table.add_row(str(recipe), *row.iloc[start : start + per_table].astype(str))
            yield table


def _label_width(results: Results) -> int:
    return min(LABEL, max(map(len, results.architectures)))


def _table(title: str, label_width: int) -> Table:
    style = {"title_justify": "left", "title_style": "bold", "show_edge": False, "padding": (0, 1, 0, 0)}
    table = Table(title=f"\n{title}", box=box.SIMPLE_HEAD, **style)  # type: ignore[arg-type]
    table.add_column("", width=label_width, overflow="fold")
    return table


def _head(task_result: TaskResult) -> Text:
    ranges = f"{fmt.span(task_result.train)} → {fmt.span(task_result.lengths[-1:])}"
    by_chance = f"chance {fmt.score(chance(task_result, 'exact'))}"
    title = "\n".join(fmt.break_name(task_result.title, COLUMN))
    best = task_result.shortcut
    floor = f"\nshortcut {fmt.score(best.exact)}{'!' if best.solves else ''}" if best else ""
    return Text.assemble((title, "bold"), (f"\n{ranges}\n{by_chance}{floor}", "dim not bold"))


def _solved(cell: TableCell) -> Text:
    if not cell.has_scores:
        return _status(cell)
    style = "dim" if not cell.fits else "green" if cell.solved >= 0.5 else ""
    return Text(f"{cell.solved_text} {cell.fit_text}", style)


def _score(cell: TableCell, ends: Interval) -> Text:
    if not cell.has_scores:
        return _status(cell)
    return Text(cell.score_text("exact") + fmt.interval(*ends), "" if cell.fits else "dim")


def _status(cell: TableCell) -> Text:
    return Text(cell.status_text, "red" if cell.status == "failed" else "dim")


def _cost(results: Results) -> Table:
    frame = mark_stale(cost_table(results), results).frame
    table = _table("Cost", min(LABEL, max(map(len, frame.get("architecture", [""])))))
    for name in frame.columns[1:]:
        table.add_column(name.replace(" ", "\n", 1), justify="right", vertical="bottom", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    return table
