"""Findings: one sentence for each task, and a summary of the run, from the medians over seeds.

An architecture *fits* a task if at least half of its seeds solve the training lengths, and *solves* it if half of them
also solve every longer length that was tested.
"""

from collections.abc import Callable, Sequence

from harness.report import number_format as fmt
from harness.report.results import Results, TaskResult
from harness.report.table_cell import TableCell

MOST_NAMES = 4
"""Most architectures that a sentence lists."""

Cells = dict[str, TableCell]


def finding(results: Results, task_result: TaskResult) -> str:
    """Say how far the best fitted architectures get on a task, and how many fit."""
    cells = scored_cells(results, task_result)
    fitted = {name: cell for name, cell in cells.items() if cell.fits}
    if not cells:
        return "No scores yet."
    if not fitted:
        best = _best(cells, lambda cell: cell.scores["exact"])
        return f"None of {fmt.plural(len(cells), 'architecture')} fits the training lengths; {_unknown(best, cells)}"
    return f"{_sentence(results, task_result, fitted)} {_fit_count(len(fitted), len(cells))}"


def scored_cells(results: Results, task_result: TaskResult) -> Cells:
    """Return the cells of a task that have scores, by architecture."""
    cells = {name: results.table_cell(name, task_result) for name in results.architectures}
    return {name: cell for name, cell in cells.items() if cell.has_scores}


def is_solved(cell: TableCell) -> bool:
    """Whether the median seed solves the training lengths and every longer length that was tested."""
    return cell.fits and cell.solved >= 0.5


def _sentence(results: Results, task_result: TaskResult, fitted: Cells) -> str:
    """Say which of the fitted architectures get furthest."""
    top, longest = task_result.train[1], fmt.span(task_result.lengths[-1:])
    if solved := [name for name, cell in fitted.items() if is_solved(cell)]:
        return f"{_listed(solved)} {_verb(solved, 'solves', 'solve')} every tested length, up to {longest}."
    reached = {name: _reached(results, name, task_result) for name in fitted}
    furthest = max(reached.values())
    if furthest > top:
        names = [name for name, length in reached.items() if length == furthest]
        return (
            f"{_listed(names)} {_verb(names, 'gets', 'get')} furthest, to length {fmt.number(furthest)} of {longest}."
        )
    if not task_result.beyond:
        return "No length beyond training was tested."
    best = _best(fitted, lambda cell: cell.scores["exact"])
    if not best:  # no longer length has a score, for example because memory ran out
        return "No longer length is solved."
    score = fmt.score(fitted[best[0]].scores["exact"])
    return f"No longer length is solved; {_listed(best)} {_verb(best, 'has', 'have')} the best exact match, {score}."


def _reached(results: Results, name: str, task_result: TaskResult) -> float:
    length = results.summary_row(name, task_result).get("solved_length")
    return 0.0 if length is None or length != length else float(length)


def _unknown(best: Sequence[str], cells: Cells) -> str:
    if not best:
        return "nothing was tested beyond them."
    return f"the best exact match beyond them is {fmt.score(cells[best[0]].scores['exact'])} ({_listed(best)})."


def _fit_count(fitted: int, total: int) -> str:
    return f"{fitted} of {fmt.plural(total, 'architecture')} {'fits' if fitted == 1 else 'fit'} the training lengths."


def _best(cells: Cells, value: Callable[[TableCell], float]) -> list[str]:
    """Return the names of the cells with the highest value, which may be NaN."""
    values = {name: value(cell) for name, cell in cells.items() if value(cell) == value(cell)}
    return [name for name in values if values[name] == max(values.values())]


def _listed(names: Sequence[str], word: str = "and") -> str:
    """List names in words; ``word`` stands before the last one.

    >>> _listed(["a"]), _listed(["a", "b", "c"]), _listed(["a", "b", "c", "d", "e", "f"])
    ('a', 'a, b and c', 'a, b, c and 3 others')
    """
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} others"
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _verb(names: Sequence[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many


def summary(results: Results) -> str:
    """Say how many pairs fit and are solved, which architectures solve most tasks, and which tasks nobody solves."""
    cells = {result.title: scored_cells(results, result) for result in results.main_results}
    every = [cell for of_task in cells.values() for cell in of_task.values()]
    if not every:
        return ""
    fitted, solved = sum(cell.fits for cell in every), sum(map(is_solved, every))
    sentences = [
        f"{fitted} of {fmt.plural(len(every), 'pair')} of architecture and task {'fits' if fitted == 1 else 'fit'} the "
        f"training lengths; {solved} {'solves' if solved == 1 else 'solve'} every tested length."
    ]
    counts = {name: sum(is_solved(of[name]) for of in cells.values() if name in of) for name in results.architectures}
    most = max(counts.values())
    if most:
        names = [name for name, count in counts.items() if count == most]
        tasks = f"{most} of {fmt.plural(len(cells), 'task')}"
        sentences.append(f"{_listed(names)} {_verb(names, 'solves', 'solve')} the most: {tasks}.")
        unsolved = [title for title, of in cells.items() if of and not any(map(is_solved, of.values()))]
        sentences.append(f"No architecture solves {_listed(unsolved, 'or')}." if unsolved else "")
    return " ".join(filter(None, sentences))
