"""A confusion matrix to look into: the pictures behind every count."""

from __future__ import annotations

import functools

import numpy as np

from utils.data import FASHION_CLASSES
from utils.figures._data import packed, stored
from utils.figures._figure import HERE, Figure


def confusion_browser(right: str = "Shirt", answer: str = "T-shirt/top") -> Figure:
    """The confusion matrix of the LeNet-5 in the page, every count a door to some of its pictures.

    right and answer are the classes, by name, of the cell to begin with: what is in the picture, and what the
    network said. The counts are those of all 10,000 test pictures of Fashion-MNIST; a cell has up to six
    of its pictures, in 16 shades of gray (`experiments.page_lenet`).

    Raises ValueError for a class that Fashion-MNIST does not have.
    """
    for name, value in (("right", right), ("answer", answer)):
        if value not in FASHION_CLASSES:
            raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(FASHION_CLASSES)}")
    return Figure(
        "confusion-browser",
        "A confusion matrix of ten classes of garments, rows for what it is and columns for what the network "
        "said; beside it pictures of the chosen cell, with the probabilities of the chosen picture.",
        right=FASHION_CLASSES.index(right),
        answer=FASHION_CLASSES.index(answer),
        data=_data(),
    )


@functools.cache
def _data() -> bytes:
    """The counts, and the pictures of the cells: a PNG with 16 in a row."""
    kept = ("confusion", "cells.right", "cells.answer", "cells.percent")
    sheet = np.frombuffer((HERE / "data" / "mix_ups.png").read_bytes(), np.uint8)
    return packed({name: stored()[name] for name in kept} | {"sheet": sheet}, classes=list(FASHION_CLASSES))
