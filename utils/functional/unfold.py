"""Padding, and the windows through which a kernel looks: as a view, as columns, as strips of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from utils.functional.arrays import aligned, as_array
from utils.functional.shapes import Geometry, Padding, Pair, as_pair, conv_geometry, window_extent

__all__ = ["im2col", "inside", "pad2d", "row_strips", "windows"]

# Bytes of padded rows that row_strips copies at a time. Only the speed depends on it.
BAND_BYTES = 2**21


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


def inside(offset: int, step: int, count: int, size: int) -> tuple[slice, slice]:
    """Which of the `count` places offset, offset + step, ... lie in 0 ... size - 1, and where they lie.

    Two slices of the same length, both empty where nothing lies inside.
    """
    first, stop = max(0, -(offset // step)), min(count, (size - 1 - offset) // step + 1)
    if stop <= first:
        return slice(0, 0), slice(0, 0)
    start = offset + first * step
    return slice(first, stop), slice(start, start + (stop - first - 1) * step + 1, step)


def row_strips(x: np.ndarray, geometry: Geometry, rows: int) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """What each kernel column sees of the padded batch, for a few rows of outputs at a time.

    x           (H, g, C/g, W, N), see `batch_last`
    rows        how many rows of outputs at a time
    yields      (which rows of outputs, for each kernel column v the matrices (rows, g, kh C/g, OW N) of what
                it sees). They are views of a buffer that later steps overwrite.

    Some rows of pixels are copied into the memory order (g, rows, C/g, W', N). There, kh rows of all channels
    of a group are already the kh C/g rows of a matrix with W' N columns, and a step of one pixel to the right
    is a step of N columns: sliding the kernel moves a pointer and copies nothing. For stride s, the columns
    of pixels are dealt into s piles, and the same holds in each of them.
    """
    (H, g, C, W, N), (OH, OW) = x.shape, geometry.output_size
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    (top, _), (left, right) = geometry.padding
    width, extent = -(-(left + W + right) // sw), window_extent(kh, dh)  # width of a pile, height of a window
    band = max(1, BAND_BYTES // max(1, sh * sw * width * x[0, :, :, 0].nbytes * rows)) * rows
    buffer = aligned((g, (min(band, OH) - 1) * sh + extent, C, sw, width, N), x.dtype)
    view = windows(buffer, (kh, 1), (sh, 1), (dh, 1), axes=(1, 2))[..., 0].transpose(1, 0, 6, 2, 3, 4, 5)
    for i in range(0, OH, rows):
        if i % band == 0:  # copy the rows that the next `band` rows of outputs look at
            here, pixels = inside(i * sh - top, 1, buffer.shape[1], H)
            buffer[...] = 0
            for pile in range(sw):
                places, columns = inside(pile - left, sw, width, W)
                buffer[:, here, :, pile, places] = x[pixels, ..., columns, :].swapaxes(0, 1)
        some = view[i % band : i % band + min(rows, OH - i)]  # (rows, g, kh, C/g, s, W'/s, N)
        starts = [divmod(v * dw, sw) for v in range(kw)]
        seen = [some[..., pile, q : q + OW, :].reshape(len(some), g, kh * C, OW * N) for q, pile in starts]
        yield slice(i, i + len(some)), seen
