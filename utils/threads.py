"""How many threads NumPy's matrix products use.

NumPy's wheels carry OpenBLAS, which splits a product among all cores and keeps the threads spinning between
products. For the small matrices of a small network that costs more than it brings, and on a busy machine much
more: the threads wait for one another.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = ["blas_threads"]


@contextlib.contextmanager
def blas_threads(count: int | None) -> Iterator[int | None]:
    """In the block, matrix products of NumPy use `count` threads; None changes nothing.

    Yields the number in use before, or None where NumPy has another library than OpenBLAS (in a browser,
    say): then nothing is changed. As the environment variable OMP_NUM_THREADS, but it works after the import.
    """
    get, set_ = _openblas()
    before = get() if get else None
    if before is not None and count is not None:
        set_(count)
    try:
        yield before
    finally:
        if before is not None and count is not None:
            set_(before)


def _openblas():
    """The two functions of the OpenBLAS that NumPy brought along, or (None, None)."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):  # Linux and Windows, macOS
        for path in folder.glob("*openblas*"):
            library = ctypes.CDLL(str(path))  # loaded already: this returns the same one
            for prefix in ("scipy_openblas", "openblas"):
                for suffix in ("64_", ""):
                    with contextlib.suppress(AttributeError):
                        return (
                            getattr(library, f"{prefix}_get_num_threads{suffix}"),
                            getattr(library, f"{prefix}_set_num_threads{suffix}"),
                        )
    return None, None
