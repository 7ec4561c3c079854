"""The arguments of the figures: checked, with an error that names what came and what was expected."""

from __future__ import annotations

from collections.abc import Sequence


def whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError unless value is an integer from low to high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}: got {value!r}, expected an integer from {low} to {high}")


def one_of(name: str, value: object, known: Sequence[str]) -> None:
    """Raise ValueError unless value is one of the known words."""
    if value not in known:
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(known)}")


def grid(name: str, rows: Sequence[Sequence[float]] | None, most: int) -> list[list[float]] | None:
    """Numbers in rows of equal length, as JSON takes them."""
    if rows is None:
        return None
    try:
        numbers = [[float(value) for value in row] for row in rows]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: got {rows!r}, expected rows of numbers") from None
    sizes = {len(numbers), *map(len, numbers)}
    if len({len(row) for row in numbers}) != 1 or min(sizes) < 1 or max(sizes) > most:
        raise ValueError(
            f"{name}: expected rows of equal length, 1 to {most} of them and in them, got {rows!r}"
        )
    return [[int(value) if value.is_integer() else value for value in row] for row in numbers]
