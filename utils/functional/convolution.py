"""The convolution layer, forward: one formula written four ways, in one dimension, and as a matrix.

    y[n, m, i, j] = b[m] + sum over c, u, v of w[m, c, u, v] x[n, c, i s + u d - p, j s + v d - p]

where x is zero outside the picture: chapter 3, (3.7). The sum runs over the C/g channels of the filter's
group. It is a cross-correlation: the kernel is not flipped (I. Goodfellow, Y. Bengio, A. Courville, "Deep
Learning", 2016, equation 9.6).

| form              | what it does                                  | in numbers                             |
|-------------------|-----------------------------------------------|----------------------------------------|
| `conv2d_naive`    | what the formula says                         | seven loops                            |
| `conv2d_im2col`   | copies every window into a column             | one matrix product per picture         |
| `conv2d_shifted`  | adds up shifted pictures, one per tap         | kh kw thin matrix products             |
| `conv2d`          | shifts whole rows, copies no window           | 1 or kw matrix products per row        |

All four take the same arguments, those of `torch.nn.functional.conv2d`, and return the same numbers up to
rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import aligned, as_array, batch_last, conv_arrays, to_common_dtype
from utils.functional.shapes import (
    AxisPadding,
    Geometry,
    Padding,
    Pair,
    as_integer,
    as_pair,
    axis_padding,
    conv_geometry,
)
from utils.functional.unfold import im2col, inside, pad2d, row_strips, windows

__all__ = ["conv1d", "conv2d", "conv2d_im2col", "conv2d_naive", "conv2d_shifted", "conv_matrix"]

# Bytes of output that conv2d computes at a time where it takes several rows at once. They and the rows they
# come from should fit into the second-level cache of a core, 1 MB or more on today's processors.
BLOCK_BYTES = 2**18
# From this many terms kh C/g on, one product per row for all kernel columns is faster than one for each.
# Only the speed depends on these two.
DEEP = 64


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """The convolution layer, chapter 3, (3.7), in its fast form.

    x           (N, C, H, W)
    weight      (K, C/groups, kh, kw)
    bias        (K,), or None for no bias
    stride, dilation    an integer, or a pair (height, width)
    padding     an integer, a pair (height, width), ((top, bottom), (left, right)), or a word: "valid" for
                none, "same" for an output of the input's size (stride 1 only), "full" for every overlap
    groups      filters q K/groups ... see only channels q C/groups ...; groups = C is the depthwise layer
    returns     (N, K, OH, OW), OH and OW as `conv_output_size` gives them

    The dtype follows NumPy's promotion, but integers alone are computed exactly, in int64. Raises
    ValueError that names the argument for wrong shapes and dtypes, for channels that do not match, and
    when the output would be empty. An empty batch is welcome. The inputs are not changed.

    How: row by row of outputs, for all pictures at once. kh rows of the batch are a matrix, and a shift by
    one pixel is a slice of it, so no window is copied. With few channels, shift, then multiply: kw products,
    one for each kernel column (`_shift_then_multiply`). With many, multiply, then shift: one product serves
    all kernel columns (`_multiply_then_shift`). The result has the batch as its fastest axis in memory, which
    is the order that the next layer wants; `np.ascontiguousarray` gives the usual one.
    """
    x, weight, bias = conv_arrays(x, weight, bias, groups)
    geometry = conv_geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    N, (K, C, kh, kw), (OH, OW) = len(x), weight.shape, geometry.output_size
    weight, bias = weight.reshape(groups, K // groups, C, kh, kw), bias.reshape(groups, K // groups, 1, 1)
    y = aligned((OH, groups, K // groups, OW, N), x.dtype)
    add = _multiply_then_shift if in_one_product(geometry, C, K // groups) else _shift_then_multiply
    add(batch_last(x, groups), weight, bias, geometry, y)
    return y.reshape(OH, K, OW, N).transpose(3, 1, 0, 2)  # (N, K, OH, OW)


def in_one_product(geometry: Geometry, C: int, K: int) -> bool:
    """Whether one product per row should serve all kernel columns; C and K are the channels of a group.

    So it is for long sums, and for depthwise layers, whose products are thin in any case.
    """
    return geometry.kernel_size[0] * C >= DEEP or C == K == 1


def _shift_then_multiply(x, weight, bias, geometry, y):
    """Fill y (OH, g, K/g, OW, N) from x (H, g, C/g, W, N), weight (g, K/g, C/g, kh, kw), bias (g, K/g, 1, 1).

    Kernel column v sees a matrix with a row for each (u, c) and a column for each (j, n), see `row_strips`. A
    relative is M. Cho, D. Brand, "MEC: memory-efficient convolution for deep neural network", 2017,
    arXiv:1706.06873.
    """
    g, K, C, kh, kw = weight.shape
    taps = weight.transpose(4, 0, 1, 3, 2).reshape(kw, g, K, kh * C)  # for each kernel column, a matrix
    block = max(1, BLOCK_BYTES // max(1, y[0].nbytes))  # rows of outputs at a time
    for rows, seen in row_strips(x, geometry, block):
        found = y[rows].reshape(*seen[0].shape[:2], K, seen[0].shape[3])  # a view: (rows, g, K/g, OW N)
        np.matmul(taps[0], seen[0], out=found)
        for v in range(1, kw):
            found += taps[v] @ seen[v]
        y[rows] += bias


def _multiply_then_shift(x, weight, bias, geometry, y):
    """Fill y (OH, g, K/g, OW, N) from x (H, g, C/g, W, N), weight (g, K/g, C/g, kh, kw), bias (g, K/g, 1, 1).

    One product gives what each kernel column finds at each pixel of a row; it is added to the outputs that
    see that pixel. With stride s, kernel columns share the product if they see the same s-th pixels.
    """
    (H, g, C, W, N), (OH, _, K, OW, _), (kh, kw) = x.shape, y.shape, geometry.kernel_size
    (sh, sw), (dh, dw), ((top, _), (left, _)) = geometry.stride, geometry.dilation, geometry.padding
    meet = [inside(v * dw - left, sw, OW, W) for v in range(kw)]  # (outputs, pixels) of kernel column v
    piles = [[v for v in range(kw) if (v * dw - left) % sw == first] for first in range(min(sw, W))]
    taps = [weight[..., vs].transpose(0, 4, 1, 3, 2).copy() for vs in piles]  # (g, vs, K/g, kh, C/g)
    for i in range(OH):
        y[i] = bias
        u, rows = inside(i * sh - top, dh, kh, H)  # the kernel rows that see rows of the picture
        for first, vs in enumerate(piles):
            seen = x[rows, ..., first::sw, :].swapaxes(0, 1)  # (g, kh, C/g, W/s, N)
            depth, width = seen.shape[1] * C, seen.shape[3]
            found = taps[first][:, :, :, u].reshape(g, len(vs) * K, depth) @ seen.reshape(g, depth, width * N)
            found = found.reshape(g, len(vs), K, width, N)
            for k, (outputs, pixels) in enumerate(meet[v] for v in vs):
                place = slice(pixels.start // sw, pixels.start // sw + outputs.stop - outputs.start)
                y[i, :, :, outputs] += found[:, k, :, place]


def conv2d_naive(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """`conv2d` as chapter 3, (3.7), says it: seven loops. To read and to compare with, not to wait for.

    Arguments, result and errors as for `conv2d`.
    """
    x, weight, bias = conv_arrays(x, weight, bias, groups)
    geometry = conv_geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    (sh, sw), (dh, dw), (OH, OW) = geometry.stride, geometry.dilation, geometry.output_size
    x = pad2d(x, geometry.padding)
    N, (K, C, kh, kw) = len(x), weight.shape  # C is the number of channels in one group
    y = np.empty((N, K, OH, OW), x.dtype)
    for n in range(N):
        for m in range(K):
            first = m // (K // groups) * C  # where the channels of filter m's group begin
            for i in range(OH):
                for j in range(OW):
                    total = bias[m]
                    for c in range(C):
                        for u in range(kh):
                            for v in range(kw):
                                pixel = x[n, first + c, i * sh + u * dh, j * sw + v * dw]
                                total += weight[m, c, u, v] * pixel
                    y[n, m, i, j] = total
    return y


def conv2d_im2col(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """`conv2d` as a matrix product: every filter is a row, every window a column (see `im2col`).

    Arguments, result and errors as for `conv2d`. The columns take kh kw times the memory of the input.
    Chapter 3, (3.10).
    """
    x, weight, bias = conv_arrays(x, weight, bias, groups)
    geometry = conv_geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    N, (K, C, kh, kw), (OH, OW) = len(x), weight.shape, geometry.output_size
    columns = im2col(x, geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation)
    columns = columns.reshape(N, groups, C * kh * kw, OH * OW)
    y = weight.reshape(groups, K // groups, C * kh * kw) @ columns  # (N, g, K/g, OH OW)
    return y.reshape(N, K, OH, OW) + bias[:, None, None]


def conv2d_shifted(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """`conv2d` as a sum of shifted pictures: one matrix product for each tap, that is, pixel of the kernel.

    Arguments, result and errors as for `conv2d`. Tap (u, v) sees the whole picture, shifted by (u, v); it
    mixes the channels like a 1×1 convolution: chapter 3, (3.11). A relative, kn2row, multiplies first and
    shifts the results: A. Vasudevan, A. Anderson, D. Gregg, "Parallel multi channel convolution using general
    matrix multiplication", 2017, arXiv:1704.04428.
    """
    x, weight, bias = conv_arrays(x, weight, bias, groups)
    geometry = conv_geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    N, (K, C, kh, kw), (OH, OW) = len(x), weight.shape, geometry.output_size
    view = windows(pad2d(x, geometry.padding), (kh, kw), geometry.stride, geometry.dilation)
    taps = weight.reshape(groups, K // groups, C, kh, kw)
    y = np.zeros((N, groups, K // groups, OH * OW), x.dtype)
    for u in range(kh):
        for v in range(kw):
            shifted = view[..., u, v].reshape(N, groups, C, OH * OW)  # what tap (u, v) sees
            y += taps[..., u, v] @ shifted
    return y.reshape(N, K, OH, OW) + bias[:, None, None]


def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int = 1,
    padding: AxisPadding = 0,
    dilation: int = 1,
    groups: int = 1,
) -> np.ndarray:
    """The convolution layer over sequences: `conv2d` on pictures that are one pixel high.

    x           (N, C, L)
    weight      (K, C/groups, k)
    bias        (K,), or None for no bias
    padding     an integer, a pair (before, after), or "valid", "same", "full"
    returns     (N, K, OL), OL as `conv_output_size` gives it; dtype and errors as for `conv2d`
    """
    x, weight = as_array(x, "x", "(N, C, L)"), as_array(weight, "weight", "(K, C/groups, k)")
    stride, dilation = as_integer(stride, "stride"), as_integer(dilation, "dilation")
    ends = axis_padding(padding, weight.shape[2], stride, dilation)
    x, weight = x[:, :, None], weight[:, :, None]  # (N, C, 1, L), (K, C/groups, 1, k)
    return conv2d(x, weight, bias, (1, stride), ((0, 0), ends), (1, dilation), groups)[:, :, 0]


def conv_matrix(
    kernel: ArrayLike,
    input_size: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """The matrix of a convolution with one channel: `conv_matrix(kernel, (H, W)) @ x.ravel()` is y.ravel().

    kernel      (kh, kw)
    input_size  H = W, or (H, W)
    returns     (OH OW, H W); one row per output, holding the kernel's numbers where that output looks and
                zeros elsewhere. With stride 1 each block of rows is constant along its diagonals: a
                (doubly blocked) Toeplitz matrix. Its transpose runs the convolution backward:
                chapter 4, (4.20).

    Integers give int64. Raises ValueError as `conv2d` does.
    """
    (kernel,) = to_common_dtype(as_array(kernel, "kernel", "(kh, kw)"))
    H, W = as_pair(input_size, "input_size")
    pixels = np.arange(1, H * W + 1).reshape(1, 1, H, W)  # a picture of its pixels' numbers; 0 is padding
    seen = im2col(pixels, kernel.shape, stride, padding, dilation)[0]  # (kh kw, OH OW)
    matrix = np.zeros((seen.shape[1], 1 + H * W), kernel.dtype)
    matrix[np.arange(seen.shape[1]), seen] = kernel.reshape(-1, 1)  # tap t of output o sees seen[t, o]
    return matrix[:, 1:].copy()  # column 0 collected what fell on the padding, which is zero
