"""Other convolutions: in three dimensions, without shared weights, with moving taps; and ways to enlarge.

Chapter 9. What they change in y[m, i, j] = sum over c, u, v of w[m, c, u, v] x[c, i + u, j + v]:

| function              | change                                                                          |
|-----------------------|---------------------------------------------------------------------------------|
| `conv3d`              | one more axis: volumes, or pictures over time                                   |
| `locally_connected2d` | every output position (i, j) has its own w                                      |
| `tiled_conv2d`        | the weights repeat after t positions: w depends on i mod t and j mod t          |
| `separable_conv2d`    | w[m, c, u, v] = pointwise[m, c] depthwise[c, u, v]                              |
| `deform_conv2d`       | every tap moves by an offset of its own, which the network computes             |
| `channel_shuffle`     | the channels of different groups are dealt out like cards                       |
| `interpolate`         | resize, nearest or bilinear: a fixed matrix for the rows, one for the columns   |
| `pixel_shuffle`       | r² channels become a picture r times as wide and high                           |

Dilated, grouped and one-dimensional convolutions are in `convolution`, the transposed one in `transposed`.
Each has its backward. Shapes and results are those of `torch.nn.functional` and `torchvision.ops`.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array, to_common_dtype
from utils.functional.convolution import conv2d
from utils.functional.convolution_backward import conv2d_backward
from utils.functional.shapes import (
    Padding,
    Pair,
    as_integer,
    as_pair,
    conv_geometry,
    conv_output_size,
)
from utils.functional.unfold import im2col, pad2d

Triple = tuple[int, int, int]

__all__ = [
    "channel_shuffle",
    "channel_shuffle_backward",
    "conv3d",
    "conv3d_backward",
    "deform_conv2d",
    "deform_conv2d_backward",
    "interpolate",
    "interpolate_backward",
    "locally_connected2d",
    "locally_connected2d_backward",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "resize_matrix",
    "separable_conv2d",
    "separable_conv2d_backward",
    "tiled_conv2d",
    "tiled_conv2d_backward",
]


# --- three dimensions --------------------------------------------------------------------------------


def conv3d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Triple = 1,
    padding: int | Triple = 0,
    dilation: int | Triple = 1,
    groups: int = 1,
) -> np.ndarray:
    """The convolution layer over volumes, arguments as for `torch.nn.functional.conv3d`.

    x           (N, C, D, H, W): D slices of a volume, or D frames of a film
    weight      (K, C/groups, kd, kh, kw)
    bias        (K,), or None for no bias
    stride, padding, dilation    an integer, or three (depth, height, width)
    returns     (N, K, OD, OH, OW), each size as `conv_output_size` gives it

    One matrix product for each of the kd kh kw taps, as in chapter 3, (3.11). Raises ValueError that names
    the argument.
    """
    x, weight, taps, zeros, size = _read_3d(x, weight, stride, padding, dilation, groups)
    N, K, C = len(x), len(weight), weight.shape[1]
    padded = np.pad(x, [(0, 0), (0, 0), *zeros])
    y = np.zeros((N, groups, K // groups, np.prod(size)), x.dtype)
    for tap, where in taps:
        seen = padded[:, :, *where].reshape(N, groups, C, -1)
        y += weight[:, :, *tap].reshape(groups, K // groups, C) @ seen
    return _plus_bias(y.reshape(N, K, *size), bias)


def conv3d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | Triple = 1,
    padding: int | Triple = 0,
    dilation: int | Triple = 1,
    groups: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `conv3d` at x, weight and bias.

    Chapter 4, (4.16) to (4.18), with one more axis, tap by tap: each multiplied a shifted volume by a matrix.
    """
    x, weight, taps, zeros, size = _read_3d(x, weight, stride, padding, dilation, groups)
    N, K, C = len(x), len(weight), weight.shape[1]
    delta = _like_output(grad_output, (N, K, *size)).reshape(N, groups, K // groups, -1)
    padded = np.pad(x, [(0, 0), (0, 0), *zeros])
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros_like(weight)
    for tap, where in taps:
        seen = padded[:, :, *where]
        pairs = np.einsum("ngmo,ngco->gmc", delta, seen.reshape(N, groups, C, -1))
        grad_weight[:, :, *tap] = pairs.reshape(K, C)
        back = weight[:, :, *tap].reshape(groups, K // groups, C).swapaxes(1, 2) @ delta
        grad_padded[:, :, *where] += back.reshape(seen.shape)
    inside = [slice(before, before + n) for (before, _), n in zip(zeros, x.shape[2:], strict=True)]
    return grad_padded[:, :, *inside], grad_weight, delta.sum((0, 3)).reshape(K)


def _read_3d(x, weight, stride, padding, dilation, groups):
    """x, weight, and for each tap (u, v, w) what it sees; the zeros around the volume; the output size."""
    x, weight = as_array(x, "x", "(N, C, D, H, W)"), as_array(weight, "weight", "(K, C/groups, kd, kh, kw)")
    x, weight = to_common_dtype(x, weight)
    groups = as_integer(groups, "groups")
    if x.shape[1] % groups or len(weight) % groups:
        raise ValueError(
            f"groups must divide the {x.shape[1]} channels and the {len(weight)} filters, got {groups}"
        )
    if weight.shape[1] != x.shape[1] // groups:
        raise ValueError(
            f"weight must have {x.shape[1] // groups} input channels to fit x, got {weight.shape[1]}"
        )
    s, d = _as_triple(stride, "stride"), _as_triple(dilation, "dilation")
    zeros = [(p, p) for p in _as_triple(padding, "padding", 0)]
    size = tuple(map(conv_output_size, x.shape[2:], weight.shape[2:], s, zeros, d))
    taps = [
        (tap, tuple(slice(t * d[a], t * d[a] + (size[a] - 1) * s[a] + 1, s[a]) for a, t in enumerate(tap)))
        for tap in product(*map(range, weight.shape[2:]))
    ]
    return x, weight, taps, zeros, size


def _as_triple(value, name: str, minimum: int = 1) -> Triple:
    if not isinstance(value, (tuple, list)):
        value = (value,) * 3
    if len(value) != 3:
        raise ValueError(f"{name} must be an integer or three integers, got {value!r}")
    return tuple(as_integer(v, f"{name}[{i}]", minimum) for i, v in enumerate(value))


# --- weights that are not shared, or not everywhere ---------------------------------------------------


def locally_connected2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
) -> np.ndarray:
    """A convolution without weight sharing: every output position has filters of its own.

    x           (N, C, H, W)
    weight      (OH, OW, K, C, kh, kw): weight[i, j] are the filters of output position (i, j)
    bias        (K, OH, OW), one number per output, or None
    returns     (N, K, OH, OW)

    I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, equation 9.9; chapter 9, (9.7). Raises
    ValueError when weight does not have as many positions as the windows that fit.
    """
    x, weight, columns, _ = _read_local(x, weight, stride, padding)
    OH, OW, K = weight.shape[:3]
    y = np.einsum("ijmt,ntij->nmij", weight.reshape(OH, OW, K, -1), columns, optimize=True)
    if bias is None:
        return y
    bias = as_array(bias, "bias")
    if bias.shape != (K, OH, OW):
        raise ValueError(f"bias must have the shape {(K, OH, OW)}, one number per output, got {bias.shape}")
    return y + bias


def locally_connected2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | Pair = 1,
    padding: Padding = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `locally_connected2d` at x, weight and bias.

    Nothing is shared, so no sum runs over positions: a weight collects from the pictures of the batch alone.
    """
    x, weight, columns, geometry = _read_local(x, weight, stride, padding)
    OH, OW, K, _, kh, kw = weight.shape
    delta = _like_output(grad_output, (len(x), K, OH, OW))
    grad_weight = np.einsum("nmij,ntij->ijmt", delta, columns, optimize=True).reshape(weight.shape)
    back = np.einsum("ijmcuv,nmij->ncuvij", weight, delta, optimize=True)
    (top, _), (left, _) = geometry.padding
    (sh, sw), grad_padded = geometry.stride, np.zeros_like(pad2d(x, geometry.padding))
    for u, v in product(range(kh), range(kw)):
        grad_padded[:, :, u : u + (OH - 1) * sh + 1 : sh, v : v + (OW - 1) * sw + 1 : sw] += back[:, :, u, v]
    return grad_padded[:, :, top:, left:][:, :, : x.shape[2], : x.shape[3]], grad_weight, delta.sum(0)


def _read_local(x, weight, stride, padding):
    """x, weight, the columns (N, C kh kw, OH, OW) and the geometry."""
    x, weight = as_array(x, "x", "(N, C, H, W)"), as_array(weight, "weight", "(OH, OW, K, C, kh, kw)")
    x, weight = to_common_dtype(x, weight)
    if weight.shape[3] != x.shape[1]:
        raise ValueError(f"weight must have {x.shape[1]} input channels to fit x, got {weight.shape[3]}")
    geometry = conv_geometry(x.shape[2:], weight.shape[4:], stride, padding)
    if weight.shape[:2] != geometry.output_size:
        raise ValueError(
            f"weight must have filters for {geometry.output_size} positions, got {weight.shape[:2]}"
        )
    columns = im2col(x, geometry.kernel_size, geometry.stride, geometry.padding)
    return x, weight, columns.reshape(*columns.shape[:2], *geometry.output_size), geometry


def tiled_conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
) -> np.ndarray:
    """A convolution that takes turns between filter banks: the weights repeat every t positions.

    x           (N, C, H, W)
    weight      (th, tw, K, C, kh, kw): output position (i, j) uses weight[i % th, j % tw]
    bias        (th, tw, K), or None
    returns     (N, K, OH, OW)

    With th = tw = 1 it is `conv2d`; with a bank for each position, `locally_connected2d`. Sources: Q. Le et
    al., "Tiled convolutional neural networks", 2010; I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning",
    2016, equation 9.10; chapter 9, (9.8).
    """
    x, weight, geometry, parts = _read_tiled(x, weight, stride, padding)
    th, tw, K = weight.shape[:3]
    if bias is not None and np.shape(bias) != (th, tw, K):
        raise ValueError(f"bias must have the shape {(th, tw, K)}, got {np.shape(bias)}")
    padded = pad2d(x, geometry.padding)
    y = np.zeros((len(x), K, *geometry.output_size), x.dtype)
    for (a, b), (rows, columns), step in parts:
        of_bank = None if bias is None else bias[a][b]
        y[:, :, a::th, b::tw] = conv2d(padded[:, :, rows, columns], weight[a, b], of_bank, step)
    return y


def tiled_conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | Pair = 1,
    padding: Padding = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `tiled_conv2d` at x, weight and bias: those of its th tw strided convolutions."""
    x, weight, geometry, parts = _read_tiled(x, weight, stride, padding)
    th, tw, K = weight.shape[:3]
    delta = _like_output(grad_output, (len(x), K, *geometry.output_size))
    padded = pad2d(x, geometry.padding)
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros_like(weight)
    grad_bias = np.zeros((th, tw, K), delta.dtype)
    for (a, b), (rows, columns), step in parts:
        seen, part = padded[:, :, rows, columns], delta[:, :, a::th, b::tw]
        grad_seen, grad_weight[a, b], grad_bias[a, b] = conv2d_backward(part, seen, weight[a, b], step)
        grad_padded[:, :, rows, columns] += grad_seen
    (top, _), (left, _) = geometry.padding
    return grad_padded[:, :, top:, left:][:, :, : x.shape[2], : x.shape[3]], grad_weight, grad_bias


def _read_tiled(x, weight, stride, padding):
    """x, weight, the geometry, and for each bank (a, b) the pixels it sees and its stride.

    Bank (a, b) serves every th-th row of outputs from row a on and every tw-th column from b on: an ordinary
    convolution with stride (th sh, tw sw) that begins a steps further down and b further right.
    """
    x, weight = as_array(x, "x", "(N, C, H, W)"), as_array(weight, "weight", "(th, tw, K, C, kh, kw)")
    x, weight = to_common_dtype(x, weight)
    if weight.shape[3] != x.shape[1]:
        raise ValueError(f"weight must have {x.shape[1]} input channels to fit x, got {weight.shape[3]}")
    geometry = conv_geometry(x.shape[2:], weight.shape[4:], stride, padding)
    th, tw, (OH, OW), (sh, sw) = *weight.shape[:2], geometry.output_size, geometry.stride
    if th > OH or tw > OW:
        raise ValueError(f"weight must have at most {(OH, OW)} banks, one a position, got {(th, tw)}")
    parts = [
        ((a, b), (slice(a * sh, None), slice(b * sw, None)), (th * sh, tw * sw))
        for a, b in product(range(th), range(tw))
    ]
    return x, weight, geometry, parts


# --- channels ----------------------------------------------------------------------------------------


def separable_conv2d(
    x: ArrayLike,
    depthwise: ArrayLike,
    pointwise: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """A depthwise convolution, then a 1×1 convolution that mixes the channels.

    x           (N, C, H, W)
    depthwise   (C M, 1, kh, kw): M filters for each channel, mostly M = 1
    pointwise   (K, C M, 1, 1)
    bias        (K,), or None
    returns     (N, K, OH, OW)

    Sources: L. Sifre, "Rigid-motion scattering for image classification", 2014; A. Howard et al.,
    "MobileNets", 2017, arXiv:1704.04861. It has kh kw C M + C M K weights: chapter 9, (9.9).
    """
    middle = conv2d(x, depthwise, None, stride, padding, dilation, groups=np.shape(x)[1])
    return conv2d(middle, pointwise, bias)


def separable_conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    depthwise: ArrayLike,
    pointwise: ArrayLike,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `separable_conv2d` at x, depthwise, pointwise and bias."""
    groups = np.shape(x)[1]
    middle = conv2d(x, depthwise, None, stride, padding, dilation, groups)
    grad_middle, grad_pointwise, grad_bias = conv2d_backward(grad_output, middle, pointwise)
    grad_x, grad_depthwise, _ = conv2d_backward(
        grad_middle, x, depthwise, stride, padding, dilation, groups, bias=False
    )
    return grad_x, grad_depthwise, grad_pointwise, grad_bias


def channel_shuffle(x: ArrayLike, groups: int) -> np.ndarray:
    """Deal the channels out, one from each group in turn: write them row by row, read column by column.

    x           (N, C, H, W), C a multiple of groups
    returns     the same shape; channel q C/g + r moves to r g + q

    X. Zhang et al., "ShuffleNet", 2018, arXiv:1707.01083.
    """
    x, groups = as_array(x, "x", "(N, C, H, W)"), as_integer(groups, "groups")
    N, C, H, W = x.shape
    if C % groups:
        raise ValueError(f"groups must divide the {C} channels of x, got {groups}")
    return x.reshape(N, groups, C // groups, H, W).swapaxes(1, 2).reshape(x.shape)


def channel_shuffle_backward(grad_output: ArrayLike, groups: int) -> np.ndarray:
    """The gradient of `channel_shuffle` at x: the shuffle that undoes it, with C/g groups."""
    return channel_shuffle(grad_output, np.shape(grad_output)[1] // groups)


# --- enlarging ---------------------------------------------------------------------------------------


def resize_matrix(input_size: int, output_size: int, mode: str = "nearest") -> np.ndarray:
    """The matrix (output_size, input_size) that resizes one axis; each row adds up to 1.

    Pixels are little squares: output pixel o has its middle at (o + 1/2) n / m - 1/2 in pixels of the input.
    "nearest" takes pixel floor(o n / m), "bilinear" weighs the two whose middles are left and right of it,
    and repeats the border. That is `align_corners=False` in PyTorch.
    """
    n, m = as_integer(input_size, "input_size"), as_integer(output_size, "output_size")
    matrix, o = np.zeros((m, n)), np.arange(m)
    if mode == "nearest":
        matrix[o, o * n // m] = 1
    elif mode == "bilinear":
        middle = np.maximum((o + 0.5) * n / m - 0.5, 0)
        left = np.minimum(middle.astype(int), n - 1)
        share = middle - left
        np.add.at(matrix, (o, left), 1 - share)
        np.add.at(matrix, (o, np.minimum(left + 1, n - 1)), share)
    else:
        raise ValueError(f'mode must be "nearest" or "bilinear", got {mode!r}')
    return matrix


def interpolate(
    x: ArrayLike, size: int | Pair | None = None, scale_factor: int | None = None, mode: str = "nearest"
) -> np.ndarray:
    """Resize pictures, as `torch.nn.functional.interpolate` with `align_corners=False`.

    x           (N, C, H, W)
    size        (OH, OW), or one integer for both; or instead
    scale_factor    a whole number of times
    mode        "nearest" or "bilinear"
    returns     (N, C, OH, OW), floats
    """
    x = as_array(x, "x", "(N, C, H, W)")
    rows, columns = _resize_matrices(x.shape[2:], size, scale_factor, mode)
    return rows @ x @ columns.T


def interpolate_backward(
    grad_output: ArrayLike,
    input_size: Pair,
    mode: str = "nearest",
) -> np.ndarray:
    """The gradient of `interpolate` at x of size (H, W): multiply by the transposed matrices."""
    delta = as_array(grad_output, "grad_output", "(N, C, OH, OW)")
    rows, columns = _resize_matrices(as_pair(input_size, "input_size"), delta.shape[2:], None, mode)
    return rows.T @ delta @ columns


def _resize_matrices(input_size, size, scale_factor, mode) -> tuple[np.ndarray, np.ndarray]:
    if (size is None) == (scale_factor is None):
        raise ValueError(f"size or scale_factor must be given, not both, got {size!r} and {scale_factor!r}")
    if size is None:
        factor = as_integer(scale_factor, "scale_factor")
        size = input_size[0] * factor, input_size[1] * factor
    rows, columns = (
        resize_matrix(n, m, mode) for n, m in zip(input_size, as_pair(size, "size"), strict=True)
    )
    return rows, columns


def pixel_shuffle(x: ArrayLike, upscale_factor: int) -> np.ndarray:
    """Lay r² channels out as the r×r pixels of a picture r times as wide and high.

    x           (N, C r², H, W)
    returns     (N, C, H r, W r); channel c r² + a r + b becomes the pixels (i r + a, j r + b) of channel c

    W. Shi et al., "Real-time single image and video super-resolution", 2016, arXiv:1609.05158.
    """
    x, r = as_array(x, "x", "(N, C r², H, W)"), as_integer(upscale_factor, "upscale_factor")
    N, C, H, W = x.shape
    if C % r**2:
        raise ValueError(f"upscale_factor must have a square that divides the {C} channels of x, got {r}")
    return x.reshape(N, C // r**2, r, r, H, W).transpose(0, 1, 4, 2, 5, 3).reshape(N, -1, H * r, W * r)


def pixel_shuffle_backward(grad_output: ArrayLike, upscale_factor: int) -> np.ndarray:
    """The gradient of `pixel_shuffle` at x: the pixels go back to their channels."""
    delta, r = as_array(grad_output, "grad_output", "(N, C, H r, W r)"), upscale_factor
    N, C, H, W = delta.shape
    parts = delta.reshape(N, C, H // r, r, W // r, r).transpose(0, 1, 3, 5, 2, 4)
    return parts.reshape(N, C * r**2, H // r, W // r)


# --- taps that move ----------------------------------------------------------------------------------


def deform_conv2d(
    x: ArrayLike,
    offset: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """A convolution whose taps move: each reads the picture at its place plus an offset, between the pixels.

    x           (N, C, H, W)
    offset      (N, 2 kh kw, OH, OW): for each tap, row by row, how far it moves down and how far right
    weight      (K, C, kh, kw)
    bias        (K,), or None
    returns     (N, K, OH, OW)

    The picture between pixels is the bilinear mean of the four around, and zero outside. All channels move
    alike. Offsets of zero give `conv2d`. As `torchvision.ops.deform_conv2d`, without masks and offset groups.
    J. Dai et al., "Deformable convolutional networks", 2017, arXiv:1703.06211; chapter 9, (9.10).
    """
    x, offset, weight, corners = _read_deform(x, offset, weight, stride, padding, dilation)
    sampled = sum(share * pixels for share, pixels, *_ in corners)  # (N, C, kh kw, OH, OW)
    K, taps = len(weight), weight.reshape(*weight.shape[:2], -1)
    y = np.einsum("mct,nctij->nmij", taps, sampled, optimize=True)
    return _plus_bias(y.reshape(len(x), K, *offset.shape[3:]), bias)


def deform_conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    offset: ArrayLike,
    weight: ArrayLike,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `deform_conv2d` at x, offset, weight and bias.

    A sample is a sum of four pixels times their shares. A pixel gets its share of what the sample gets; the
    offset gets pixel times slope of the share, which is how the network learns where to look.
    """
    arguments = x, offset, weight, stride, padding, dilation
    x, moves, weight, corners = _read_deform(*arguments)
    delta = _like_output(grad_output, (len(x), len(weight), *moves.shape[3:]))
    taps = weight.reshape(*weight.shape[:2], -1)
    sampled = sum(share * pixels for share, pixels, *_ in corners)
    grad_weight = np.einsum("nmij,nctij->mct", delta, sampled, optimize=True).reshape(weight.shape)
    grad_sampled = np.einsum("mct,nmij->nctij", taps, delta, optimize=True)
    grad_x, grad_moves = np.zeros_like(x), np.zeros_like(moves)
    n, c = np.arange(len(x)).reshape(-1, 1, 1, 1, 1), np.arange(x.shape[1]).reshape(1, -1, 1, 1, 1)
    for share, pixels, slope_y, slope_x, rows, columns, inside in corners:
        np.add.at(grad_x, (n, c, rows[:, None], columns[:, None]), share * inside[:, None] * grad_sampled)
        seen = (pixels * grad_sampled).sum(1)  # (N, kh kw, OH, OW)
        grad_moves[:, :, 0] += slope_y * seen
        grad_moves[:, :, 1] += slope_x * seen
    return grad_x, grad_moves.reshape(np.shape(offset)), grad_weight, delta.sum((0, 2, 3))


def _read_deform(x, offset, weight, stride, padding, dilation):
    """x, offset (N, kh kw, 2, OH, OW), weight, and for each of the four pixels around the samples:

    share (N, 1, kh kw, OH, OW), pixels (N, C, kh kw, OH, OW), the slopes of the share down and right, and the
    pixels' rows and columns, with `inside` False where they lie outside of the picture.
    """
    x, weight = as_array(x, "x", "(N, C, H, W)"), as_array(weight, "weight", "(K, C, kh, kw)")
    offset = as_array(offset, "offset", "(N, 2 kh kw, OH, OW)")
    x, weight, offset = to_common_dtype(x, weight, offset)
    if weight.shape[1] != x.shape[1]:
        raise ValueError(f"weight must have {x.shape[1]} input channels to fit x, got {weight.shape[1]}")
    p, (N, _, H, W), (kh, kw) = as_pair(padding, "padding", 0), x.shape, weight.shape[2:]
    geometry = conv_geometry((H, W), (kh, kw), stride, p, dilation)
    (sh, sw), (dh, dw), (OH, OW) = geometry.stride, geometry.dilation, geometry.output_size
    if offset.shape != (N, 2 * kh * kw, OH, OW):
        raise ValueError(f"offset must have the shape {(N, 2 * kh * kw, OH, OW)}, got {offset.shape}")
    offset = offset.reshape(N, kh * kw, 2, OH, OW)
    u, v = (axis.reshape(-1, 1, 1) for axis in np.indices((kh, kw)))
    i, j = np.indices((OH, OW))
    y_at = i * sh + u * dh - p[0] + offset[:, :, 0]  # (N, kh kw, OH, OW)
    x_at = j * sw + v * dw - p[1] + offset[:, :, 1]
    top, left = np.floor(y_at), np.floor(x_at)
    n = np.arange(N).reshape(-1, 1, 1, 1)
    corners = []
    for a, b in product((0, 1), (0, 1)):
        share_y, share_x = 1 - abs(y_at - top - a), 1 - abs(x_at - left - b)
        rows, columns = (top + a).astype(int), (left + b).astype(int)
        inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
        rows, columns = rows.clip(0, H - 1), columns.clip(0, W - 1)
        pixels = np.moveaxis(x[n, :, rows, columns], -1, 1) * inside[:, None]  # (N, C, kh kw, OH, OW)
        slopes = (2 * a - 1) * share_x, (2 * b - 1) * share_y
        corners.append(((share_y * share_x)[:, None], pixels, *slopes, rows, columns, inside))
    return x, offset, weight, corners


# --- steps that they share ---------------------------------------------------------------------------


def _plus_bias(y: np.ndarray, bias: ArrayLike | None) -> np.ndarray:
    """y (N, K, ...) plus one number per channel."""
    if bias is None:
        return y
    bias = as_array(bias, "bias")
    if bias.shape != (y.shape[1],):
        raise ValueError(f"bias must have the shape ({y.shape[1]},), one number per filter, got {bias.shape}")
    return y + bias.reshape(-1, *[1] * (y.ndim - 2))


def _like_output(grad_output: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    delta = as_array(grad_output, "grad_output")
    if delta.shape != shape:
        raise ValueError(f"grad_output must have the output's shape {shape}, got {delta.shape}")
    return delta
