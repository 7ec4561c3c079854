"""`python -m tools.make_sample` builds the subset of Fashion-MNIST that ships, from the full set.

The first images of each class, in the order of the full set; no randomness, so that everybody gets the same
bytes. Prints the hashes that stand in utils/data.py.
"""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from utils import data

PER_CLASS = {"train": 300, "test": 100}


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Sorted positions of the first `count` samples of every class."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)]))


def idx_bytes(array: np.ndarray) -> bytes:
    """A uint8 array as an idx file, the format that `utils.data.read_idx` parses."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(path: Path, array: np.ndarray) -> str:
    """Write one idx .gz file, no name or date in its header; returns the SHA-256 of the unpacked content."""
    content = idx_bytes(array.astype(np.uint8))
    path.write_bytes(gzip.compress(content, 9, mtime=0))
    return hashlib.sha256(content).hexdigest()


def main(folder: Path = data.SAMPLE_FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in PER_CLASS.items():
        full = data.load("fashion-mnist", split, quiet=True)
        chosen = full[first_of_each_class(full.labels, count)]
        if len(chosen) != count * len(full.classes) or "sample" in full.source:
            raise SystemExit("The full Fashion-MNIST is needed to build the sample from.")
        images_name, labels_name = data.file_names("fashion-mnist", split)
        for name, array in ((images_name, chosen.images), (labels_name, chosen.labels)):
            digest = write(folder / name, array)
            print(f'"{name}": "{digest}",  # {(folder / name).stat().st_size:,} bytes')


if __name__ == "__main__":
    main()
