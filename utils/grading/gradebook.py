"""Results into nbgrader's gradebook, on which its form grader, its late penalties and its exporters work.

    python -m utils.grading SUBMISSIONS -o RESULTS --gradebook gradebook.db

The assignment and the notebook are named like the released exercise ("03_convolution_layer"), the grade cells
like the check cells in it ("check_ex03_conv2d"): what nbgrader itself makes of the same exercise.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.grading.sandbox import ROOT


def released_name(exercise: str) -> str:
    """The name of an exercise's notebook without its ending, "03_convolution_layer" for "ex03"."""
    number = exercise.removeprefix("ex")
    return next(iter(sorted((ROOT / "exercises").glob(f"{number}_*.ipynb")))).stem


def identifier(student: str) -> str:
    """A student's identifier as nbgrader takes it: no slashes, not empty."""
    return re.sub(r"[\x00-\x1f/\\]+", "-", student).strip(" .") or "unknown"


@contextlib.contextmanager
def _programs_found() -> Iterator[None]:
    """nbgrader starts `alembic` by its name: let it be found where this Python keeps its programs."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        with warnings.catch_warnings():  # nbgrader's own, about how it asks its database
            warnings.simplefilter("ignore")
            yield
    finally:
        os.environ["PATH"] = before


def write(path: Path, records: list[dict[str, Any]]) -> int:
    """Write the records that count into the gradebook at `path`, made if it is not there.

    Points of manual grading and comments that stand there already are kept. Returns how many submissions were
    written.
    """
    from nbgrader.api import Gradebook

    counted = [r for r in records if r["counts"] and r["exercise"] and r["tasks"]]
    with _programs_found(), Gradebook(f"sqlite:///{Path(path).resolve()}") as book:
        for exercise in sorted({r["exercise"] for r in counted}):
            name = released_name(exercise)
            book.update_or_create_assignment(name)
            book.update_or_create_notebook(name, name)
            tasks = next(r["tasks"] for r in counted if r["exercise"] == exercise)
            for task in tasks:
                cell = "check_" + task["name"].replace(".", "_")
                book.update_or_create_grade_cell(
                    cell, name, name, max_score=task["max_points"], cell_type="code"
                )
        for record in counted:
            name, student = released_name(record["exercise"]), identifier(record["student"])
            book.update_or_create_student(student)
            book.update_or_create_submission(
                name, student, timestamp=datetime.datetime.fromisoformat(record["modified"])
            )
            for task in record["tasks"]:
                cell = "check_" + task["name"].replace(".", "_")
                grade = book.find_grade(cell, name, name, student)
                grade.auto_score = task["points"]
                grade.needs_manual_grade = False
        book.db.commit()
    return len(counted)
