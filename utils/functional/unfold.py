"""Padding, and the windows through which a kernel looks: as a view, as columns, as strips of rows."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array
from utils.functional.shapes import Geometry, Padding, Pair, as_pair, conv_geometry, window_extent

__all__ = ["im2col", "pad2d", "row_strips", "windows"]


def pad2d(
    x: ArrayLike,
    padding: Padding,
    kernel_size: int | Pair = 1,
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Zeros around the last two axes of `x`; a new array of the same dtype.

    x           (..., H, W)
    padding     an integer, (height, width), ((top, bottom), (left, right)), or "valid", "same", "full"
    kernel_size, stride, dilation    what the words refer to; integers do not need them
    returns     (..., top + H + bottom, left + W + right)
    """
    x = as_array(x, "x")
    if x.ndim < 2:
        raise ValueError(f"x must have the shape (..., H, W), got {x.shape}")
    zeros = conv_geometry(x.shape[-2:], kernel_size, stride, padding, dilation).padding
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + list(zeros))


def windows(
    x: np.ndarray,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
    axes: Pair = (-2, -1),
) -> np.ndarray:
    """All windows of `x` as a read-only view: no pixel is copied.

    x           an array whose two `axes` are the height H and the width W
    returns     the shape of x with OH, OW in place of H, W, and the axes (kh, kw) appended
    """
    kernel, strides = as_pair(kernel_size, "kernel_size"), as_pair(stride, "stride")
    dilations = as_pair(dilation, "dilation")
    row_axis, column_axis = (axis % x.ndim for axis in axes)
    view = sliding_window_view(x, tuple(map(window_extent, kernel, dilations)), (row_axis, column_axis))
    index = [slice(None)] * view.ndim
    index[row_axis], index[column_axis] = (slice(None, None, s) for s in strides)  # every s-th window
    index[-2:] = [slice(None, None, d) for d in dilations]  # in it, every d-th pixel
    return view[tuple(index)]


def im2col(
    x: ArrayLike,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """Every window of a batch written out as a column, as `torch.nn.functional.unfold` does.

    x           (N, C, H, W)
    returns     (N, C kh kw, OH OW), same dtype; the rows of a column go by channel, window row, window
                column, the columns by output row, output column

    A pixel is copied once for every window that sees it, up to kh kw times. It is the X of chapter 3, (3.10).
    Source: K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for
    document processing", 2006.
    """
    x = as_array(x, "x", "(N, C, H, W)")
    geometry = conv_geometry(x.shape[2:], kernel_size, stride, padding, dilation)
    (kh, kw), (OH, OW) = geometry.kernel_size, geometry.output_size
    view = windows(pad2d(x, geometry.padding), (kh, kw), geometry.stride, geometry.dilation)
    N, C = x.shape[:2]
    return view.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * kh * kw, OH * OW)


def row_strips(x: np.ndarray, geometry: Geometry, groups: int = 1) -> np.ndarray:
    """The rows that each output row looks at, as a read-only view of the padded batch.

    x           (N, C, H, W)
    returns     (OH, g, kh, C/g, W', N) with W' = left + W + right

    The batch is copied once, into the memory order (g, H, C/g, W, N). There, kh rows of all channels of a
    group are already the kh C/g rows of a matrix with W' N columns, and a step of one pixel to the right
    is a step of N columns: sliding the kernel moves a pointer and copies nothing.
    """
    N, C, H, W = x.shape
    (top, bottom), (left, right) = geometry.padding
    padded = np.zeros((groups, top + H + bottom, C // groups, left + W + right, N), x.dtype)
    split = x.reshape(N, groups, C // groups, H, W)
    padded[:, top : top + H, :, left : left + W] = split.transpose(1, 3, 2, 4, 0)
    (kh, _), (sh, _), (dh, _) = geometry.kernel_size, geometry.stride, geometry.dilation
    view = windows(padded, (kh, 1), (sh, 1), (dh, 1), axes=(1, 3))  # (g, OH, C/g, W', N, kh, 1)
    return view[..., 0].transpose(1, 0, 5, 2, 3, 4)
