"""Reading an answer, whatever it is, and saying how it differs from the right one, without telling it.

Answers come from code that nobody has read. So there are two steps. `read` turns what came into plain
values: base-class NumPy arrays of numbers, strings, and tuples and dicts of these. It may meet hostile
objects and may raise anything; its caller catches. `difference` then works on plain values only.
"""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Iterator, Mapping

import numpy as np

from ._tasks import StudentError
from ._tensors import is_tensor

# How far two right answers drift apart in low precision: in each entry relative to its size, and, because
# sums cancel, relative to the largest entry as well.
_SLACK = {np.dtype(np.float32): 2e-5, np.dtype(np.complex64): 2e-5, np.dtype(np.float16): 1e-2}

_NUMBER_KINDS = "biufc"  # bool, int, unsigned int, float, complex: the letters of np.dtype.kind
_COPY_LIMIT = 2**27  # bytes; larger answers are compared where they are


class Missing:
    """Stands in plain values where the answer had None or `...`."""

    def __init__(self, word: str):
        self.word = word


def is_blank(value: object) -> bool:
    """True for what an exercise holds before it is answered: None or `...`."""
    return value is None or value is Ellipsis


def read(value: object) -> np.ndarray | str | tuple | dict | Missing:
    """The plain value of an answer: arrays of numbers, strings, and tuples and dicts of these.

    Takes Python and NumPy numbers, arrays, whatever has `__array__` (PyTorch tensors, on any device), nested
    lists and tuples, ranges, strings, dicts. Raises StudentError for the rest.
    """
    if is_blank(value):
        return Missing("None" if value is None else "...")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.ndarray | np.generic | numbers.Number | decimal.Decimal):
        return _read_array(value)
    if isinstance(value, Mapping):
        return {key: read(item) for key, item in dict(value).items()}
    if isinstance(value, list | range):
        try:
            array = np.asarray(value)
        except Exception:
            array = None  # rows of unequal length
        if array is not None and array.dtype.kind in _NUMBER_KINDS:
            return array
    if isinstance(value, list | tuple):
        return tuple(read(item) for item in value)
    if hasattr(type(value), "__array__"):
        return _read_array(np.asarray(value.detach().cpu() if is_tensor(value) else value))
    kind = type(value).__name__
    if isinstance(value, Iterator):
        raise StudentError(f"Got a {kind}, which makes its values later: pass a list or an array of them.")
    if isinstance(value, set | frozenset):
        raise StudentError(f"Got a {kind}, which has no order: pass a list or an array.")
    raise StudentError(f"Got a value of type {kind}, expected numbers.")


def _read_array(value: object) -> np.ndarray:
    array = np.asarray(value)  # drops subclasses, and what their methods might do
    if array.dtype.kind == "U" and array.ndim == 0:
        return str(array)
    if array.dtype.kind == "O":
        # Fractions, decimals and integers beyond 64 bits are numbers too.
        if not all(isinstance(entry, numbers.Number | decimal.Decimal) for entry in array.flat):
            raise StudentError("Got an array of objects (dtype object), expected numbers.")
        array = array.astype(float)
    if array.dtype.kind not in _NUMBER_KINDS:
        raise StudentError(f"Got an array of dtype {array.dtype}, expected numbers.")
    return np.array(array) if array.nbytes <= _COPY_LIMIT else array


def difference(got, want, rtol: float, atol: float, same_dtype: bool = False) -> str:
    """How the plain value `got` differs from the plain value `want`; "" if it does not.

    The sentence names the first thing that is off (what is missing, type, shape, dtype, nan, values) and
    never a number of `want`, except its shape and dtype.
    """
    if isinstance(got, Missing):
        return f"Got {got.word} instead of a value."
    if isinstance(want, str):
        return _text_difference(got, want)
    if isinstance(want, dict):
        return _dict_difference(got, want, rtol, atol, same_dtype)
    if isinstance(want, tuple):
        return _tuple_difference(got, want, rtol, atol, same_dtype)
    return _array_difference(got, want, rtol, atol, same_dtype)


def describe(value) -> str:
    """A plain value in words, its numbers left out: "a tuple of 2 values", "an array of shape (3, 4)"."""
    if isinstance(value, Missing):
        return value.word
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return f"a dict of {len(value)} value{'s' * (len(value) != 1)}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} value{'s' * (len(value) != 1)}"
    return "a single number" if value.shape == () else f"an array of shape {value.shape}"


def _text_difference(got, want: str) -> str:
    if not isinstance(got, str):
        return f'Got {describe(got)}, expected text in quotes, such as "a".'
    return "" if _bare(got) == _bare(want) else "This is not the answer we get."


def _bare(text: str) -> str:
    """Text as it is compared: "A", " a " and "a)" are the same choice."""
    return " ".join(text.split()).strip(" .()'\"").casefold()


def _dict_difference(got, want: dict, *how) -> str:
    if not isinstance(got, dict):
        return f"Got {describe(got)}, expected {describe(want)}."
    for key, value in want.items():
        if key not in got:
            return f"The key {key!r} is missing."
        if reason := difference(got[key], value, *how):
            return f"Value {key!r}: {reason}"
    return ""


def _tuple_difference(got, want: tuple, *how) -> str:
    rows = isinstance(got, np.ndarray) and got.ndim > 0  # one array, whose rows are the values
    if not rows and not isinstance(got, tuple):
        return f"Got {describe(got)}, expected {describe(want)}."
    if len(got) != len(want):
        return f"Got {len(got)} value{'s' * (len(got) != 1)}, expected {len(want)}."
    got = [np.asarray(row) for row in got] if rows else got
    reasons = [difference(one, other, *how) for one, other in zip(got, want, strict=True)]
    wrong = [number for number, reason in enumerate(reasons, 1) if reason]
    if not wrong:
        return ""
    if len(wrong) > 1 and len({reasons[number - 1] for number in wrong}) == 1:
        return f"{len(wrong)} of {len(want)} values are wrong, each so: {reasons[wrong[0] - 1]}"
    return f"Value {wrong[0]} of {len(want)}: {reasons[wrong[0] - 1]}"


def _array_difference(got, want: np.ndarray, rtol: float, atol: float, same_dtype: bool) -> str:
    if isinstance(got, tuple):
        got = _stack(got)
    if not isinstance(got, np.ndarray):
        return f"Got {describe(got)}, expected {describe(want)}."
    if got.shape != want.shape:
        if got.shape == () or want.shape == ():
            return f"Got {describe(got)}, expected {describe(want)}."
        return f"Got an array of shape {got.shape}, expected shape {want.shape}."
    if same_dtype and got.dtype != want.dtype:
        return f"Got dtype {got.dtype}, expected {want.dtype}."
    if got.dtype.kind == "c" and want.dtype.kind != "c":
        return f"Got complex numbers (dtype {got.dtype}), expected real ones."
    close = _close(got, want, rtol, atol)
    if close.all():
        return ""
    got_number, want_number = np.isfinite(got), np.isfinite(want)
    if (want_number & ~got_number).any():
        return "The result is nan or inf." if want.shape == () else "The result contains nan or inf."
    if want.shape == ():
        whole = want.dtype.kind in "biu" or want == np.round(want)
        if not whole and _close(got, want, max(rtol, 0.02), atol):
            return "Close, but not close enough: keep more digits."
        return "This is not the number we get."
    wrong = close.size - int(np.count_nonzero(close))
    if wrong == close.size:
        return "The shape is right; every entry differs from ours."
    return f"The shape is right; {wrong / close.size:.0%} of the entries differ from ours."


def _stack(values: tuple):
    """A tuple of numbers or of equally shaped arrays as one array; the tuple itself if it is ragged."""
    values = tuple(_stack(value) if isinstance(value, tuple) else value for value in values)
    if all(isinstance(value, np.ndarray) for value in values) and len({value.shape for value in values}) == 1:
        return np.stack(values)
    return values


def _close(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    """Which entries agree: whole numbers exactly, others with the slack that the precision of `got` needs."""
    if want.dtype.kind in "biu":
        if got.dtype.kind in "biu" and atol < 1:
            return np.asarray(got == want)
        if got.dtype in _SLACK:
            want = want.astype(got.dtype)  # beyond 2**24, float32 holds only some whole numbers
        largest = float(np.abs(want.astype(float)).max(initial=0.0))
        rtol, atol = 0.0, max(atol, min(1e-9 * largest, 0.01))  # 4.999999999 from an FFT is 5
    elif got.dtype in _SLACK:
        slack = _SLACK[got.dtype]
        largest = float(np.abs(want[np.isfinite(want)]).max(initial=0.0))
        rtol, atol = max(rtol, slack), max(atol, slack * largest)
    wide = complex if "c" in (got.dtype.kind, want.dtype.kind) else float
    with np.errstate(all="ignore"):
        got, want = got.astype(wide), want.astype(wide)
        return np.asarray(np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True))
