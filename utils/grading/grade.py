"""One submission in, one record out. `grade_one` keeps no state: it runs here, in a pool, or on a cluster."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import importlib.util
import re
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from utils.checks import StudentError, Task, exercises, grade, tasks
from utils.grading import notebook, wire
from utils.grading.sandbox import Limits
from utils.grading.session import Dead, Session, TimedOut

MAX_DEATHS = 12  # restarts of one submission
MAX_FLAGS = 5  # remarks about one submission

_EXCEPTIONS = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a grading run depends on, besides the submissions.

    seed        of the hidden cases; the same seed gives the same points
    sandbox     "bwrap", "docker" or "rlimit"
    exercise    such as "ex03"; None: read from each notebook
    all_cells   run every cell; False: first those that the answers need, and all where points are missing
    cases       path of a Python file with CASES = {"ex03.conv2d": function of a Generator -> list of Case},
                which take the place of the published ones
    """

    seed: int = 0
    sandbox: str = "bwrap"
    limits: Limits = dataclasses.field(default_factory=Limits)
    exercise: str | None = None
    cases: str | None = None
    all_cells: bool = False


def grade_one(path: str | Path, settings: Settings = Settings()) -> dict[str, Any]:
    """Grade one notebook. Returns a record that JSON can hold; raises nothing that a submission could cause.

    The record: exercise, points, max_points, status ("graded", or why not), tasks (name, title, section,
    points, max_points, items with label, points, max_points, message, misconception; text, the report), cells
    (number and message of each cell that failed), flags (for the instructor), seconds, cpu_seconds, sha256 of
    the file, seed.
    """
    began, cpu, path = time.monotonic(), time.process_time(), Path(path)
    record: dict[str, Any] = {"exercise": settings.exercise, "status": "graded", "cells": [], "flags": []}
    record |= {"sha256": _sha256(path), "seed": settings.seed, "tasks": []}
    try:
        submitted = notebook.read(path)
        exercise = settings.exercise or submitted.exercise
        if exercise is None:
            raise notebook.UnreadableError("It is not clear which exercise this is: no check names one.")
        if exercise not in exercises():
            raise notebook.UnreadableError(f"There is no exercise {exercise[2:]}.")
        record["exercise"] = exercise
        cells = list(submitted.cells)
        record["flags"] += _flags(cells, exercise)
    except (notebook.UnreadableError, OSError) as error:
        record["status"] = str(error)
        cells = None
    if record["exercise"] is not None:
        record["tasks"], failed, seconds = _grade_tasks(cells, record["exercise"], settings)
        record["cells"] = [{"cell": i, "message": m} for i, m in sorted(failed.items())]
        cpu -= seconds
    for key in ("points", "max_points"):
        record[key] = round(sum(task[key] for task in record["tasks"]), 6)
    record["seconds"] = round(time.monotonic() - began, 2)
    record["cpu_seconds"] = round(time.process_time() - cpu, 2)  # ours, and the submission's
    return clean(record)


def clean(value: Any) -> Any:
    """A record whose texts can be written and shown: no half characters, no control or direction marks.

    A submission words its own error messages; unclean, they could move a terminal's cursor, or stop the
    writing of everybody's results.
    """
    if isinstance(value, str):
        return value if value.isprintable() else "".join(map(_clean_character, value))
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    return value


def _clean_character(character: str) -> str:
    return character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"


def _grade_tasks(cells, exercise: str, settings: Settings) -> tuple[list[dict], dict[int, str], float]:
    """The records of the tasks, the cells that failed, the CPU seconds of the submission.

    First only what the answers need runs. Where points are missing and something of the student's own was
    left out, the whole notebook runs, and the better result counts for each task.
    """
    all_tasks = _tasks(exercise, settings.cases)
    end = time.monotonic() + settings.limits.total
    with Answers(cells, exercise, settings, end, settings.all_cells) as answers:
        records = [_grade_task(task, answers) for task in all_tasks]
    failed, seconds = answers.failed, answers.cpu_seconds
    if answers.left_out and any(r["points"] < r["max_points"] for r in records):
        with Answers(cells, exercise, settings, end, all_cells=True) as answers:
            for i, task in enumerate(all_tasks):
                if records[i]["points"] < records[i]["max_points"]:
                    records[i] = max(_grade_task(task, answers), records[i], key=lambda r: r["points"])
        failed, seconds = failed | answers.failed, seconds + answers.cpu_seconds
    return records, failed, seconds


def _sha256(path: Path) -> str:
    """The hash of a file's content, "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _tasks(exercise: str, cases: str | None) -> list[Task]:
    """The tasks of an exercise, with the instructor's own cases where there are some."""
    own = own_cases(cases) if cases else {}
    return [
        dataclasses.replace(task, cases=own[task.name]) if task.name in own else task
        for task in tasks(exercise)
    ]


@cache
def own_cases(path: str) -> dict:
    """CASES of the instructor's file."""
    spec = importlib.util.spec_from_file_location("own_cases", path)
    if spec is None or not Path(path).is_file():
        raise ValueError(f"cases: expected a Python file, found none at {path!r}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "CASES", None), dict):
        raise ValueError(f'cases: {path} defines no CASES = {{"ex03.conv2d": function, ...}}')
    return module.CASES


def _flags(cells: list[tuple[int, str]], exercise: str) -> list[str]:
    """What an instructor may want to look at; it costs no points."""
    known = {line.strip() for cell in notebook.released_cells(exercise) for line in cell.splitlines()}
    found = []
    for number, source in cells:
        for line in source.splitlines():
            words = line.strip()
            if words not in known and "utils" in words and words.startswith(("from utils", "import utils")):
                found.append(f"cell {number + 1} adds `{words[:80]}`")
    return found[:MAX_FLAGS] + ["and more of these"] * (len(found) > MAX_FLAGS)


def _grade_task(task: Task, answers: Answers) -> dict[str, Any]:
    """The record of one task: the better of the variable at the end and what `check` was given."""
    results = [grade(task, answers.get(task, "variable"), answers.settings.seed)]
    if results[0].points < results[0].max_points:
        checked = answers.get(task, "checked")
        if checked is not None:
            results.append(grade(task, checked, answers.settings.seed))
    best = max(results, key=lambda result: result.points)
    return {
        "name": task.name,
        "title": task.title,
        "section": task.section,
        "points": best.points,
        "max_points": best.max_points,
        "items": [dataclasses.asdict(item) for item in best.items],
        "text": best.text(),
    }


class Answers:
    """The answers of a submission, run in the sandbox when they are first asked for.

    `failed` tells which cells raised, or ended the process: number -> message.
    """

    def __init__(self, cells, exercise: str, settings: Settings, end: float, all_cells: bool):
        self.cells, self.settings, self.end, self.all_cells = cells, settings, end, all_cells
        self.names = notebook.answers(exercise)
        self.released = notebook.released_cells(exercise)
        self.left_out: set[int] = set()  # cells of the student's own that did not run as a whole
        self.session: Session | None = None
        self.failed: dict[int, str] = {}
        self.skipped: set[int] = set()  # cells that ended the process: not run again
        self.deaths = 0
        self.cpu_seconds = 0.0

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *exception) -> None:
        if self.session:
            self._end(self.session)

    def _end(self, session: Session) -> None:
        session.close()
        self.cpu_seconds += session.cpu_seconds

    def get(self, task: Task, which: str) -> Any:
        """What to hand to `grade`: a stand-in for a function, a plain value, or None where there is none."""
        question = {"name": self.names.get(task.name, ""), "which": which, "task": task.name}
        try:
            if self.cells is None:
                return None
            reply, buffers = self.ask({"do": "look", **question})
            if "undefined" in reply:
                return self._why_undefined(question["name"]) if which == "variable" else None
            if "function" in reply:
                return Remote(self, question | {"tensors": task.tensors})
            if "entries" in reply:
                return Entries(reply["entries"], buffers)
            return _value(reply, buffers)
        except StudentError as error:
            return _raiser(error)

    def _why_undefined(self, name: str) -> Any:
        """None for an answer that is not there; a stand-in that says why where its cell failed."""
        made = re.compile(rf"^[ \t]*(def[ \t]+{re.escape(name)}\b|{re.escape(name)}[ \t]*=)", re.MULTILINE)
        for number, source in self.cells or []:
            if number in self.failed and made.search(source):
                words = f"`{name}` is missing: its cell did not run to its end. {self.failed[number]}"
                return _raiser(StudentError(words))
        return None

    def ask(self, message: dict, buffers: list[bytes] = ()) -> tuple[dict, list[bytes]]:
        """Ask the worker; start it before if there is none. Raises StudentError in words for the student."""
        if self.session is None:
            self._start()
        try:
            return self.session.ask(message, buffers, self._seconds(self.settings.limits.call))
        except Dead:
            self._end(self.session)
            self.session = None
            self.deaths += 1
            raise

    def _seconds(self, most: float) -> float:
        """How long the next step may take."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise StudentError(f"The notebook as a whole took more than {self.settings.limits.total:g} s.")
        return min(most, left)

    def _start(self) -> None:
        """Start a worker and run the cells, except those that ended an earlier one."""
        while True:
            if self.deaths > MAX_DEATHS:
                raise StudentError("The process ended too often.")
            number, started = None, False
            session = Session(self.settings.sandbox, self.settings.limits)
            try:
                session.ask(
                    {"do": "start", "limits": self.settings.limits.resources()}, (), self._seconds(60)
                )
                started = True
                for number, source in self._chosen(session):
                    seconds = self._seconds(self.settings.limits.cell)
                    reply, _ = session.ask({"do": "run", "source": source, "number": number}, (), seconds)
                    if error := reply.get("error"):
                        self.failed[number] = _words(error)
                self.session = session
                return
            except Dead as error:
                self._end(session)
                self.deaths += 1
                if not started:
                    raise StudentError("The sandbox did not start.") from error
                if number is None:  # it did not survive the search for what is needed
                    self.all_cells = True
                    continue
                self.skipped.add(number)
                self.failed[number] = f"{error} The cell was left out."
            except BaseException:
                self._end(session)
                raise

    def _chosen(self, session: Session) -> list[tuple[int, str]]:
        """The cells to run: all, or those that the answers need."""
        cells = [(number, source) for number, source in self.cells if number not in self.skipped]
        if self.all_cells:
            return cells
        message = {"do": "plan", "cells": cells, "names": sorted(set(self.names.values()))}
        reply, _ = session.ask(message, (), self._seconds(self.settings.limits.call))
        run, left_out = (reply.get(key) for key in ("run", "left out"))
        if not isinstance(run, list) or not isinstance(left_out, list):
            return cells
        own = {number for number, source in cells if source.strip() not in self.released}
        self.left_out |= {number for number in own if number in left_out}
        return [(number, source) for number, source in cells if number in run]


class Remote:
    """Stands for a function of the submission: calls travel into the sandbox, values come back."""

    def __init__(self, answers: Answers, question: dict):
        self.answers, self.question = answers, question
        self.broken: str | None = None
        self.takes_arrays = True  # tensors are made in the sandbox

    def __call__(self, *args, **kwargs):
        if self.broken:  # after one time-out or crash, the other cases of this task are not tried
            raise StudentError(self.broken)
        buffers: list[bytes] = []
        sent = {"args": wire.encode(args, buffers), "kwargs": wire.encode(kwargs, buffers)}
        try:
            reply, parts = self.answers.ask({"do": "call", **self.question, **sent}, buffers)
        except TimedOut as error:
            self.broken = "Not tried: an earlier case of this task ran out of time."
            raise StudentError(str(error)) from error
        except Dead as error:
            self.broken = "Not tried: an earlier case of this task ended the process."
            raise StudentError(str(error)) from error
        if reply.get("changed") is True:
            _mark_changed(args)
        return _value(reply, parts)


def _mark_changed(args: tuple) -> None:
    """The submission overwrote its arguments: do as much to ours, so that the check sees it."""
    for value in args:
        if isinstance(value, np.ndarray) and value.size:
            value.flat[0] += 1


class Entries(Mapping):
    """A dict of named values; an entry that could not be read raises when it is asked for."""

    def __init__(self, entries: Any, buffers: list[bytes]):
        pairs = entries if isinstance(entries, list) else []
        self.replies = {
            p[0]: p[1] for p in pairs if isinstance(p, list) and len(p) == 2 and type(p[0]) is str
        }
        self.buffers = buffers

    def __getitem__(self, key: str) -> Any:
        return _value(self.replies[key], self.buffers)

    def __iter__(self) -> Iterator[str]:
        return iter(self.replies)

    def __len__(self) -> int:
        return len(self.replies)


def _value(reply: Any, buffers: list[bytes]) -> Any:
    """The plain value of a reply; where the submission raised, StudentError with its words and kind."""
    if not isinstance(reply, dict):
        raise StudentError("The answer could not be read.")
    if "ok" in reply:
        try:
            return wire.decode(reply["ok"], buffers, lists=False)
        except wire.WireError as error:
            raise StudentError(f"The answer could not be read ({error}).") from error
    error = StudentError(_words(reply.get("words")))
    raised = reply.get("raised")
    error.kind = _EXCEPTIONS.get(raised, StudentError) if isinstance(raised, str) else StudentError
    raise error


def _words(said: Any) -> str:
    """What a submission says went wrong; it may have sent anything."""
    return said[:500] if isinstance(said, str) else "The answer could not be read."


def _raiser(error: StudentError):
    """A stand-in that raises whenever it is asked."""

    def answer(*args, **kwargs):
        raise error

    return answer
