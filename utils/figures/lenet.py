"""A trained LeNet-5 that runs in the page."""

from __future__ import annotations

import functools

import numpy as np

from utils.data import load
from utils.figures._arguments import whole
from utils.figures._data import packed, stored
from utils.figures._figure import Figure

PER_CLASS = 3  # test pictures that the figure carries, of each class
FILTERS = {"conv1": 6, "conv2": 16}


def lenet_explorer(
    picture: int = 0, *, occlude: bool = False, filter: tuple[str, int] | None = None
) -> Figure:
    """A LeNet-5 to draw for, to look into and to break: every activation, for every picture, in the page.

    picture is the test picture to begin with, from 0 to 29: three of each class of Fashion-MNIST, class after
    class. occlude=True begins with the gray square that hides a part of it. filter, for instance
    ("conv2", 3), begins with the numbers of that filter, to be changed. The weights are those that
    `experiments.page_lenet` trained with NumPy and rounded to 8 bits.

    Raises ValueError for anything else.
    """
    whole("picture", picture, 0, 10 * PER_CLASS - 1)
    if not isinstance(occlude, bool):
        raise ValueError(f"occlude: got {occlude!r}, expected True or False")
    if filter is not None:
        try:
            layer, number = filter
            known = number in range(FILTERS[layer]) and not isinstance(number, bool)
        except (TypeError, ValueError, KeyError):
            known = False
        if not known:
            expected = " or ".join(f'("{name}", 0 to {count - 1})' for name, count in FILTERS.items())
            raise ValueError(f"filter: got {filter!r}, expected {expected}")
    return Figure(
        "lenet-explorer",
        "A LeNet-5 at work: at the left a garment of 28 by 28 pixels, at the right the maps of its two "
        "convolutions, the units of its dense layers, and the probabilities of the ten classes.",
        picture=picture,
        occlude=occlude,
        filter=None if filter is None else f"{filter[0]} {int(filter[1])}",
        data=_data(),
    )


@functools.cache
def _data() -> bytes:
    """The weights, and the first test pictures of each class of the sample that ships with the course."""
    layers = ("conv1", "conv2", "fc1", "fc2", "fc3")
    weights = {name: array for name, array in stored().items() if name.split(".")[0] in layers}
    test = load(split="test", sample=True, quiet=True)
    first = np.concatenate([np.flatnonzero(test.labels == c)[:PER_CLASS] for c in range(len(test.classes))])
    pictures = {"pictures": test.images[first], "labels": test.labels[first].astype(np.uint8)}
    return packed(weights | pictures, classes=list(test.classes))
