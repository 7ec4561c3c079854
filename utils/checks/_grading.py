"""Comparing an answer with the reference of its task, case by case, and naming the mistake it shows."""

from __future__ import annotations

import contextlib
import copy
import functools
import linecache
import math
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ._compare import Missing, difference, is_blank, read
from ._tasks import Case, StudentError, Task, kind_of
from ._tensors import on_tensors

WIDTH = 100  # columns of a report

_NOT_ANSWERED = "Not answered yet."
_RETURNED_NONE = "Your function returns None: is it finished, with a `return` at its end?"
_CHANGED_INPUT = "The result is right, but your function changed the array it was given: work on a copy."


@dataclass(frozen=True)
class Item:
    """What one case of a task came to.

    message is "" where the case is right. misconception is the key of the mistake that the message
    explains, or "". blank is True where there was no answer to compare.
    """

    label: str
    points: float
    max_points: float
    message: str = ""
    misconception: str = ""
    blank: bool = False


@dataclass(frozen=True)
class Result:
    """The points of one answer, how they came about (`items`), and the report for the student (`text()`)."""

    name: str
    title: str
    section: str
    items: tuple[Item, ...]

    @property
    def points(self) -> float:
        return round(math.fsum(item.points for item in self.items), 9)

    @property
    def max_points(self) -> float:
        return round(math.fsum(item.max_points for item in self.items), 9)

    @property
    def misconceptions(self) -> list[str]:
        """Keys of the mistakes that were recognised, in the order of the cases."""
        return list(dict.fromkeys(item.misconception for item in self.items if item.misconception))

    def __float__(self) -> float:
        return float(self.points)

    def text(self) -> str:
        """The report: the title, a line for each case, what to do about those that fail, the points."""
        lines = [self.title]
        messages = {item.message for item in self.items}
        if all(item.blank for item in self.items) and len(messages) == 1:
            lines += _wrap(messages.pop(), "  ")
        else:
            previous = ""
            for item in self.items:
                mark = "--" if item.message else "ok"
                lines.append(f"  [{mark}] {item.label}: {item.points:g} of {item.max_points:g}")
                if item.message:
                    lines += _wrap("As above." if item.message == previous else item.message, " " * 7)
                    previous = item.message
            if self.points < self.max_points:
                lines += _wrap(f"To reread: {self.section}", "  ")
        lines.append(f"{self.points:g} of {self.max_points:g} points")
        return "\n".join(lines)


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def grade(task: Task, answer: object, seed: int = 0) -> Result:
    """Compare `answer` with the reference of `task` on the cases of `seed`. Prints nothing.

    answer is what the task asks for: a function, a value, or a dict of named values (a function of the
    name does as well). The same seed gives the same points. Whatever the answer does, no exception
    leaves this function, except KeyboardInterrupt; each case works on its own copy of the arguments.
    """
    cases = task.make_cases(seed)
    kind = kind_of(cases)
    if task.tensors and callable(answer):
        answer = on_tensors(answer)
    with _quiet():
        wants = [read(_call(task.reference, case)) for case in cases]
        gots = [_attempt(lambda case=case: _ask(answer, case, kind)) for case in cases]
        reasons = [_reason(*each, task) for each in zip(gots, wants, cases, strict=True)]
        for index, case in enumerate(cases):
            if case.keeps_inputs and not reasons[index] and _changes_input(answer, case):
                gots[index], reasons[index] = _Failure(_CHANGED_INPUT, StudentError), _CHANGED_INPUT
        keys = _explain(task, cases, gots, reasons)
    items = []
    for case, got, reason, key in zip(cases, gots, reasons, keys, strict=True):
        message = task.misconceptions[key].hint if key else reason
        blank = isinstance(got, _Failure) and got.blank
        points = 0.0 if reason else float(case.points)
        items.append(Item(case.label, points, float(case.points), message, key, blank))
    return Result(task.name, task.title, task.section, tuple(items))


@contextlib.contextmanager
def _quiet():
    """No warnings: an overflow in an answer shows as a wrong result, not as pages of red text."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _call(function: Callable, case: Case):
    """The function's value on a copy of the case's arguments, which it may overwrite."""
    args, kwargs = copy.deepcopy((case.args, dict(case.kwargs)))
    return function(*args, **kwargs)


def _changes_input(answer: object, case: Case) -> bool:
    """Does the answer overwrite what it is given?"""
    if not callable(answer):
        return False
    given = copy.deepcopy((case.args, dict(case.kwargs)))
    _attempt(lambda: answer(*given[0], **given[1]))
    return not _same(given, (case.args, dict(case.kwargs)))


def _same(after, before) -> bool:
    """Are the arrays in two arguments equal? Numbers, strings and functions cannot be overwritten."""
    if isinstance(before, np.ndarray):
        if not isinstance(after, np.ndarray) or after.dtype != before.dtype:
            return False
        return np.array_equal(after, before, equal_nan=before.dtype.kind in "fc")
    if isinstance(before, list | tuple):
        return len(after) == len(before) and all(map(_same, after, before))
    if isinstance(before, Mapping):
        return after.keys() == before.keys() and all(_same(after[key], before[key]) for key in before)
    return True


def _ask(answer: object, case: Case, kind: str):
    """The plain value that the answer gives for a case. May raise anything."""
    if is_blank(answer):
        raise _Blank(_NOT_ANSWERED)
    if callable(answer):
        value = read(_call(answer, case))
        if isinstance(value, Missing):
            raise _Blank(_RETURNED_NONE)
        return value
    if kind == "value":
        return read(answer)
    if kind == "function":
        raise StudentError(
            f"Got a value of type {type(answer).__name__}, expected a function: "
            "pass its name, without parentheses."
        )
    if not isinstance(answer, Mapping):
        raise StudentError(f"Got a value of type {type(answer).__name__}, expected a dict of named values.")
    key = case.args[0]
    if key not in answer:
        raise StudentError(f'The key "{key}" is missing.')
    value = read(answer[key])
    if isinstance(value, Missing):
        raise _Blank(_NOT_ANSWERED)
    return value


class _Blank(StudentError):
    """There is no answer yet."""


@dataclass(frozen=True)
class _Failure:
    """What an attempt came to that gave no value: a message, and the type of the exception."""

    message: str
    exception: type
    blank: bool = False


def _attempt(ask: Callable):
    """`ask()`, or a _Failure that says in words what it raised. Only KeyboardInterrupt passes through."""
    try:
        return ask()
    except KeyboardInterrupt:
        raise
    except _Blank as error:
        return _Failure(str(error), _Blank, blank=True)
    except NotImplementedError:
        return _Failure("Not implemented yet.", NotImplementedError, blank=True)
    except BaseException as error:
        elsewhere = error.kind if isinstance(error, StudentError) else None
        return _Failure(_describe_error(error), elsewhere or type(error))


def _describe_error(error: BaseException) -> str:
    """The exception in words, with the line of the student's code, however hostile its class is."""
    try:
        text = " ".join(str(error).split())
        # Addresses of objects differ from run to run.
        text = re.sub(r"0x[0-9a-fA-F]{4,}", "0x...", text)
        text = text if len(text) <= 200 else text[:197] + "..."
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = ""
    if isinstance(error, StudentError) and text:
        return text
    name = type(error).__name__
    message = f"Your code raised {name}" + (f": {text.rstrip('.')}." if text else ".")
    if isinstance(error, SystemExit):
        message = f"Your code raised {name}: a function gives its result back with `return`."
    if isinstance(error, RecursionError):
        message = f"Your code raised {name}: a function or a list that contains itself without end."
    line = _student_line(error)
    return f"{message} The line: `{line}`" if line else message


def _student_line(error: BaseException) -> str:
    """The innermost line of the traceback that was typed into a notebook, "" if there is none."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        # Cells have names such as <ipython-input-3-...>, .../ipykernel_12/34.py, .../ipython-input-5.py.
        if filename.startswith("<") or "ipykernel" in filename or "ipython-input" in filename:
            line = linecache.getline(filename, trace.tb_lineno).strip() or line
        trace = trace.tb_next
    return line if len(line) <= 80 else line[:77] + "..."


def _reason(got, want, case: Case, task: Task) -> str:
    if isinstance(got, _Failure):
        return got.message
    return difference(got, want, task.rtol, task.atol, task.same_dtype or case.same_dtype)


def _explain(task: Task, cases: list[Case], gots: list, reasons: list[str]) -> list[str]:
    """The key of the misconception that explains each failing case, "" where none does.

    A misconception that does on every case what the answer does explains best; then one that does so
    on every failing case; then, case by case, whichever gives the same value. First listed, first taken.
    """
    failing = [index for index, reason in enumerate(reasons) if reason]

    @functools.cache
    def behavior(key: str, index: int) -> tuple[bool, bool]:
        function = task.misconceptions[key].function
        wrong = _attempt(lambda: read(_call(function, cases[index])))
        return _compare_behavior(gots[index], wrong, cases[index], task)

    def equal(key: str, index: int) -> bool:
        return not isinstance(gots[index], _Failure) and behavior(key, index)[0]

    def alike(key: str, index: int) -> bool:
        return behavior(key, index)[1]

    candidates = [key for key in task.misconceptions if any(equal(key, index) for index in failing)]
    for scope in (range(len(cases)), failing):
        for key in candidates:
            if all(alike(key, index) for index in scope):
                return [key if index in failing and equal(key, index) else "" for index in range(len(cases))]
    return [
        next((key for key in candidates if equal(key, index)), "") if index in failing else ""
        for index in range(len(cases))
    ]


def _compare_behavior(got, wrong, case: Case, task: Task) -> tuple[bool, bool]:
    """(both give the same value, both do the same: give it, or raise the same type of exception)."""
    if isinstance(got, _Failure) or isinstance(wrong, _Failure):
        both = isinstance(got, _Failure) and isinstance(wrong, _Failure)
        return False, both and got.exception is wrong.exception
    equal = not difference(got, wrong, task.rtol, task.atol, task.same_dtype or case.same_dtype)
    return equal, equal
