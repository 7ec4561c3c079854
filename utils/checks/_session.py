"""What a notebook calls: `check` for one task, `summary` for the exercise."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re

from ._grading import WIDTH, Result, grade
from ._tasks import Task

_latest: dict[str, Result] = {}  # the last result of each task in this session


def exercises() -> list[str]:
    """Names of the exercises that have checks: ["ex01", "ex02", ...]."""
    package = importlib.import_module(__package__)
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in names if re.fullmatch(r"ex\d\d", name))


def tasks(exercise: str) -> tuple[Task, ...]:
    """The tasks of an exercise, in the order of its notebook."""
    if exercise not in exercises():
        raise ValueError(f'There is no exercise "{exercise}". There are: {", ".join(exercises()) or "none"}.')
    return tuple(importlib.import_module(f"{__package__}.{exercise}").TASKS)


def find(name: str) -> Task:
    """The task with this name, such as "ex03.conv2d". An unknown name raises ValueError with near names."""
    exercise = str(name).partition(".")[0]
    known = {task.name: task for task in (tasks(exercise) if exercise in exercises() else ())}
    if name in known:
        return known[name]
    if not known:
        known = {task.name: task for exercise in exercises() for task in tasks(exercise)}
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.75) or list(known)
    question = f" Did you mean {_either(near)}?" if near else ""
    raise ValueError(f'There is no task "{name}".{question}')


def _either(names: list[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]


def check(name: str, answer: object) -> float:
    """Print points and hints for the answer to a task, and return the points.

    name is that of the task, such as "ex03.conv2d"; answer is the function, value or dict it asks for.
    Never raises, whatever the answer is or does, except KeyboardInterrupt. The result counts in `summary`.
    """
    try:
        task = find(name) if isinstance(name, str) else None
        if task is None:
            print('The first argument is the name of the task, in quotes: check("ex03.conv2d", conv2d).')
            return 0.0
    except ValueError as error:
        print(error)
        return 0.0
    result = grade(task, answer)
    _latest[task.name] = result
    print(result.text())
    return float(result)


def summary(exercise: str) -> None:
    """Print the points of each task of an exercise, as last checked in this session, and their total."""
    try:
        rows = [(task.title, task.points, _latest.get(task.name)) for task in tasks(exercise)]
    except ValueError as error:
        print(error)
        return
    total = sum(result.points for _, _, result in rows if result)
    width = min(WIDTH - 30, max(len("Total"), *(len(title) for title, _, _ in rows)))
    print(f"Exercise {int(exercise[2:])}")
    for title, most, result in rows:
        got = result.points if result else 0.0
        note = "" if result else "  (not checked yet)"
        print(f"  {title:<{width}}  {got:4g} of {most:g}{note}")
    print(f"  {'Total':<{width}}  {round(total, 9):4g} of {sum(most for _, most, _ in rows):g}")


def reset() -> None:
    """Forget the results of this session."""
    _latest.clear()
