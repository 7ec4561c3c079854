"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence

from utils.figures._arguments import grid, whole
from utils.figures._figure import Figure


def transposed_explorer(
    stride: int = 2,
    padding: int = 0,
    output_padding: int = 0,
    *,
    kernel_size: int | None = None,
    input: Sequence[Sequence[float]] | None = None,
    kernel: Sequence[Sequence[float]] | None = None,
) -> Figure:
    """A transposed convolution to play with: stamps, how many lie on each output, and resizing beside it.

    stride from 1 to 3, padding from 0 to 2, output_padding less than the stride. kernel_size from 1 to 5 (3
    where nothing is said) begins with a kernel of ones; kernel gives the numbers instead: a square of at most
    5 rows. input holds at most 4 rows and columns.

    Raises ValueError for anything else.
    """
    whole("stride", stride, 1, 3)
    whole("padding", padding, 0, 2)
    whole("output_padding", output_padding, 0, stride - 1)
    weights = grid("kernel", kernel, 5)
    if weights and len(weights) != len(weights[0]):
        raise ValueError(f"kernel: got {len(weights)} rows of {len(weights[0])} numbers, expected a square")
    if weights and kernel_size is not None:
        raise ValueError(f"kernel_size: got {kernel_size!r} beside a kernel, expected one of the two")
    if kernel_size is not None:
        whole("kernel_size", kernel_size, 1, 5)
    return Figure(
        "transposed-explorer",
        "A transposed convolution to move: each input stamps the kernel on the output, and a second grid "
        "counts the stamps on each output; below, resizing, then a convolution with even counts.",
        **{
            "stride": stride,
            "padding": padding,
            "output-padding": output_padding,
            "kernel-size": kernel_size,
            "input": grid("input", input, 4),
            "kernel": weights,
        },
    )
