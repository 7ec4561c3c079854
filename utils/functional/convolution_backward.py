"""The convolution layer, backward: from the gradient of the loss at its outputs to those at its inputs.

The layer is y[n, m, i, j] = b[m] + sum over c, u, v of w[m, c, u, v] x[n, c, i s + u d - p, j s + v d - p].
With delta = dL/dy, the chain rule says for each input of the layer: go through all outputs that it touches,
and add up delta times the number it was multiplied by there.

    dL/dw[m, c, u, v] = sum over n, i, j of delta[n, m, i, j] x[n, c, i s + u d - p, j s + v d - p]
    dL/db[m]          = sum over n, i, j of delta[n, m, i, j]
    dL/dx[n, c, a, e] = sum over m and all u, i with i s + u d - p = a, and all v, j with j s + v d - p = e,
                        of delta[n, m, i, j] w[m, c, u, v]

With s = d = 1 and p = 0 these are chapter 4, (4.16), (4.17) and (4.18); section 4.10 has the other settings.

For stride 1 the last one is a convolution of delta, with d (k - 1) - p zeros around it, and the kernel
rotated by 180 degrees: u = (a + p - i) / d runs backwards when i runs forwards. For stride s the same holds
with s - 1 zeros between the entries of delta; the code below leaves out the products with those zeros.

Sources: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998; I. Goodfellow,
Y. Bengio, A. Courville, "Deep Learning", 2016, section 9.5.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import aligned, as_array, batch_last, conv_arrays, to_common_dtype
from utils.functional.convolution import BLOCK_BYTES, in_one_product
from utils.functional.shapes import Geometry, Padding, Pair, as_integer, as_pair, conv_geometry
from utils.functional.unfold import inside, row_strips

__all__ = ["conv2d_backward", "conv2d_backward_naive", "conv2d_grad_input", "conv2d_grad_weight"]


def conv2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    bias: bool = True,
    need: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """The gradients of `conv2d(x, weight, bias, stride, padding, dilation, groups)`.

    Chapter 4, (4.16) to (4.18), with the settings of section 4.10.

    grad_output    (N, K, OH, OW), the gradient of the loss at the output
    x, weight, stride, padding, dilation, groups    as they were given to `conv2d`
    bias        whether the layer has a bias
    need        which of the three to compute; the first layer of a network has no use for grad_x
    returns     (grad_x, grad_weight, grad_bias), shaped like x, weight and (K,); None for what is not needed

    The dtype is NumPy's promotion of the three arrays. Raises ValueError as `conv2d` does, and when
    grad_output does not have the shape of the output.
    """
    delta, x, weight, geometry = _read(grad_output, x, weight, stride, padding, dilation, groups)
    return (
        grad_input(delta, weight, x.shape[2:], geometry, groups) if need[0] else None,
        grad_weight(delta, x, geometry, groups) if need[1] else None,
        delta.sum((0, 2, 3)) if bias and need[2] else None,  # over pictures, rows, columns
    )


def conv2d_backward_naive(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`conv2d_backward` in loops: those of `conv2d_naive`, where each product now sends its delta both ways.

    Arguments, results and errors as for `conv2d_backward`. To read and to compare with, not to wait for. All
    three sums, chapter 4, (4.16) to (4.18), grow term by term.
    """
    grad_output, x, weight, geometry = _read(grad_output, x, weight, stride, padding, dilation, groups)
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, bottom), (left, right) = geometry.padding
    x = np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)])
    grad_x, grad_weight, grad_bias = np.zeros_like(x), np.zeros_like(weight), np.zeros(len(weight), x.dtype)
    K, C, kh, kw = weight.shape  # C is the number of channels in one group
    for n, m, i, j in np.ndindex(grad_output.shape):
        delta = grad_output[n, m, i, j]
        grad_bias[m] += delta  # y = b + ...
        first = m // (K // groups) * C  # where the channels of filter m's group begin
        for c, u, v in np.ndindex(C, kh, kw):  # ... + w x + w x + ...
            pixel = n, first + c, i * sh + u * dh, j * sw + v * dw
            grad_weight[m, c, u, v] += delta * x[pixel]
            grad_x[pixel] += delta * weight[m, c, u, v]
    H, W = grad_x.shape[2:]
    return grad_x[:, :, top : H - bottom, left : W - right], grad_weight, grad_bias


def grad_weight(delta: np.ndarray, x: np.ndarray, geometry: Geometry, groups: int = 1) -> np.ndarray:
    """The gradient at the weight: delta times the pixel that each weight was multiplied by.

    delta (N, K, OH, OW), x (N, C, H, W); returns (K, C/groups, kh, kw). Chapter 4, (4.16).

    How: what kernel column v sees in a row is a matrix with a row for each (u, c) and a column for each
    (j, n), as in `conv2d`. Times the row of delta, transposed, this sums over j and n. With few channels the
    rows are copied together first (`row_strips`), with many they are taken as they lie.
    """
    K, C, (kh, kw) = delta.shape[1] // groups, x.shape[1] // groups, geometry.kernel_size
    x, delta = batch_last(x, groups), batch_last(delta, groups)  # (H, g, C/g, W, N), (OH, g, K/g, OW, N)
    grad = np.zeros((kw, groups, kh, C, K), x.dtype)
    if in_one_product(geometry, C, K):
        _add_row_by_row(x, delta, geometry, grad)
    else:
        deltas = delta.reshape(*delta.shape[:3], math.prod(delta.shape[3:])).swapaxes(2, 3)
        block = max(1, BLOCK_BYTES // max(1, delta[0].nbytes))  # rows of outputs at a time
        for rows, seen in row_strips(x, geometry, block):
            for v in range(kw):
                grad[v] += (seen[v] @ deltas[rows]).sum(0).reshape(grad[v].shape)
    return grad.transpose(1, 4, 3, 2, 0).reshape(groups * K, C, kh, kw)


def _add_row_by_row(x, delta, geometry, grad):
    """Add to grad (kw, g, kh, C/g, K/g) from x (H, g, C/g, W, N) and delta (OH, g, K/g, OW, N)."""
    (H, g, C, W, N), (OH, _, K, OW, _), (kh, kw) = x.shape, delta.shape, geometry.kernel_size
    (sh, sw), (dh, dw), ((top, _), (left, _)) = geometry.stride, geometry.dilation, geometry.padding
    for i, v in np.ndindex(OH, kw):
        u, rows = inside(i * sh - top, dh, kh, H)  # the kernel rows that see rows of the picture
        outputs, columns = inside(v * dw - left, sw, OW, W)
        seen = x[rows, ..., columns, :].swapaxes(0, 1)  # (g, kh, C/g, columns, N)
        depth, count = seen.shape[1] * C, seen.shape[3] * N
        deltas = delta[i, :, :, outputs].reshape(g, K, count).swapaxes(1, 2)
        grad[v][:, u] += (seen.reshape(g, depth, count) @ deltas).reshape(grad[v][:, u].shape)


def grad_input(
    delta: np.ndarray, weight: np.ndarray, input_size: Pair, geometry: Geometry, groups: int = 1
) -> np.ndarray:
    """The gradient at the input: delta goes back to all pixels of its window, times the weight in between.

    delta (N, K, OH, OW), weight (K, C/groups, kh, kw), input_size (H, W); returns (N, C, H, W).
    Chapter 4, (4.18).

    How: row by row of the input. The output rows i that saw input row a lie below each other in memory, and
    so do, in the kernel turned upside down, the kernel rows u = (a + p - i s) / d through which they saw it.
    One matrix product sums over u and m. What it gives for kernel column v is added v d pixels to the right.
    """
    (N, *_, OW), (K, C, kh, kw), (H, W) = delta.shape, weight.shape, input_size
    (top, _), (left, _), sw, dw = *geometry.padding, geometry.stride[1], geometry.dilation[1]
    delta = batch_last(delta, groups).swapaxes(0, 1)  # (g, OH, K/g, OW, N)
    taps = weight[:, :, ::-1].reshape(groups, K // groups, C, kh, kw).transpose(0, 4, 2, 3, 1)
    taps = np.ascontiguousarray(taps)  # (g, kw, C/g, kh, K/g), upside down
    meet = [inside(v * dw - left, sw, OW, W) for v in range(kw)]  # (outputs, pixels) of kernel column v
    grad = aligned((H, groups, C, W, N), weight.dtype)
    for a in range(H):
        outputs, rows = meetings(a + top, geometry)
        seen, through = delta[:, outputs], taps[..., rows, :]
        depth = seen.shape[1] * seen.shape[2]  # how many (i, m) touch this row
        spread = through.reshape(groups, kw * C, depth) @ seen.reshape(groups, depth, OW * N)
        spread = spread.reshape(groups, kw, C, OW, N)
        grad[a] = 0
        for v, (outputs, pixels) in enumerate(meet):
            grad[a, :, :, pixels] += spread[:, v, :, outputs]
    return grad.reshape(H, groups * C, W, N).transpose(3, 1, 0, 2)


def meetings(a: int, geometry: Geometry) -> tuple[slice, slice]:
    """The output rows i and kernel rows u that meet in row a of the padded picture: i s + u d = a.

    Two slices that run side by side: i forwards, and u backwards, which is forwards in the kernel turned
    upside down.
    """
    k, s, d = geometry.kernel_size[0], geometry.stride[0], geometry.dilation[0]
    OH = geometry.output_size[0]
    rows = [u for u in range(k) if (a - u * d) % s == 0 and 0 <= (a - u * d) // s < OH]
    if not rows:  # no window looked at this row
        return slice(0), slice(0)
    first, last = (a - rows[-1] * d) // s, (a - rows[0] * d) // s
    step = math.gcd(s, d)
    return slice(first, last + 1, d // step), slice(k - 1 - rows[-1], k - rows[0], s // step)


def conv2d_grad_weight(
    grad_output: ArrayLike,
    x: ArrayLike,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Only the gradient at the weight, without needing the weight; as `torch.nn.grad.conv2d_weight`.

    grad_output (N, K, OH, OW), x (N, C, H, W); returns (K, C/groups, kh, kw). Errors as `conv2d_backward`.
    Chapter 4, (4.16).
    """
    delta, x = as_array(grad_output, "grad_output", "(N, K, OH, OW)"), as_array(x, "x", "(N, C, H, W)")
    shape = delta.shape[1], x.shape[1] // as_integer(groups, "groups"), *as_pair(kernel_size, "kernel_size")
    stand_in = np.broadcast_to(delta.dtype.type(0), shape)  # only its shape counts
    delta, x, _, geometry = _read(delta, x, stand_in, stride, padding, dilation, groups)
    return grad_weight(delta, x, geometry, groups)


def conv2d_grad_input(
    grad_output: ArrayLike,
    weight: ArrayLike,
    input_size: int | Pair,
    stride: int | Pair = 1,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Only the gradient at the input, without needing the input; as `torch.nn.grad.conv2d_input`.

    grad_output (N, K, OH, OW), weight (K, C/groups, kh, kw), input_size (H, W); returns (N, C, H, W).
    Errors as `conv2d_backward`. Chapter 4, (4.18); it is the transpose of `conv2d`, (4.20), see
    `conv_transpose2d`.
    """
    delta = as_array(grad_output, "grad_output", "(N, K, OH, OW)")
    weight = as_array(weight, "weight", "(K, C/groups, kh, kw)")
    size = as_pair(input_size, "input_size")
    shape = len(delta), weight.shape[1] * as_integer(groups, "groups"), *size
    stand_in = np.broadcast_to(delta.dtype.type(0), shape)  # only its shape counts
    delta, _, weight, geometry = _read(delta, stand_in, weight, stride, padding, dilation, groups)
    return grad_input(delta, weight, size, geometry, groups)


def _read(grad_output, x, weight, stride, padding, dilation, groups):
    """The arguments checked: grad_output, x, weight in one dtype, and the geometry of the layer."""
    x, weight, _ = conv_arrays(x, weight, None, groups)
    geometry = conv_geometry(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    grad_output = as_array(grad_output, "grad_output", "(N, K, OH, OW)")
    expected = len(x), len(weight), *geometry.output_size
    if grad_output.shape != expected:
        raise ValueError(f"grad_output must have the output's shape {expected}, got {grad_output.shape}")
    return *to_common_dtype(grad_output, x, weight), geometry
