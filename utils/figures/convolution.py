"""The convolution explorer."""

from __future__ import annotations

from collections.abc import Sequence

from utils.figures._arguments import grid, one_of, whole
from utils.figures._figure import Figure

MODES = ("zeros", "reflect", "replicate", "circular")
CHANNELS = ("1 → 1", "2 → 2", "2 → 2, groups=2")


def conv_explorer(
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    *,
    mode: str = "zeros",
    flip: bool = False,
    channels: str = "1 → 1",
    input: Sequence[Sequence[float]] | None = None,
    kernel: Sequence[Sequence[float]] | None = None,
    predict: bool = False,
) -> Figure:
    """A convolution to play with: every number can be typed, every option moved, every output looked into.

    stride, dilation from 1 to 3, padding from 0 to 3. mode is one of MODES, channels one of CHANNELS. flip
    turns the kernel by 180 degrees. input and kernel are the numbers to begin with: at most 8 rows and 8
    columns of input, 5 of kernel. predict=True begins with the question how large the output is.

    Raises ValueError for anything else.
    """
    for name, value, low in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        whole(name, value, low, 3)
    one_of("mode", mode, MODES)
    one_of("channels", channels, CHANNELS)
    return Figure(
        "conv-explorer",
        "A convolution to move: a grid of input numbers, a kernel, and the output; the window of the chosen "
        "output is framed, and its sum is written below with the line of PyTorch that computes it.",
        stride=stride,
        padding=padding,
        dilation=dilation,
        mode=mode,
        flip=flip,
        channels=channels,
        input=grid("input", input, 8),
        kernel=grid("kernel", kernel, 5),
        predict=predict,
    )
