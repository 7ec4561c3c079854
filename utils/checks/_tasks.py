"""What an exercise declares: tasks, the cases they are tried on, and the mistakes they know."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._tensors import on_tensors

_NAME = re.compile(r"ex\d\d\.[a-z]\w*")


class StudentError(Exception):
    """An answer gave no value that can be compared; the message says why, in words for the student.

    `grade` raises and catches it inside. A grader that runs the answer in another process hands
    `grade` a stand-in function that raises it for time-outs, crashes and the like; `kind` is then the type
    of the exception that the answer itself raised.
    """

    kind: type | None = None


@dataclass(frozen=True)
class Case:
    """One trial of an answer: `answer(*args, **kwargs)` is worth `points` if it equals the reference.

    args=() in the only case of a task asks for a value instead of a function. One string in args, in
    every case of a task, asks for a dict of named values (or for a function of the name).

    same_dtype     True: the dtype of an array must be that of the reference, in this case
    keeps_inputs   True: the answer must leave its arguments as they were, in this case. (Elsewhere it may
                   overwrite them: each case works on a copy.)

    Give such a case few points, so that an answer with the right numbers keeps the others.
    """

    label: str
    points: float
    args: tuple = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    same_dtype: bool = False
    keeps_inputs: bool = False

    def __post_init__(self):
        if not isinstance(self.args, tuple):
            raise ValueError(f"Case {self.label!r}: args is a {type(self.args).__name__}, expected a tuple")
        if not self.points > 0:
            raise ValueError(f"Case {self.label!r}: points is {self.points!r}, expected a number above 0")


@dataclass(frozen=True)
class Misconception:
    """A mistake that readers make: an answer with that mistake, and the hint that helps them out of it."""

    function: Callable
    hint: str


@dataclass(frozen=True)
class Task:
    """One graded task of an exercise.

    name           "ex03.conv2d": the exercise and the task
    title          heading of the task in the exercise and in the report
    section        section of the chapter to reread
    reference      the right answer: a function of what each case passes (of nothing, for a value).
                   It returns a number, an array, a string (a letter of a multiple choice), or a tuple,
                   list or dict of these
    cases          makes the cases from a `np.random.Generator`: fresh arrays for each seed
    misconceptions key -> Misconception, the most telling first
    alternatives   other right answers, which must score full marks (`tests/test_checks.py` tries them)
    rtol, atol     an entry is right if |got - expected| <= atol + rtol * |expected|. Answers in float32
                   or float16 get the slack that their precision needs. Where the reference is of an
                   integer type, rtol does not apply: counts are exact
    same_dtype     True: the dtype of an array must be that of the reference, in every case
    tensors        True: the arrays of a case reach every function of the task (the student's, reference,
                   misconceptions, alternatives) as PyTorch tensors of the same dtype
    """

    name: str
    title: str
    section: str
    reference: Callable
    cases: Callable[[np.random.Generator], list[Case]]
    misconceptions: Mapping[str, Misconception] = field(default_factory=dict)
    alternatives: Mapping[str, Callable] = field(default_factory=dict)
    rtol: float = 1e-6
    atol: float = 1e-8
    same_dtype: bool = False
    tensors: bool = False

    def __post_init__(self):
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"Task name is {self.name!r}, expected a name like 'ex03.conv2d'")
        for key, misconception in self.misconceptions.items():
            if not isinstance(misconception, Misconception):
                raise ValueError(
                    f"{self.name}: misconceptions[{key!r}] is a {type(misconception).__name__}, "
                    "expected a Misconception(function, hint)"
                )
        if self.tensors:
            self._take_arrays()

    def _take_arrays(self) -> None:
        """From here on the functions of the task take arrays and return arrays."""
        changed = {
            "reference": on_tensors(self.reference),
            "misconceptions": {
                key: Misconception(on_tensors(each.function), each.hint)
                for key, each in self.misconceptions.items()
            },
            "alternatives": {key: on_tensors(function) for key, function in self.alternatives.items()},
        }
        for name, value in changed.items():
            object.__setattr__(self, name, value)  # the class is frozen for everybody else

    def make_cases(self, seed: int = 0) -> list[Case]:
        """The cases of this task for one seed; the same seed gives the same cases."""
        return list(self.cases(np.random.default_rng(seed)))

    @property
    def points(self) -> float:
        """The most points this task gives."""
        return math.fsum(case.points for case in self.make_cases())

    @property
    def kind(self) -> str:
        """What the student passes: "function", "value", or "named values" (a dict)."""
        return kind_of(self.make_cases())


def kind_of(cases: list[Case]) -> str:
    """What a task with these cases asks for: "function", "value" or "named values"."""
    if any(case.kwargs for case in cases):
        return "function"
    if all(case.args == () for case in cases):
        return "value"
    if all(len(case.args) == 1 and isinstance(case.args[0], str) for case in cases):
        return "named values"
    return "function"
