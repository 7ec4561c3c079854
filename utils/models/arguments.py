"""Checks of the arguments that all networks take."""

from __future__ import annotations

__all__ = ["positive", "share"]


def positive(**arguments: int) -> None:
    """Raises ValueError for the first argument that is not a whole number of 1 or more."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, got {value!r}")


def share(**arguments: float) -> None:
    """Raises ValueError for the first argument that is not a number of [0, 1): a share such as dropout's."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"{name} must be at least 0 and less than 1, got {value!r}")
