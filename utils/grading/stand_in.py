"""What `from utils.checks import check, summary` finds inside the sandbox: no answers, no cases.

`check` keeps what it is given; the grader asks for it later.
"""

from __future__ import annotations

from typing import Any

CHECKED: dict[str, Any] = {}


def check(name: str, answer: object) -> float:
    """Keep the answer for the grader."""
    if isinstance(name, str):
        CHECKED[name] = answer
    return 0.0


def summary(exercise: str) -> None:
    """The grader reports the points."""


def reset() -> None:
    """Nothing to forget."""
