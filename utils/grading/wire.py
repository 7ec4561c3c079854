"""What crosses the wall between the grader and a submission: a JSON tree and raw buffers, nothing else.

A frame is 8 bytes (little-endian) with the length of the rest, 4 bytes with the length of the JSON text, the
text, and the buffers. The text holds [tree, lengths of the buffers]. Neither side ever unpickles or evaluates
what the other sent. Both sides use this file; it needs Python and NumPy only.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_FRAME = 32 * 2**20  # bytes
MAX_TEXT = 2**20  # bytes of JSON in what a submission sends
MAX_ITEMS = 100_000  # values in a tree
MAX_DEPTH = 20  # lists in lists
DTYPES = frozenset("?bhilqBHILQefdgFDG")  # letters of the NumPy dtypes that may pass: numbers only


class WireError(Exception):
    """A frame that is too large, cut off, or not what it says it is."""


def encode(value: Any, buffers: list[bytes], depth: int = 0) -> dict:
    """A plain value as a tree; arrays go to `buffers`.

    Plain are None, Ellipsis, bool, int, float, complex, str, arrays of numbers, and tuples, lists and dicts
    with string keys of these. Raises TypeError for anything else.
    """
    if depth > MAX_DEPTH:
        raise TypeError(f"nested deeper than {MAX_DEPTH} levels")
    if value is None or value is Ellipsis:
        return {"blank": "None" if value is None else "..."}
    kind = type(value)
    if kind in (bool, str) or (kind is int and abs(value) < 2**63):
        return {"value": value}
    if kind in (int, float, complex):
        value = np.asarray(float(value) if kind is int else value)
    if isinstance(value, np.ndarray | np.generic):
        array = np.array(value, order="C", subok=False)  # contiguous, and of no subclass
        if array.dtype.char not in DTYPES:
            raise TypeError(f"an array of dtype {array.dtype}")
        buffers.append(array.tobytes())
        return {"array": [array.dtype.str, list(array.shape), len(buffers) - 1]}
    if kind in (tuple, list):
        return {kind.__name__: [encode(item, buffers, depth + 1) for item in value]}
    if kind is dict and all(type(key) is str for key in value):
        return {"dict": [[key, encode(item, buffers, depth + 1)] for key, item in value.items()]}
    raise TypeError(f"a value of type {kind.__name__}")


def decode(tree: Any, buffers: Sequence[bytes], lists: bool = True) -> Any:
    """The plain value of a tree. Raises WireError where the tree is not one that `encode` makes.

    lists=False takes lists for tuples: NumPy makes one array of a list of strings, as wide as the longest.
    """
    return _Decoder(buffers, lists).value(tree)


class _Decoder:
    """Reads one tree. A buffer makes one array, so a small frame cannot ask for a large memory."""

    def __init__(self, buffers: Sequence[bytes], lists: bool):
        self.buffers, self.sequences = buffers, {"tuple": tuple, "list": list if lists else tuple}
        self.used: set[int] = set()
        self.items = 0

    def value(self, tree: Any, depth: int = 0) -> Any:
        self.items += 1
        if depth > MAX_DEPTH or self.items > MAX_ITEMS or not isinstance(tree, dict) or len(tree) != 1:
            raise WireError("not a tree")
        (kind, content), *_ = tree.items()
        if kind == "blank":
            return ... if content == "..." else None
        if kind == "value" and isinstance(content, bool | int | str):
            return content
        if kind == "array":
            return self.array(content)
        if kind in self.sequences and isinstance(content, list):
            return self.sequences[kind](self.value(item, depth + 1) for item in content)
        if kind == "dict" and isinstance(content, list):
            return dict(self.pair(item, depth + 1) for item in content)
        raise WireError(f"a tree of kind {kind!r:.40}")

    def pair(self, item: Any, depth: int) -> tuple[str, Any]:
        if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
            raise WireError("a broken dict")
        return item[0], self.value(item[1], depth)

    def array(self, content: Any) -> np.ndarray:
        """An array from its dtype, shape and buffer, each of which may be a lie."""
        try:
            name, shape, index = content
            dtype = np.dtype(str(name)[:8])
            shape, index = tuple(int(n) for n in shape), int(index)
            fits = len(shape) <= 32 and min(shape, default=0) >= 0 and index >= 0
            if dtype.char in DTYPES and fits and index not in self.used:
                self.used.add(index)
                return np.frombuffer(self.buffers[index], dtype).reshape(shape).copy()
        except (TypeError, ValueError, IndexError, OverflowError, RecursionError, SyntaxError) as error:
            raise WireError("a broken array") from error
        raise WireError("a broken array")


def pack(tree: Any, buffers: Sequence[bytes] = ()) -> bytes:
    """One frame. Raises WireError where it would be larger than MAX_FRAME."""
    text = json.dumps([tree, [len(b) for b in buffers]]).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(buffers)
    if len(body) > MAX_FRAME:
        raise WireError(f"a value of {len(body) / 2**20:.0f} MiB, more than {MAX_FRAME // 2**20} MiB")
    return struct.pack("<Q", len(body)) + body


def unpack(body: bytes, most_text: int = MAX_FRAME) -> tuple[Any, list[bytes]]:
    """Tree and buffers of a frame without its first 8 bytes; `most_text` limits the bytes of JSON."""
    try:
        (length,) = struct.unpack_from("<I", body)
        if length > most_text:
            raise WireError("a reply that is too long")
        tree, sizes = json.loads(body[4 : 4 + length].decode())
        ends = [4 + length]
        for size in sizes:
            if type(size) is not int or size < 0 or len(ends) > MAX_ITEMS:
                raise WireError("a broken frame")
            ends.append(ends[-1] + size)
        if ends[-1] != len(body):
            raise WireError("a broken frame")
        return tree, [bytes(body[a:b]) for a, b in itertools.pairwise(ends)]
    except (struct.error, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise WireError("a broken frame") from error
