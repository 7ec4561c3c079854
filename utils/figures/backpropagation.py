"""The way back through a convolution."""

from __future__ import annotations

from collections.abc import Sequence

from utils.figures._arguments import grid, one_of, whole
from utils.figures._figure import Figure

GRADIENTS = ("x", "w")


def backprop_explorer(
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    *,
    input: Sequence[Sequence[float]] | None = None,
    kernel: Sequence[Sequence[float]] | None = None,
    upstream: Sequence[Sequence[float]] | None = None,
    gradient: str = "x",
) -> Figure:
    """The gradients of a convolution: handed out by the outputs, collected by inputs and weights, and nudged.

    stride from 1 to 3, padding from 0 to 2, dilation 1 or 2. input, kernel and upstream are the numbers to
    begin with: at most 6 rows and columns of input, 3 of kernel, 10 of the upstream gradient, which goes on
    with zeros where the output is larger. gradient says which one is shown first: that of the input, "x", or
    of the weights, "w".

    Raises ValueError for anything else.
    """
    for name, value, low, high in (("stride", stride, 1, 3), ("padding", padding, 0, 2)):
        whole(name, value, low, high)
    whole("dilation", dilation, 1, 2)
    one_of("gradient", gradient, GRADIENTS)
    return Figure(
        "backprop-explorer",
        "Backpropagation through a convolution, to move: input, kernel and upstream gradient; below, the "
        "gradient twice: each output adds its kernel where its window stood, each input collects with the "
        "turned kernel.",
        stride=stride,
        padding=padding,
        dilation=dilation,
        input=grid("input", input, 6),
        kernel=grid("kernel", kernel, 3),
        upstream=grid("upstream", upstream, 10),
        gradient=gradient,
    )
