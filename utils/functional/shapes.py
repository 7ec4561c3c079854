"""Sizes, pairs and padding: the integer arithmetic of a convolution, before any pixel is touched.

Whatever takes `kernel_size`, `stride`, `padding` and `dilation` in `utils.functional` reads them here, so
that all functions understand the same words and refuse the same mistakes.

Sources: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
arXiv:1603.07285; the documentation of `torch.nn.Conv2d` (floor convention) and of `tf.nn`, "Notes on
padding" (ceil convention).
"""

from __future__ import annotations

import operator
from typing import NamedTuple

Pair = tuple[int, int]
AxisPadding = int | str | Pair  # 1, "same" or (before, after)
Padding = AxisPadding | tuple[AxisPadding, AxisPadding]  # the same for both axes, or (height, width)

__all__ = [
    "AxisPadding",
    "Geometry",
    "Padding",
    "Pair",
    "as_integer",
    "as_pair",
    "axis_padding",
    "conv_geometry",
    "conv_output_size",
    "conv_output_size_ceil",
    "same_padding",
    "window_extent",
]


# --- reading arguments -------------------------------------------------------------------------------


def as_integer(value: object, name: str, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`; otherwise a ValueError that names the argument."""
    try:
        number = operator.index(value)  # accepts NumPy's integers, refuses 2.0 and "2"
    except TypeError:
        number = minimum - 1
    if number < minimum or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    return number


def as_pair(value: object, name: str, minimum: int = 1) -> Pair:
    """A pair of integers, from a pair or from one integer that stands for both."""
    if not isinstance(value, (tuple, list)):
        value = as_integer(value, name, minimum)
        return value, value
    if len(value) != 2:
        raise ValueError(f"{name} must be an integer or a pair of integers, got {value!r}")
    return as_integer(value[0], f"{name}[0]", minimum), as_integer(value[1], f"{name}[1]", minimum)


# --- one axis ----------------------------------------------------------------------------------------


def window_extent(kernel_size: int, dilation: int = 1) -> int:
    """How many pixels a window spans, from its first tap to its last: e = d (k - 1) + 1."""
    return dilation * (kernel_size - 1) + 1


def axis_padding(padding: AxisPadding, kernel_size: int, stride: int = 1, dilation: int = 1) -> Pair:
    """How many zeros stand (before, after) the pixels of one axis.

    `padding` is an integer for both ends, a pair (before, after), or a word:

    * "valid": none, so that every window lies inside the picture;
    * "same": d (k - 1) in all, so that there are as many outputs as inputs; an odd one stands after;
    * "full": d (k - 1) at each end, so that every window that touches the picture counts.

    Their output sizes are chapter 2, (2.8); the zeros of "same" for odd k are chapter 3, (3.5).
    Raises ValueError for anything else, and for "same" with a stride above 1. PyTorch refuses that too:
    an output of the input's size cannot come out, and the word would hide it.
    """
    if not isinstance(padding, str):
        return as_pair(padding, "padding", 0)
    zeros = window_extent(kernel_size, dilation) - 1  # d (k - 1)
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return zeros, zeros
    if padding != "same":
        raise ValueError(f'padding must be "valid", "same", "full" or integers, got {padding!r}')
    if stride != 1:
        raise ValueError(
            f'padding "same" must go with stride 1, got stride {stride}; instead give the integers, '
            "(kernel_size - 1) // 2 or what same_padding() returns for each axis"
        )
    return zeros // 2, zeros - zeros // 2


def conv_output_size(
    input_size: int, kernel_size: int, stride: int = 1, padding: AxisPadding = 0, dilation: int = 1
) -> int:
    """The number of windows along one axis: floor((n + before + after - e) / s) + 1.

    Chapter 3, (3.6). Here e = d (k - 1) + 1 is the extent of the window. Pixels left over at the end of the
    axis, too few for one more step, are not seen: the floor convention of PyTorch. `padding` is an integer, a
    pair (before, after), or one of the words of `axis_padding`.

    Raises ValueError when no window fits: the output would be empty.
    """
    n, k = as_integer(input_size, "input_size"), as_integer(kernel_size, "kernel_size")
    s, d = as_integer(stride, "stride"), as_integer(dilation, "dilation")
    before, after = axis_padding(padding, k, s, d)
    padded, extent = before + n + after, window_extent(k, d)
    if extent > padded:
        raise ValueError(
            f"kernel_size {k} with dilation {d} spans {extent} pixels and must fit into the padded input, "
            f"got {padded} pixels ({before} + {n} + {after}): the output would be empty"
        )
    return (padded - extent) // s + 1


def conv_output_size_ceil(
    input_size: int, kernel_size: int, stride: int = 1, padding: str = "valid", dilation: int = 1
) -> int:
    """The output size along one axis in the ceil convention, that of TensorFlow: chapter 3, (3.8).

    * "valid": ceil((n - e + 1) / s) with e = d (k - 1) + 1, the same number as the floor convention gives;
    * "same": ceil(n / s), whatever the kernel. `same_padding` returns the zeros that make it so.

    Raises ValueError for another padding, and when no window fits.
    """
    n, k = as_integer(input_size, "input_size"), as_integer(kernel_size, "kernel_size")
    s, d = as_integer(stride, "stride"), as_integer(dilation, "dilation")
    if padding == "same":
        return -(-n // s)  # ceil(n / s) in integers
    if padding != "valid":
        raise ValueError(f'padding must be "valid" or "same" in the ceil convention, got {padding!r}')
    extent = window_extent(k, d)
    if extent > n:
        raise ValueError(
            f"kernel_size {k} with dilation {d} spans {extent} pixels and must fit into the input, "
            f"got {n} pixels: the output would be empty"
        )
    return -(-(n - extent + 1) // s)


def same_padding(input_size: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> Pair:
    """The zeros (before, after) with which one axis has ceil(n / s) outputs: "SAME" of TensorFlow.

    The last of the ceil(n / s) windows begins at (ceil(n / s) - 1) s and must end inside, which takes
    max((ceil(n / s) - 1) s + e - n, 0) zeros: chapter 3, (3.9). When their number is odd, the extra one
    stands after.
    """
    outputs = conv_output_size_ceil(input_size, kernel_size, stride, "same", dilation)
    extent = window_extent(kernel_size, as_integer(dilation, "dilation"))
    zeros = max((outputs - 1) * stride + extent - input_size, 0)
    return zeros // 2, zeros - zeros // 2


# --- both axes ---------------------------------------------------------------------------------------


class Geometry(NamedTuple):
    """The integers of a two-dimensional convolution; every pair is (height, width)."""

    kernel_size: Pair
    stride: Pair
    padding: tuple[Pair, Pair]  # ((top, bottom), (left, right))
    dilation: Pair
    output_size: Pair


def conv_geometry(
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
) -> Geometry:
    """The arguments of a convolution, read and checked, with the output size that they give.

    One integer or word stands for both axes. `padding` is an integer, a word, a pair (height, width),
    or ((top, bottom), (left, right)).
    """
    sizes, kernel = as_pair(input_size, "input_size"), as_pair(kernel_size, "kernel_size")
    strides, dilations = as_pair(stride, "stride"), as_pair(dilation, "dilation")
    paddings = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    if len(paddings) != 2:
        raise ValueError(
            'padding must be an integer, "valid", "same", "full", a pair (height, width) or '
            f"((top, bottom), (left, right)), got {padding!r}"
        )
    zeros = tuple(map(axis_padding, paddings, kernel, strides, dilations))
    outputs = tuple(map(conv_output_size, sizes, kernel, strides, zeros, dilations))
    return Geometry(kernel, strides, zeros, dilations, outputs)
