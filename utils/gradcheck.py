"""Gradient checking: is this backward the derivative of that forward?

A backward is right when, for a random upstream gradient g, its result at every entry x_i equals

    d(sum of g y) / dx_i  ≈  sum of g (y(x_i + h) - y(x_i - h)) / (2 h)

The central difference is wrong by about h^2 (y bends) plus 1e-16 / h (numbers are rounded), which together
are least near h = 1e-5. A one-sided difference is wrong by about h, and could not tell a small mistake from
that. The difference is chapter 4, (4.3), and its errors are (4.21) and (4.22). The upstream gradient is
random because one of ones hides mistakes: outputs in the wrong order, say.

At a kink (ReLU at 0, two equal pixels in a maximum) there is no derivative, and the central difference is the
mean of two slopes. The report warns where the slopes to the left and to the right differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Check", "GradientError", "Report", "gradcheck", "numerical_gradient"]

STEP = 1e-5  # times max(1, |x|)
KINK = 1e-3  # one-sided slopes that differ by this share of the largest gradient meet at a kink


class GradientError(AssertionError):
    """Raised by `gradcheck(..., raise_on_error=True)`; its text is the report."""


@dataclass
class Check:
    """What was found at one input."""

    name: str
    shape: tuple[int, ...]
    checked: int  # how many entries were compared
    error: float  # the largest relative error
    index: tuple[int, ...]  # of the entry where it is
    analytic: float  # its gradient as the backward says
    numeric: float  # and as the difference says
    kinks: list[tuple[int, ...]] = field(default_factory=list)  # entries where both one-sided slopes differ
    problem: str = ""  # a wrong shape, say; then nothing was compared


@dataclass
class Report:
    """The checks of all inputs; `print` shows a table, `passed` is True when every error is in tolerance."""

    checks: list[Check]
    tolerance: float

    @property
    def worst(self) -> Check:
        """The check with the largest error."""
        return max(self.checks, key=lambda check: check.error)

    @property
    def passed(self) -> bool:
        return bool(self.worst.error <= self.tolerance)

    def __str__(self) -> str:
        lines = [
            f"{'input':<12}{'entries':>9}{'worst error':>13}   {'at':<16}{'backward':>14}{'difference':>14}"
        ]
        for c in self.checks:
            where = str(list(c.index))
            numbers = f"{c.checked:>9,}{c.error:13.1e}   {where:<16}{c.analytic:14.6g}{c.numeric:14.6g}"
            lines.append(f"{c.name:<12}{c.problem or numbers}")
            if c.kinks:
                some = ", ".join(str(list(index)) for index in c.kinks[:3]) + (", ..." if c.kinks[3:] else "")
                lines.append(f"    kink: left and right slope differ at {len(c.kinks)} of them: {some}")
        return "\n".join([*lines, self._verdict()])

    def _verdict(self) -> str:
        if self.passed:
            return f"right (tolerance {self.tolerance:.0e})"
        text = f"WRONG, look at {self.worst.name} (tolerance {self.tolerance:.0e})"
        if self.worst.index in self.worst.kinks:
            text += "; but the worst entry stands at a kink, where there is no derivative: try other numbers"
        return text

    def __repr__(self) -> str:
        return str(self)


def gradcheck(
    function: Callable,
    backward: Callable,
    *inputs: ArrayLike,
    names: Sequence[str] | None = None,
    tolerance: float = 1e-6,
    step: float = STEP,
    seed: int = 0,
    max_entries: int | None = None,
    raise_on_error: bool = False,
) -> Report:
    """Compare `backward` with central differences of `function`, in float64.

    function    function(*inputs) returns y, an array or a number; of a tuple (y, ...) only y counts
    backward    backward(grad_output, *inputs) returns the gradient, or a tuple of them in the order of the
                inputs; None, or a tuple that ends early, leaves inputs unchecked
    inputs      arrays; floats are copied to float64, integers (labels, say) are passed on and not checked
    names       of the inputs, for the report; x0, x1, ... by default
    tolerance   for the relative error |a - n| / max(|a|, |n|, 1e-3 of the largest |n| of that input):
                chapter 4, (4.23)
    step        h = step max(1, |x_i|)
    max_entries    check this many random entries of each input instead of all; every entry costs two calls
    raise_on_error    raise GradientError with the report when the check fails
    returns     Report

    Raises ValueError when there is no input to check or y has no entries.
    """
    inputs = [_to_float64(x) for x in inputs]
    names = [f"x{i}" for i in range(len(inputs))] if names is None else list(names)
    rng = np.random.default_rng([seed, 1])  # other numbers than inputs from default_rng(seed) hold
    y = _output(function, inputs)
    if not y.size:
        raise ValueError(f"function must return at least one number to check, got shape {y.shape}")
    grad_output = rng.normal(size=y.shape)
    gradients = backward(grad_output if y.ndim else float(grad_output), *inputs)
    gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)

    checks = []
    for i, (name, gradient) in enumerate(zip(names, gradients, strict=False)):
        if gradient is not None and inputs[i].dtype.kind == "f" and inputs[i].size:
            entries = _choose(inputs[i].size, max_entries, rng)
            checks.append(
                _compare(function, inputs, i, name, np.asarray(gradient), grad_output, entries, step)
            )
    if not checks:
        raise ValueError("backward must return the gradient of at least one float input, got none")
    report = Report(checks, tolerance)
    if raise_on_error and not report.passed:
        raise GradientError(f"\n{report}")
    return report


def numerical_gradient(
    function: Callable[[np.ndarray], ArrayLike],
    x: ArrayLike,
    grad_output: ArrayLike | None = None,
    step: float = STEP,
) -> np.ndarray:
    """The gradient of sum(grad_output function(x)) by central differences, float64, shape of x.

    Chapter 4, (4.3).

    grad_output    the shape of function(x); None stands for 1, when function returns one number
    """
    x = _to_float64(x)
    g = np.float64(1) if grad_output is None else np.asarray(grad_output, np.float64)
    gradient = np.zeros_like(x)
    for entry in range(x.size):
        gradient.flat[entry] = np.mean(_slopes(function, [x], 0, entry, g, step))
    return gradient


# --- steps -------------------------------------------------------------------------------------------


def _compare(function, inputs, i, name, gradient, grad_output, entries, step) -> Check:
    """Compare the gradient of input i with differences at the given entries, by the error of (4.23)."""
    x = inputs[i]
    if gradient.shape != x.shape:
        problem = f"the gradient must have the shape of the input, {x.shape}, got {gradient.shape}"
        return Check(name, x.shape, 0, np.inf, (), np.nan, np.nan, problem=problem)
    slopes = np.array([_slopes(function, inputs, i, entry, grad_output, step) for entry in entries])
    numeric, analytic = slopes.mean(1), gradient.ravel()[entries].astype(np.float64)
    scale = 1e-3 * np.abs(numeric).max() + 1e-12
    error = np.abs(analytic - numeric) / np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), scale)
    error = np.where(np.isfinite(analytic), error, np.inf)
    bend = np.abs(slopes[:, 0] - slopes[:, 1]) > KINK * np.abs(slopes).max() + 1e-12
    kinks = [_index(entry, x.shape) for entry in entries[bend]]
    w = error.argmax()
    index = _index(entries[w], x.shape)
    return Check(
        name, x.shape, len(entries), float(error[w]), index, float(analytic[w]), float(numeric[w]), kinks
    )


def _slopes(function, inputs, i, entry, grad_output, step) -> tuple[float, float]:
    """The slopes of sum(grad_output y) at one entry of input i: to the left and to the right.

    The outputs are subtracted before they are summed, so that those which do not move cancel exactly.
    """
    x = inputs[i]
    value = x.flat[entry]
    h = step * max(1.0, abs(value))
    outputs, places = [], (value - h, value, value + h)
    for place in places:
        x.flat[entry] = place
        outputs.append(np.array(_output(function, inputs)))  # a copy: y may be a view of x
    x.flat[entry] = value
    low, middle, high = outputs
    left = np.sum(grad_output * (middle - low)) / (places[1] - places[0])
    right = np.sum(grad_output * (high - middle)) / (places[2] - places[1])
    return float(left), float(right)


def _output(function, inputs) -> np.ndarray:
    y = function(*inputs)
    return np.asarray(y[0] if isinstance(y, tuple) else y, np.float64)


def _to_float64(x) -> np.ndarray:
    x = np.asarray(x)
    return x.astype(np.float64, order="C") if x.dtype.kind == "f" else x


def _choose(size, max_entries, rng) -> np.ndarray:
    if max_entries is None or max_entries >= size:
        return np.arange(size)
    return np.sort(rng.choice(size, max_entries, replace=False))


def _index(entry, shape) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(entry, shape))
