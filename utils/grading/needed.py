"""Which statements of a notebook the answers need. The rest (figures, experiments, prints) costs time only.

A statement is needed if it binds a name that an answer uses, directly or through other needed statements, or
if it seems to change the value of such a name. That is a guess about Python, so the grader relies on it in
one direction only: full marks that were earned with the needed statements count; where points are missing
and something of the student's own was left out that touches a needed value, the whole notebook runs and the
better result counts.
"""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Iterator
from dataclasses import dataclass, field

# Whoever uses these may bind or read any name.
HIDDEN = {"__dict__", "__globals__", "f_globals", "f_locals", "modules"}  # attributes that lead there as well
UNCLEAR = {"exec", "eval", "globals", "locals", "vars", "compile", "__import__", "setattr"}


SHOWN = {"print", "display", "summary", "round", "len"}  # these change nothing


class UnclearError(Exception):
    """The notebook does things that hide what depends on what: all of it is needed."""


@dataclass
class Statement:
    """One top-level statement of a cell: the names that it uses, binds, and may change the value of."""

    cell: int
    node: ast.stmt
    uses: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)


def needed(trees: dict[int, ast.Module], answers: set[str]) -> tuple[list[Statement], list[Statement]]:
    """The statements that the names `answers` need, in order, and the rest.

    Raises UnclearError where it cannot be told.
    """
    names = set(answers)
    waiting = [made for number, tree in trees.items() for made in _statements(number, tree)]
    places = {id(statement): place for place, statement in enumerate(waiting)}
    chosen: list[Statement] = []
    while taken := [s for s in waiting if names & (s.binds | s.changes)]:
        chosen += taken
        waiting = [s for s in waiting if not names & (s.binds | s.changes)]
        for statement in taken:
            names |= statement.uses
            if isinstance(statement.node, ast.FunctionDef) and names & statement.changes:
                names |= statement.binds  # calls of a function that changes a needed value
    return sorted(chosen, key=lambda s: places[id(s)]), waiting


def doubtful(chosen: list[Statement], rest: list[Statement]) -> set[int]:
    """The cells of statements that were left out although they touch values that the answers need."""
    defined = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    values = {name for s in chosen if not isinstance(s.node, defined) for name in s.binds}
    return {s.cell for s in rest if s.uses & values and not idle(s.node)}


def idle(node: ast.stmt) -> bool:
    """Does a statement nothing but define, import and show?"""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.ClassDef() | ast.Pass():
            return True
        case ast.Expr(ast.Constant()) | ast.Expr(ast.Call(ast.Name())):
            return isinstance(node.value, ast.Constant) or node.value.func.id in SHOWN
        case ast.For() | ast.If():
            return all(map(idle, node.body + node.orelse))
    return False


def _statements(number: int, tree: ast.Module) -> Iterator[Statement]:
    for node in tree.body:
        for part in _one_by_one(node):
            made = Statement(number, part)
            code = compile(ast.Module([part], []), "<cell>", "exec")
            _read(code, made, top=True)
            made.uses -= {name for loop in ast.walk(part) for name in _loop_names(loop)}
            made.changes = set(_changed(part))
            if made.uses & UNCLEAR or any(_everything(part)):
                raise UnclearError
            yield made


def _one_by_one(node: ast.stmt) -> list[ast.stmt]:
    """An import of several names as several imports."""
    if isinstance(node, ast.Import):
        return [ast.copy_location(ast.Import([alias]), node) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.copy_location(ast.ImportFrom(node.module, [a], node.level), node) for a in node.names]
    return [node]


def _read(code: types.CodeType, made: Statement, top: bool = False) -> None:
    """Global names in compiled code and in the functions inside it."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            made.uses.add(step.argval)
        elif step.opname in ("STORE_NAME", "DELETE_NAME") and top:
            made.binds.add(step.argval)
        elif step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            raise UnclearError
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _read(constant, made)


def _loop_names(node: ast.AST) -> Iterator[str]:
    """What a `for` binds before its body uses it."""
    if isinstance(node, ast.For):
        yield from (part.id for part in ast.walk(node.target) if isinstance(part, ast.Name))


def _everything(node: ast.stmt) -> Iterator[bool]:
    """True for `from x import *`, for ways to all names, and for magics that run the code behind them."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute):
            yield part.attr in HIDDEN
        if isinstance(part, ast.ImportFrom):
            yield any(alias.name == "*" for alias in part.names)
        if isinstance(part, ast.Attribute) and part.attr in ("run_cell_magic", "run_line_magic"):
            yield not _idle_magic(node)


def _idle_magic(node: ast.stmt) -> bool:
    """A magic that runs no code of the notebook, such as `%matplotlib inline`."""
    match node:
        case ast.Expr(ast.Call(ast.Attribute(_, "run_line_magic"), [ast.Constant(name), _])):
            return name in ("matplotlib", "config", "load_ext", "autoreload", "pip", "cd", "env")
    return False


def _changed(node: ast.stmt) -> Iterator[str]:
    """Names of which a statement may change the value: x[0] = 1, x.append(1), shuffle(x)."""
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript | ast.Attribute) and not isinstance(part.ctx, ast.Load):
            yield from _root(part)
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            call = part.value
            if isinstance(call.func, ast.Name) and call.func.id in SHOWN:
                continue
            for each in [call.func, *call.args, *(keyword.value for keyword in call.keywords)]:
                yield from _root(each)


def _root(node: ast.AST) -> Iterator[str]:
    """The name at the left end of x.y[0].z"""
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Starred):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
