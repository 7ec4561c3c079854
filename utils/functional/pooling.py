"""Pooling: every window of a channel becomes one number. Forward and backward, channel by channel.

A window of kh kw pixels is seen as kh kw taps: tap t = u kw + v is the picture shifted so that entry
(i, j) is the pixel in row u, column v of window (i, j). Taps are views. Pooling is then a running maximum or
sum over whole taps, and its backward adds to the taps of the gradient:

    maximum   y = x[winner]                       all of delta goes to the winner, the others get nothing
    sum       y = sum over t of x[t]              delta goes to every pixel of the window
    average   y = (sum over t of x[t]) / count    delta / count goes to every pixel of the window
    L_p       y = (sum over t of |x[t]|^p)^(1/p)  pixel t gets delta sign(x[t]) (|x[t]| / y)^(p - 1)

A pixel that several windows see collects from all of them: chapter 5, (5.8) for maximum and average. Among
equal pixels the first wins, row by row, as PyTorch has it. Integers are pooled exactly, in int64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array, to_common_dtype
from utils.functional.shapes import (
    Geometry,
    Padding,
    Pair,
    as_pair,
    axis_padding,
    conv_output_size,
    window_extent,
)

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "lp_pool2d",
    "lp_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_indices",
    "min_pool2d",
    "min_pool2d_backward",
    "pool_geometry",
    "stochastic_pool2d",
    "stochastic_pool2d_backward",
    "sum_pool2d",
    "sum_pool2d_backward",
]


# --- windows and taps --------------------------------------------------------------------------------


def pool_geometry(
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> Geometry:
    """The arguments of a pooling layer, read and checked, with the output size that they give, (5.5).

    stride      None for the kernel size, so that the windows tile the picture
    padding     integers; at most half of what a window spans, so that none lies wholly outside
    ceil_mode   when the last pixels of an axis are too few for a whole window, let one more window look at
                them, over the edge; it must begin before the end of the picture

    The padding of the result includes what the last window needs over the edge. Raises ValueError that names
    the argument.
    """
    stride = kernel_size if stride is None else stride
    sizes, kernel = as_pair(input_size, "input_size"), as_pair(kernel_size, "kernel_size")
    strides, dilations = as_pair(stride, "stride"), as_pair(dilation, "dilation")
    paddings = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    if isinstance(padding, str) or len(paddings) != 2:
        raise ValueError(
            "padding must be an integer, a pair (height, width) or ((top, bottom), (left, right)), "
            f"got {padding!r}"
        )
    zeros, outputs = [], []
    for n, k, s, p, d in zip(sizes, kernel, strides, paddings, dilations, strict=True):
        (before, after), extent = axis_padding(p, k), window_extent(k, d)
        if 2 * max(before, after) > extent:
            raise ValueError(
                f"padding must be at most half of the {extent} pixels that a window spans, "
                f"got {max(before, after)} with kernel_size {k} and dilation {d}"
            )
        more = s - 1 if ceil_mode else 0  # floor((m + s - 1) / s) is ceil(m / s)
        output = conv_output_size(n, k, s, (before, after + more), d)
        if (output - 1) * s >= before + n:  # the last window would see nothing but padding
            output -= 1
        zeros.append((before, max(after, (output - 1) * s + extent - n - before)))
        outputs.append(output)
    return Geometry(kernel, strides, tuple(zeros), dilations, tuple(outputs))


def _taps(x: np.ndarray, geometry: Geometry) -> Iterator[np.ndarray]:
    """For each pixel of a window, first to last, the view (N, C, OH, OW) of what all windows see there."""
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    OH, OW = geometry.output_size
    for u in range(kh):
        for v in range(kw):
            yield x[:, :, u * dh : u * dh + (OH - 1) * sh + 1 : sh, v * dw : v * dw + (OW - 1) * sw + 1 : sw]


def _padded(x: np.ndarray, geometry: Geometry, value: float) -> np.ndarray:
    """`x` with `value` around it, in the memory order of x; x itself where there is nothing to add."""
    (top, bottom), (left, right) = geometry.padding
    N, C, H, W = x.shape
    if top == bottom == left == right == 0:
        return x
    padded = np.full_like(x, value, shape=(N, C, top + H + bottom, left + W + right))
    padded[:, :, top : top + H, left : left + W] = x
    return padded


def _zeros(grad_output: np.ndarray, input_size: int | Pair, geometry: Geometry) -> np.ndarray:
    """Zeros for the gradient at the padded input, in the memory order of grad_output."""
    (top, bottom), (left, right), (H, W) = *geometry.padding, as_pair(input_size, "input_size")
    return np.zeros_like(grad_output, shape=(*grad_output.shape[:2], top + H + bottom, left + W + right))


def _inside(padded: np.ndarray, input_size: int | Pair, geometry: Geometry) -> np.ndarray:
    """The view (N, C, H, W) of what is not padding."""
    (top, _), (left, _), (H, W) = *geometry.padding, as_pair(input_size, "input_size")
    return padded[:, :, top : top + H, left : left + W]


# --- maximum and minimum -----------------------------------------------------------------------------


def max_pool2d(
    x: ArrayLike,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The largest pixel of every window, and which one it was.

    x           (N, C, H, W)
    kernel_size, stride, padding, dilation, ceil_mode    see `pool_geometry`; the padding never wins
    returns     (y, winner), both (N, C, OH, OW); y has the dtype of x (integers: int64), winner is the number
                u kw + v of the largest pixel in its window, in the smallest unsigned integer that holds it

    A NaN in a window makes y NaN. Raises ValueError that names the argument. An empty batch is welcome.
    `max_pool2d_backward` needs winner.
    """
    x = pictures(x)
    geometry = pool_geometry(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    taps = _taps(_padded(x, geometry, lowest), geometry)
    y = next(taps).copy(order="K")
    kh, kw = geometry.kernel_size
    winner = np.zeros_like(y, np.min_scalar_type(kh * kw - 1))
    for t, tap in enumerate(taps, start=1):
        better = (tap > y).view(np.uint8)  # 1 where this pixel beats all before it; a tie does not
        np.maximum(y, tap, out=y)
        np.maximum(winner, better * winner.dtype.type(t), out=winner)  # t only grows: the last to win stays
    return y, winner


def max_pool2d_backward(
    grad_output: ArrayLike,
    winner: np.ndarray,
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The gradient of `max_pool2d` at its input: each delta goes to the winner of its window.

    grad_output (N, C, OH, OW), winner as `max_pool2d` returned it, input_size (H, W); returns (N, C, H, W).
    Chapter 5, (5.8), on the left.
    """
    geometry = pool_geometry(input_size, kernel_size, stride, padding, dilation, ceil_mode)
    grad_output = deltas(grad_output, geometry)
    if np.shape(winner) != grad_output.shape:
        raise ValueError(
            f"winner must have the shape of grad_output {grad_output.shape}, got {np.shape(winner)}"
        )
    extent = map(window_extent, geometry.kernel_size, geometry.dilation)
    apart = all(e <= s for e, s in zip(extent, geometry.stride, strict=True))  # no pixel is in two windows
    grad = _zeros(grad_output, input_size, geometry)
    for t, tap in enumerate(_taps(grad, geometry)):
        if apart:
            np.multiply(grad_output, winner == t, out=tap)
        else:
            tap += grad_output * (winner == t)
    return _inside(grad, input_size, geometry)


def max_pool2d_indices(
    winner: np.ndarray,
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """Where in the picture the winners stand: row W + column, (N, C, OH, OW) int64.

    The same numbers as `torch.nn.functional.max_pool2d(..., return_indices=True)`.
    """
    geometry = pool_geometry(input_size, kernel_size, stride, padding, dilation, ceil_mode)
    (_, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    u, v = np.divmod(winner.astype(np.int64), kw)
    row = np.arange(geometry.output_size[0])[:, None] * sh + u * dh - top
    column = np.arange(geometry.output_size[1]) * sw + v * dw - left
    return row * as_pair(input_size, "input_size")[1] + column


def min_pool2d(x: ArrayLike, *args, **kwargs) -> tuple[np.ndarray, np.ndarray]:
    """The smallest pixel of every window, and which one it was. Arguments and results as for `max_pool2d`."""
    y, winner = max_pool2d(-pictures(x), *args, **kwargs)
    return -y, winner


min_pool2d_backward = max_pool2d_backward  # the smallest pixel gets the gradient; two minus signs cancel


# --- sum and average ---------------------------------------------------------------------------------


def sum_pool2d(
    x: ArrayLike,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The sum of every window; pixels outside the picture count 0.

    x (N, C, H, W), the other arguments as for `pool_geometry`; returns (N, C, OH, OW).
    """
    x = pictures(x)
    geometry = pool_geometry(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    taps = _taps(_padded(x, geometry, 0), geometry)
    y = next(taps).copy(order="K")
    for tap in taps:
        y += tap
    return y


def sum_pool2d_backward(
    grad_output: ArrayLike,
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The gradient of `sum_pool2d` at its input: delta at every pixel of its window, (N, C, H, W)."""
    geometry = pool_geometry(input_size, kernel_size, stride, padding, dilation, ceil_mode)
    grad_output = deltas(grad_output, geometry)
    grad = _zeros(grad_output, input_size, geometry)
    for tap in _taps(grad, geometry):
        tap += grad_output
    return _inside(grad, input_size, geometry)


def avg_pool2d(
    x: ArrayLike,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """The mean of every window.

    x           (N, C, H, W)
    kernel_size, stride, padding, ceil_mode    see `pool_geometry`
    count_include_pad    whether the zeros of the padding count as pixels of the window; what `ceil_mode` adds
                over the edge never counts
    returns     (N, C, OH, OW), float
    """
    x = pictures(x)
    counts = _counts(x.shape[2:], kernel_size, stride, padding, ceil_mode, count_include_pad)
    total = sum_pool2d(x, kernel_size, stride, padding, 1, ceil_mode)
    return total / counts.astype(total.dtype)


def avg_pool2d_backward(
    grad_output: ArrayLike,
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> np.ndarray:
    """The gradient of `avg_pool2d` at its input: every pixel of a window gets delta / count. (N, C, H, W).

    Chapter 5, (5.8), on the right.
    """
    grad_output = as_array(grad_output, "grad_output", "(N, C, OH, OW)")
    deltas(grad_output, pool_geometry(input_size, kernel_size, stride, padding, 1, ceil_mode))
    counts = _counts(input_size, kernel_size, stride, padding, ceil_mode, count_include_pad)
    share = grad_output / counts.astype(grad_output.dtype)
    return sum_pool2d_backward(share, input_size, kernel_size, stride, padding, 1, ceil_mode)


def _counts(input_size, kernel_size, stride, padding, ceil_mode, count_include_pad) -> np.ndarray:
    """How many pixels each window of `avg_pool2d` counts, (OH, OW)."""
    geometry = pool_geometry(input_size, kernel_size, stride, padding, 1, ceil_mode)
    paddings = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    counts = []
    for n, k, s, p, output in zip(
        as_pair(input_size, "input_size"), *geometry[:2], paddings, geometry.output_size, strict=True
    ):
        before, after = axis_padding(p, k)
        first = np.arange(output) * s - before  # where each window begins and ends
        last = first + k
        low, high = (-before, n + after) if count_include_pad else (0, n)
        counts.append(np.minimum(last, high) - np.maximum(first, low))
    return np.outer(*counts)


# --- L_p ---------------------------------------------------------------------------------------------


def lp_pool2d(
    x: ArrayLike,
    norm_type: float,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The L_p norm of every window, (sum of |x|^p)^(1/p): chapter 5, (5.4).

    The sum of |x| for p = 1, the Euclidean length for p = 2, nearly the largest |x| for large p.

    x (N, C, H, W), norm_type the number p > 0, the others as for `pool_geometry`; returns (N, C, OH, OW).

    PyTorch's `lp_pool2d` takes x^p for |x|^p; both agree for even p and where x is not negative.
    Source: P. Sermanet, S. Chintala, Y. LeCun, "Convolutional neural networks applied to house numbers digit
    classification", 2012, arXiv:1204.3968.
    """
    x = float_pictures(x)
    if not norm_type > 0:
        raise ValueError(f"norm_type must be a number above 0, got {norm_type}")
    return sum_pool2d(np.abs(x) ** norm_type, kernel_size, stride, 0, 1, ceil_mode) ** (1 / norm_type)


def lp_pool2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    norm_type: float,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The gradient of `lp_pool2d` at x: delta sign(x) (|x| / y)^(p - 1), and 0 where x is 0.

    The derivative of chapter 5, (5.4).
    """
    x, y = float_pictures(x), lp_pool2d(x, norm_type, kernel_size, stride, ceil_mode)
    grad_output = as_array(grad_output, "grad_output", "(N, C, OH, OW)")
    geometry = pool_geometry(x.shape[2:], kernel_size, stride, 0, 1, ceil_mode)
    grad_output = deltas(grad_output, geometry)
    safe = np.where(y > 0, y, 1)
    grad = _zeros(grad_output, x.shape[2:], geometry)
    for tap, pixel in zip(_taps(grad, geometry), _taps(_padded(x, geometry, 0), geometry), strict=True):
        size = np.abs(pixel) / safe
        tap += grad_output * np.sign(pixel) * np.where(size > 0, size, 1) ** (norm_type - 1)
    return _inside(grad, x.shape[2:], geometry)


# --- stochastic --------------------------------------------------------------------------------------


def stochastic_pool2d(
    x: ArrayLike,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    rng: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """One pixel of every window, drawn with a probability proportional to its value.

    x           (N, C, H, W), not negative: put it behind a ReLU
    rng         draws the pixels, while training; None gives what testing needs, the expected value
                sum of x^2 / sum of x
    returns     (y, winner) as `max_pool2d`; winner is None without rng. A window of zeros gives 0.

    Source: M. Zeiler, R. Fergus, "Stochastic pooling for regularization of deep convolutional neural
    networks", 2013, arXiv:1301.3557.
    """
    x = float_pictures(x)
    if x.size and x.min() < 0:
        raise ValueError(f"x must not be negative to serve as probabilities, got {x.min()}")
    geometry = pool_geometry(x.shape[2:], kernel_size, stride)
    total = sum_pool2d(x, kernel_size, stride)
    if rng is None:
        squares = sum_pool2d(x * x, kernel_size, stride)
        return squares / np.where(total > 0, total, 1), None
    mark = (
        rng.random(total.shape).astype(x.dtype) * total
    )  # a point on the line where all pixels are laid out
    taps = np.stack(list(_taps(x, geometry)))  # (kh kw, N, C, OH, OW)
    passed = np.cumsum(taps, axis=0) <= mark  # the pixels that end before the mark
    winner = np.minimum(passed.sum(0), len(taps) - 1)
    y = np.take_along_axis(taps, winner[None], axis=0)[0]
    return y, winner.astype(np.min_scalar_type(len(taps) - 1))


def stochastic_pool2d_backward(
    grad_output: ArrayLike,
    winner: np.ndarray,
    input_size: int | Pair,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
) -> np.ndarray:
    """The gradient of `stochastic_pool2d`, trained with rng: each delta goes to the pixel that was drawn."""
    return max_pool2d_backward(grad_output, winner, input_size, kernel_size, stride)


# --- arguments ---------------------------------------------------------------------------------------


def pictures(x):
    """x as (N, C, H, W), neither without channels nor without pixels; integers as int64."""
    x = as_array(x, "x", "(N, C, H, W)")
    if 0 in x.shape[1:]:
        raise ValueError(f"x must have at least one channel, row and column, got shape {x.shape}")
    return to_common_dtype(x)[0]


def float_pictures(x):
    x = pictures(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def deltas(grad_output, geometry):
    """grad_output as (N, C, OH, OW) of floats, with the output size of the layer."""
    grad_output = as_array(grad_output, "grad_output", "(N, C, OH, OW)")
    if grad_output.shape[2:] != geometry.output_size:
        raise ValueError(
            f"grad_output must have {geometry.output_size} rows and columns, as the output, "
            f"got {grad_output.shape[2:]}"
        )
    return grad_output
