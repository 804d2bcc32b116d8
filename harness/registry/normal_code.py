"""The normal form of code, in which words and local names do not count: the text that fingerprints hash.

Comments, docstrings and the strings that document constants are removed, and so are methods that only say where errors
sit (:data:`MEASURING`), because neither weights nor scores depend on them. Local variables of a function are numbered
in the order in which they appear. All names that other code can use stay: those of modules, classes, attributes and
parameters.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
MEASURING = {"events_since"}


@cache
def syntax_of(path: Path) -> ast.Module:
    """Return the syntax of a file, in normal form."""
    tree = ast.parse(path.read_bytes())
    for node in statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | FUNCTIONS):
            node.body = [statement for statement in node.body if _counts(statement)] or [ast.Pass()]
    for function in _outer_functions(tree):
        _number_locals(function)
    return tree


@cache
def text_of(path: Path) -> str:
    """Return the code of a file in normal form."""
    return ast.unparse(syntax_of(path))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all statements below it, which are few among the nodes that :func:`ast.walk` visits."""
    yield node
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            yield from statements(child)


def _counts(statement: ast.stmt) -> bool:
    is_measuring = isinstance(statement, FUNCTIONS) and statement.name in MEASURING
    return not (is_measuring or _is_text(statement))


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _outer_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the functions that are not inside another function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            yield child
        else:
            yield from _outer_functions(child)


def _number_locals(function: ast.AST) -> None:
    """Replace the names of local variables, those of inner functions included, by numbers."""
    nodes, inner = list(ast.walk(function)), list(statements(function))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    kept = {node.arg for node in nodes if isinstance(node, ast.arg)}
    kept |= {name for node in inner if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    kept |= {node.name for node in inner if isinstance(node, FUNCTIONS | ast.ClassDef)}
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)} - kept
    appearing = dict.fromkeys(node.id for node in names if node.id in stored)
    numbered = {name: f"local{number}" for number, name in enumerate(appearing)}
    for node in names:
        node.id = numbered.get(node.id, node.id)
