"""How good are the checks? Break the right answers in small ways and count how many breaks are noticed.

    python -m tools.mutants            a table by task, and the mutants that no case notices
    python -m tools.mutants ex03       one exercise

A mutant is the reference of a task, or one of its alternatives, with one small change: another operator,
a number off by one, H for W, a statement left out. A case of the task should notice it. Mutants that
compute the same for every input the task allows stand in `tests/equivalent_mutants.toml`, each with the
reason; they do not count. The rest that survive are gaps: add a case.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import inspect
import itertools
import pathlib
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from utils import checks
from utils.checks import Task

EQUIVALENT = pathlib.Path(__file__).parents[1] / "tests" / "equivalent_mutants.toml"
SECONDS = 0.3  # of CPU time for each mutant; what runs longer is noticed: it loops without end
SEED = 0

OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult, ast.Div),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}

# Names that a tired reader confuses: whole names, and beginnings or ends such as those of kernel_height, kw.
CONFUSED = [
    *[
        ("stride", "padding"),
        ("stride", "dilation"),
        ("padding", "dilation"),
        ("in_channels", "out_channels"),
    ],
    *[("N", "C"), ("C", "K"), ("n", "c"), ("c", "k"), ("m", "n"), ("i", "j"), ("u", "v"), ("a", "b")],
    *[("x", "weight"), ("x", "kernel"), ("x", "y"), ("p", "s"), ("s", "d"), ("r", "c")],
]
CONFUSED_ENDS = [
    *[("height", "width"), ("H", "W"), ("h", "w"), ("row", "column"), ("row", "col"), ("rows", "columns")],
    *[("i", "j"), ("x", "y"), ("0", "1"), ("1", "2"), ("top", "left"), ("top", "bottom"), ("left", "right")],
    *[("before", "after"), ("in", "out")],
]


SYMMETRIC = {"max", "min", "maximum", "minimum", "add", "multiply", "gcd", "lcm"}


@dataclass(frozen=True)
class Mutant:
    """One small change of one answer of a task."""

    task: Task
    answer: str  # "reference" or the name of the alternative
    change: str  # "function: line before -> line after"
    text: str = field(repr=False)  # of the changed function
    build: Callable[[], Callable] = field(repr=False, compare=False)

    def survives(self, probes: list[Task]) -> bool:
        """True if every probe takes the mutant for the right answer."""
        try:
            with _time_limit(SECONDS):
                answer = self.build()
                # all() stops at the first case that notices.
                return all(result.points > 0 for result in (checks.grade(probe, answer) for probe in probes))
        except (_TooSlow, Exception):
            return False


def probes(task: Task, seed: int = SEED) -> list[Task]:
    """One task for each case, its right answer computed once, without misconceptions: quick to grade."""
    return [_probe(task, case) for case in task.make_cases(seed)]


def _probe(task: Task, case: checks.Case) -> Task:
    want = _call(task.reference, case)
    return dataclasses.replace(
        task, reference=lambda *_, **__: want, cases=lambda _: [case], misconceptions={}
    )


def _call(function: Callable, case: checks.Case):
    args, kwargs = copy.deepcopy((case.args, dict(case.kwargs)))
    return function(*args, **kwargs)


class _TooSlow(BaseException):
    """Not an Exception, so that no `except Exception` of an answer holds it back."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises _TooSlow inside after so much CPU time, and again after as much more.

    CPU time, not wall time: a busy machine must not look like an endless loop. Without the timer
    (Windows, or outside the main thread) there is no limit.
    """

    def stop(*_):
        raise _TooSlow

    try:
        previous = signal.signal(signal.SIGVTALRM, stop)
    except (AttributeError, ValueError):
        yield
        return
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def of_task(task: Task) -> list[Mutant]:
    """The mutants of the reference and the alternatives of a task; none for a value without a computation."""
    if task.kind != "function":
        return []
    found = {}
    for name, function in {"reference": task.reference, **task.alternatives}.items():
        for mutant in _of_function(task, name, function):
            found.setdefault(mutant.text, mutant)  # functions that answers share are changed once
    return list(found.values())


def _of_function(task: Task, name: str, function: Callable) -> Iterator[Mutant]:
    module = sys.modules[function.__module__]
    tree = ast.parse(inspect.getsource(module))
    definitions = {node.name: _bare(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    root = definitions.get(function.__name__) or _lambda_as_function(tree, function)
    definitions[root.name] = root
    # In the order of the module: a default argument may name a function above it.
    used = sorted(_reachable(root, definitions), key=lambda node: node.lineno)
    elsewhere = {other.reference.__name__ for other in getattr(module, "TASKS", ()) if other is not task}
    # What an alternative never reaches belongs to other tasks. What the reference never reaches is a gap.
    reached = None if name == "reference" else _reached_lines(task, function)
    for target in used:
        if target is not root and target.name in elsewhere:
            continue  # the reference of another task, changed there
        original = ast.unparse(target)
        for changed in _changes(target, reached):
            text = ast.unparse(changed)
            if text != original:
                others = [changed if node is target else node for node in used]
                yield Mutant(
                    task,
                    name,
                    f"{target.name}: {_first_difference(original, text)}",
                    text,
                    lambda others=others, namespace=module, root=root.name: _build(others, namespace, root),
                )


def _build(functions: list[ast.FunctionDef], module, name: str) -> Callable:
    """The function `name`, compiled with its changed companions in a copy of the module's names."""
    namespace = dict(vars(module))
    code = ast.fix_missing_locations(ast.Module(copy.deepcopy(functions), []))
    exec(compile(code, "<mutant>", "exec"), namespace)
    return namespace[name]


def _lambda_as_function(tree: ast.Module, function: Callable) -> ast.FunctionDef:
    """The definition of a lambda as that of a function named _lambda."""
    code = [position[::2] for position in function.__code__.co_positions()]  # (line, column) of each step
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda) and (node.body.lineno, node.body.col_offset) in code:
            made = ast.parse("def _lambda(): return None").body[0]
            made.args, made.body[0].value = node.args, node.body
            ast.copy_location(made.body[0], node.body)
            return ast.copy_location(made, node)
    raise ValueError(f"no source found for {function.__qualname__}: define it at the top of its module")


def _reachable(root: ast.FunctionDef, definitions: dict[str, ast.FunctionDef]) -> list[ast.FunctionDef]:
    """The function and those of its module that it calls, directly or through others."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.append(node)
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            waiting += [definitions[name] for name in sorted(names & set(definitions))]
    return found


def _bare(function: ast.FunctionDef) -> ast.FunctionDef:
    """The function without what is no computation: docstring, decorators, annotations."""
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list, node.returns = [], None
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.arg):
            node.annotation = None
    return function


def _reached_lines(task: Task, function: Callable) -> set[int]:
    """The lines of the function's module that run when the cases of the task are computed."""
    filename, lines = function.__code__.co_filename, set()

    def trace(frame, event, _):
        if frame.f_code.co_filename != filename:
            return None
        lines.add(frame.f_lineno)
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        for case in task.make_cases(SEED):
            _call(function, case)
    finally:
        sys.settrace(previous)
    return lines


def _unreached(body: ast.FunctionDef, reached: set[int]) -> set[int]:
    """The ids of the nodes in statements of which no line runs."""
    found = set()
    for statement in ast.walk(body):
        if isinstance(statement, ast.stmt) and statement is not body:
            inner = getattr(statement, "body", None)
            end = inner[0].lineno - 1 if inner else statement.end_lineno
            if reached.isdisjoint(range(statement.lineno, max(end, statement.lineno) + 1)):
                found |= {id(node) for node in ast.walk(statement)}
    return found


def _changes(body: ast.FunctionDef, reached: set[int] | None = None) -> Iterator[ast.FunctionDef]:
    """Copies of a function with one change each, in the lines that are reached (None: in all)."""
    known = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    known |= {node.arg for node in ast.walk(body) if isinstance(node, ast.arg)}
    # A refusal of bad input is not graded: the cases pass none.
    refusals = [node for node in ast.walk(body) if isinstance(node, ast.Raise) or _only_raises(node)]
    left_out = {id(part) for node in refusals for part in ast.walk(node)}
    # reshape takes any negative number for -1.
    sizes = [node for node in ast.walk(body) if isinstance(node, ast.Call) and _method(node) == "reshape"]
    left_out |= {id(part) for node in sizes for size in node.args for part in _minus_one(size)}
    if reached is not None:
        left_out |= _unreached(body, reached)
    nodes = list(ast.walk(body))
    for index, node in enumerate(nodes):
        if id(node) in left_out:
            continue
        for edit in _edits(node, known):
            twin = copy.deepcopy(body)
            edit(next(itertools.islice(ast.walk(twin), index, None)))
            yield ast.fix_missing_locations(twin)


def _method(call: ast.Call) -> str:
    """The last name of what is called: "pad" for np.pad(...)."""
    return ast.unparse(call.func).rpartition(".")[2]


def _minus_one(node: ast.AST) -> list[ast.AST]:
    """The nodes that make up a -1."""
    return list(ast.walk(node)) if ast.unparse(node) == "-1" else []


def _only_raises(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and not node.orelse and isinstance(node.body[0], ast.Raise)


def _edits(node: ast.AST, known: set[str]) -> Iterator[Callable[[ast.AST], None]]:
    """What can be done to a node: functions that change its twin in place."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        for operator in OPERATORS.get(type(node.op), ()):
            yield lambda twin, operator=operator: setattr(twin, "op", operator())
    if isinstance(node, ast.Compare):
        for operator in OPERATORS.get(type(node.ops[0]), ()):
            yield lambda twin, operator=operator: twin.ops.__setitem__(0, operator())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield lambda twin: setattr(twin, "operand", ast.UnaryOp(twin.op, twin.operand))  # twice is none
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield lambda twin: setattr(twin, "test", ast.UnaryOp(ast.Not(), twin.test))
    if isinstance(node, ast.Constant):
        yield from _constant_edits(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for name in sorted(_confusable(node.id) & known):
            yield lambda twin, name=name: setattr(twin, "id", name)
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield lambda twin: twin.elts.reverse()
    if isinstance(node, ast.Call):
        symmetric = _method(node) in SYMMETRIC
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if len(node.args) > 1 and not starred and not symmetric:
            yield lambda twin: twin.args.reverse()
        for place in range(len(node.keywords)):
            yield lambda twin, place=place: twin.keywords.pop(place)
    if isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part) is not None:
                yield lambda twin, part=part: setattr(twin, part, None)
    for block in ("body", "orelse"):
        statements = getattr(node, block, None)
        if isinstance(statements, list):
            yield from _statement_edits(block, statements)


_DROPPABLE = ast.Assign | ast.AugAssign | ast.Expr | ast.If | ast.For | ast.While | ast.Continue | ast.Break


def _statement_edits(block: str, statements: list[ast.stmt]) -> Iterator[Callable[[ast.AST], None]]:
    for place, statement in enumerate(statements):
        if isinstance(statement, _DROPPABLE) and not _only_raises(statement):
            yield lambda twin, place=place: getattr(twin, block).__setitem__(place, ast.Pass())
        if isinstance(statement, ast.AugAssign):
            yield lambda twin, place=place: getattr(twin, block).__setitem__(
                place, _plain_assignment(getattr(twin, block)[place])
            )


def _plain_assignment(statement: ast.AugAssign) -> ast.Assign:
    return ast.Assign([statement.target], statement.value)


def _constant_edits(node: ast.Constant) -> Iterator[Callable[[ast.AST], None]]:
    if isinstance(node.value, bool):
        values = [not node.value]
    elif isinstance(node.value, int):
        values = [node.value + 1, node.value - 1]
    elif isinstance(node.value, float):
        values = [node.value + 1, node.value * 2, -node.value]
    else:
        values = []
    for value in values:
        yield lambda twin, value=value: setattr(twin, "value", value)


def _confusable(name: str) -> set[str]:
    """Names that a reader may write for this one."""
    found = {other for pair in CONFUSED if name in pair for other in pair}
    for one, other in CONFUSED_ENDS:
        for old, new in ((one, other), (other, one)):
            found |= {name.removesuffix(old) + new} if name.endswith(old) else set()
            found |= {new + name.removeprefix(old)} if name.startswith(old) else set()
    return found - {name}


def _first_difference(before: str, after: str) -> str:
    """The first line that differs: "old line -> new line"."""
    pairs = itertools.zip_longest(before.splitlines(), after.splitlines(), fillvalue="")
    old, new = next((one.strip(), other.strip()) for one, other in pairs if one != other)
    return f"{old} -> {new}"


def known_equivalents() -> dict[tuple[str, str], str]:
    """(task, change) -> the reason why the mutant computes the same."""
    if not EQUIVALENT.exists():
        return {}
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("mutant", [])
    return {(entry["task"], entry["change"]): entry["reason"] for entry in entries}


@dataclass(frozen=True)
class Score:
    """What became of the mutants of a task."""

    task: Task
    total: int
    equivalent: int
    survivors: list[Mutant]
    stale: list[str]  # listed as equivalent, but noticed or no longer made

    @property
    def counted(self) -> int:
        return self.total - self.equivalent

    @property
    def killed(self) -> int:
        return self.counted - len(self.survivors)


def score(task: Task) -> Score:
    """Try every mutant of a task."""
    known = known_equivalents()
    mutants = of_task(task)
    cases = probes(task) if mutants else []
    alive = [mutant for mutant in mutants if mutant.survives(cases)]
    survivors = [mutant for mutant in alive if (task.name, mutant.change) not in known]
    changes = {mutant.change for mutant in alive}
    stale = [change for name, change in known if name == task.name and change not in changes]
    return Score(task, len(mutants), len(alive) - len(survivors), survivors, stale)


def main(exercises: list[str]) -> int:
    total = killed = 0
    print(f"{'task':<34} {'noticed':>12}   equivalent")
    gaps = []
    for task in (task for name in exercises or checks.exercises() for task in checks.tasks(name)):
        row = score(task)
        total, killed = total + row.counted, killed + row.killed
        noticed = f"{row.killed} of {row.counted}" if row.total else "a value"
        print(f"{task.name:<34} {noticed:>12}   {row.equivalent or ''}", flush=True)
        gaps += [f"{task.name} ({mutant.answer})\n    {mutant.change}" for mutant in row.survivors]
        gaps += [f"{task.name}: listed as equivalent, but is not\n    {change}" for change in row.stale]
    share = f" ({killed / total:.1%})" if total else ""
    print(f"{'total':<34} {f'{killed} of {total}':>12}{share}")
    print(*gaps, sep="\n")
    return bool(gaps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
