"""What a figure carries with it: arrays, compressed into the bytes of its attribute `data`."""

from __future__ import annotations

import functools
import json
import zlib

import numpy as np

from utils.figures._figure import HERE

_NAMES = {"int8": "Int8Array", "uint8": "Uint8Array", "uint16": "Uint16Array", "float32": "Float32Array"}


def packed(arrays: dict[str, np.ndarray], **words: object) -> bytes:
    """Arrays and words in one piece, as `scripts/carried.js` unpacks them.

    zlib of: the length of the header (4 bytes, little end first), the header in JSON, the arrays one after
    the other. The header holds the words, and in `parts` the name, type and number of bytes of each array.
    """
    raw = {name: array.astype(array.dtype.newbyteorder("<")).tobytes() for name, array in arrays.items()}
    parts = [[name, _NAMES[str(array.dtype)], len(raw[name])] for name, array in arrays.items()]
    header = json.dumps({**words, "parts": parts}, ensure_ascii=False).encode()
    return zlib.compress(len(header).to_bytes(4, "little") + header + b"".join(raw.values()), 9)


@functools.cache
def stored() -> dict[str, np.ndarray]:
    """What `python -m experiments.page_lenet --record` wrote: a LeNet-5 and its confusion matrix."""
    with np.load(HERE / "data" / "lenet5.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
