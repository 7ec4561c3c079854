"""What `from utils.checks import check, summary` finds inside the sandbox: no answers, no cases.

`check` keeps what it is given, as it is at that moment; the grader asks for it later.
"""

from __future__ import annotations

import types
from typing import Any

CHECKED: dict[str, Any] = {}


def check(name: str, answer: object) -> float:
    """Keep the answer for the grader."""
    if isinstance(name, str):
        CHECKED[name] = as_it_is(answer)
    return 0.0


def as_it_is(answer: object) -> object:
    """A function with the helpers and constants that it finds now: later cells may give their names away."""
    if not isinstance(answer, types.FunctionType):
        return answer
    now = dict(answer.__globals__)
    for name, value in now.items():
        if isinstance(value, types.FunctionType) and value.__globals__ is answer.__globals__:
            now[name] = _moved(value, now)
    return _moved(answer, now)


def _moved(function: types.FunctionType, names: dict[str, Any]) -> types.FunctionType:
    """The same function among other global names."""
    twin = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__dict__.update(function.__dict__)
    return twin


def summary(exercise: str) -> None:
    """The grader reports the points."""


def reset() -> None:
    """Nothing to forget."""
