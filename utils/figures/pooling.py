"""The pooling explorer."""

from __future__ import annotations

from collections.abc import Sequence

from utils.figures._arguments import grid, one_of, whole
from utils.figures._figure import Figure

KINDS = ("max", "min", "average", "average of pixels")


def pooling_explorer(
    kind: str = "max",
    kernel_size: int = 2,
    stride: int = 2,
    padding: int = 0,
    *,
    input: Sequence[Sequence[float]] | None = None,
    upstream: Sequence[Sequence[float]] | None = None,
    shift: int = 0,
) -> Figure:
    """Pooling to play with, forward and backward: every number can be typed, the input moved by a pixel.

    kind is one of KINDS; "average" counts the zeros of the padding, "average of pixels" does not.
    kernel_size and stride run from 1 to 4, padding up to half of kernel_size, as in PyTorch. input holds the
    numbers to begin with, at most 8 rows and 8 columns; upstream is the gradient from above, in the
    shape of the output. shift, from -4 to 4, moves the input to the right from the start.

    Raises ValueError for anything else.
    """
    one_of("kind", kind, KINDS)
    whole("kernel_size", kernel_size, 1, 4)
    whole("stride", stride, 1, 4)
    whole("padding", padding, 0, kernel_size // 2)
    whole("shift", shift, -4, 4)
    input, upstream = grid("input", input, 8), grid("upstream", upstream, 12)
    sides = (len(input), len(input[0])) if input else (6, 6)
    size = tuple((side + 2 * padding - kernel_size) // stride + 1 for side in sides)
    if min(size) < 1:
        raise ValueError(
            f"kernel_size: got {kernel_size}, expected a window that fits into the input {sides}"
        )
    if upstream and (len(upstream), len(upstream[0])) != size:
        came = (len(upstream), len(upstream[0]))
        raise ValueError(f"upstream: got shape {came}, expected that of the output, {size}")
    return Figure(
        "pooling-explorer",
        "Pooling to move: a grid of input numbers with a framed window, the pooled output, the gradient that "
        "comes from above, and where in the input it arrives; words say who won each window.",
        kind=kind,
        size=kernel_size,
        stride=stride,
        padding=padding,
        input=input,
        upstream=upstream,
        shift=shift or None,
    )
