"""Checks of the exercises: points and hints at once, in the notebook.

In a notebook:

    from utils.checks import check, summary

    check("ex03.conv2d", conv2d)     # prints points and hints, returns the points
    summary("ex03")                  # the points of every task so far

In `utils/checks/exNN.py`, an exercise declares its tasks with `Task`, `Case` and `Misconception`;
CONTRIBUTING.md shows how. `grade` compares without printing; `Result` is what it returns.

Needs Python and NumPy only, so it runs in Jupyter, on Colab and in a browser kernel.
"""

from ._grading import Item, Result, grade
from ._session import check, exercises, find, reset, summary, tasks
from ._tasks import Case, Misconception, StudentError, Task

__all__ = [
    "Case",
    "Item",
    "Misconception",
    "Result",
    "StudentError",
    "Task",
    "check",
    "exercises",
    "find",
    "grade",
    "reset",
    "summary",
    "tasks",
]
