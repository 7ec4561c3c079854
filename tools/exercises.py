"""Exercises: one text with answers becomes two notebooks, solution (full marks) and exercise (0 points).

python -m tools.exercises build [NAME ...] [--force] [--jobs N]    run what changed
python -m tools.exercises check                                    fail where a notebook is stale or edited

The answers are removed, and cells marked for grading, by nbgrader used as a library. So instructors can open
the notebooks in nbgrader's form grader; its executor and database play no part here.
"""

from __future__ import annotations

import ast
import copy
import importlib
import re

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions, ComputeChecksums, LockCells
from traitlets.config import Config

from tools.build import BuildError, Target
from tools.course import ROOT
from tools.notebooks import main

STUB = "# Your code here.\n..."


def exercises() -> list[Target]:
    """Every exercise of the book, twice: with its answers and without."""
    sources = sorted((ROOT / "book/exercises").glob("[0-9]*.md"))
    solved = [Target(s, ROOT / "solutions" / f"{s.stem}.ipynb", solution) for s in sources]
    blank = [Target(s, ROOT / "exercises" / f"{s.stem}.ipynb", exercise) for s in sources]
    return solved + blank


def solution(notebook: NotebookNode) -> NotebookNode:
    """The notebook with its answers, each cell marked with its role in grading (nbgrader metadata)."""
    notebook = mark_cells(copy.deepcopy(notebook))
    notebook.cells[0].source = notebook.cells[0].source.replace("# Exercise", "# Solution", 1)
    return notebook


def exercise(notebook: NotebookNode) -> NotebookNode:
    """The notebook that a student gets: a stub where the answers were, checks locked, checksums computed."""
    notebook = mark_cells(copy.deepcopy(notebook))
    settings = Config()
    settings.ClearSolutions.code_stub = {"python": STUB}
    for step in (ClearSolutions, LockCells, ComputeChecksums):
        notebook, _ = step(config=settings).preprocess(notebook, {})
        for cell in notebook.cells:  # at the top level of a cell, "..." would print Ellipsis
            cell.source = re.sub(f"^{re.escape(STUB)}$", STUB.splitlines()[0], cell.source, flags=re.M)
    return notebook


def mark_cells(notebook: NotebookNode) -> NotebookNode:
    """Turn the tags `solution` and `check` into nbgrader's metadata, with the points of each task."""
    pending: list[NotebookNode] = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            if "### BEGIN SOLUTION" not in cell.source or "### END SOLUTION" not in cell.source:
                raise BuildError(
                    f"a cell tagged `solution` has no BEGIN SOLUTION and END SOLUTION lines:\n{cell.source}"
                )
            pending.append(cell)
        elif "BEGIN SOLUTION" in cell.source:
            raise BuildError(f"a cell with a solution region lacks the tag `solution`:\n{cell.source}")
        elif "check" in tags:
            task = checked_task(cell.source)
            grade_id = task.replace(".", "_")
            for number, answer in enumerate(pending, start=1):
                suffix = "" if len(pending) == 1 else f"_{number}"
                answer.metadata["nbgrader"] = role(f"answer_{grade_id}{suffix}", solution=True)
            cell.metadata["nbgrader"] = role(f"check_{grade_id}", points=points_of(task))
            pending = []
    for cell in pending:  # after the last check: optional tasks, not graded
        cell.metadata["nbgrader"] = role(f"stretch_{cell['id']}", solution=True)
    return notebook


def role(grade_id: str, solution: bool = False, points: float | None = None) -> dict:
    """One cell's nbgrader metadata: an answer cell, or a check worth some points."""
    metadata = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    return metadata if points is None else {**metadata, "points": points}


def checked_task(code: str) -> str:
    """The task's name in a check cell whose last line is `check("ex03.conv2d", conv2d)`."""
    last = ast.parse(code).body[-1]
    match last:
        case ast.Expr(ast.Call(func=ast.Name("check"), args=[ast.Constant(str(name)), *_])):
            return name
    raise BuildError(f'a cell tagged `check` must end with check("exNN.task", answer); it is\n{code}')


def points_of(name: str) -> float:
    """What a task is worth, as `utils/checks/exNN.py` declares it."""
    module = importlib.import_module(f"utils.checks.{name.split('.')[0]}")
    for task in module.TASKS:
        if task.name == name:
            return float(task.points)
    raise BuildError(f"check({name!r}): utils/checks/{name.split('.')[0]}.py declares no such task")


if __name__ == "__main__":
    raise SystemExit(main(exercises, [ROOT / "solutions", ROOT / "exercises"], __doc__))
