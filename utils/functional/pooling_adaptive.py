"""Pooling into a given number of windows, whatever the size of the picture: global, adaptive, pyramid.

A network with dense layers needs inputs of one size. Behind these layers it does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array
from utils.functional.pooling import float_pictures, max_pool2d, max_pool2d_backward, pictures
from utils.functional.shapes import Pair, as_integer, as_pair

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "spatial_pyramid_pool",
    "spatial_pyramid_pool_backward",
]


# --- global ------------------------------------------------------------------------------------------


def global_avg_pool2d(x: ArrayLike) -> np.ndarray:
    """The mean of every channel: (N, C, H, W) to (N, C, 1, 1).

    Source: M. Lin, Q. Chen, S. Yan, "Network in network", 2014, arXiv:1312.4400.
    """
    return float_pictures(x).mean((2, 3), keepdims=True)


def global_avg_pool2d_backward(grad_output: ArrayLike, input_size: Pair) -> np.ndarray:
    """The gradient of `global_avg_pool2d`: delta / (H W) at every pixel, (N, C, H, W).

    Chapter 5, (5.8), on the right, with the whole picture as the one window.
    """
    grad_output = as_array(grad_output, "grad_output", "(N, C, 1, 1)")
    H, W = as_pair(input_size, "input_size")
    return np.broadcast_to(grad_output / (H * W), (*grad_output.shape[:2], H, W)).copy()


def global_max_pool2d(x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The largest pixel of every channel and its place row W + column, both (N, C, 1, 1)."""
    x = pictures(x)
    return max_pool2d(x, x.shape[2:])


def global_max_pool2d_backward(grad_output: ArrayLike, winner: np.ndarray, input_size: Pair) -> np.ndarray:
    """The gradient of `global_max_pool2d`: delta at the largest pixel, 0 elsewhere, (N, C, H, W)."""
    return max_pool2d_backward(grad_output, winner, input_size, input_size)


# --- adaptive ----------------------------------------------------------------------------------------


def _cells(input_size: int, output_size: int) -> list[tuple[int, int]]:
    """The windows of adaptive pooling along one axis: i goes from floor(i a / n) to ceil((i + 1) a / n).

    Chapter 5, (5.7): n windows over a pixels.
    """
    a, n = input_size, as_integer(output_size, "output_size")
    return [(i * a // n, -(-(i + 1) * a // n)) for i in range(n)]


def adaptive_avg_pool2d(x: ArrayLike, output_size: int | Pair) -> np.ndarray:
    """Averages over windows that adapt to the picture so that the output has a given size.

    x (N, C, H, W), output_size (OH, OW); returns (N, C, OH, OW), float. Window i covers the rows from
    floor(i H / OH) to ceil((i + 1) H / OH), so that windows may differ in size and overlap; as PyTorch.
    Chapter 5, (5.7).

    Averages along an axis are a matrix product: y = A x B^T with the rows of A and B adding up to 1.
    """
    x = float_pictures(x)
    A, B = _averaging(x.shape[2:], output_size, x.dtype)
    return A @ x @ B.T


def adaptive_avg_pool2d_backward(grad_output: ArrayLike, input_size: Pair) -> np.ndarray:
    """The gradient of `adaptive_avg_pool2d`: the transpose, A^T delta B. (N, C, H, W)."""
    grad_output = as_array(grad_output, "grad_output", "(N, C, OH, OW)")
    A, B = _averaging(as_pair(input_size, "input_size"), grad_output.shape[2:], grad_output.dtype)
    return A.T @ grad_output @ B


def _averaging(input_size, output_size, dtype):
    """The matrices (OH, H) and (OW, W) that average along the height and along the width."""
    matrices = []
    for a, n in zip(input_size, as_pair(output_size, "output_size"), strict=True):
        matrix = np.zeros((n, a), dtype)
        for i, (start, end) in enumerate(_cells(a, n)):
            matrix[i, start:end] = 1 / (end - start)
        matrices.append(matrix)
    return matrices


def adaptive_max_pool2d(x: ArrayLike, output_size: int | Pair) -> tuple[np.ndarray, np.ndarray]:
    """The largest pixel of each window of `adaptive_avg_pool2d`, and its place row W + column in the picture.

    x (N, C, H, W), output_size (OH, OW); returns (y, place), both (N, C, OH, OW), place int64 as in PyTorch.
    The windows are those of chapter 5, (5.7).
    """
    x = pictures(x)
    (N, C, H, W), (OH, OW) = x.shape, as_pair(output_size, "output_size")
    y, place = np.empty((N, C, OH, OW), x.dtype), np.empty((N, C, OH, OW), np.int64)
    for i, (top, bottom) in enumerate(_cells(H, OH)):
        for j, (left, right) in enumerate(_cells(W, OW)):
            window = x[:, :, top:bottom, left:right].reshape(N, C, (bottom - top) * (right - left))
            u, v = np.divmod(window.argmax(2), right - left)  # argmax returns the first of equals
            y[:, :, i, j], place[:, :, i, j] = window.max(2), (top + u) * W + left + v
    return y, place


def adaptive_max_pool2d_backward(grad_output: ArrayLike, place: np.ndarray, input_size: Pair) -> np.ndarray:
    """The gradient of `adaptive_max_pool2d`: each delta goes to its place. (N, C, H, W)."""
    grad_output = as_array(grad_output, "grad_output", "(N, C, OH, OW)")
    (N, C, OH, OW), (H, W) = grad_output.shape, as_pair(input_size, "input_size")
    grad = np.zeros((N, C, H * W), grad_output.dtype)
    n, c = np.ogrid[:N, :C]
    for i, j in np.ndindex(OH, OW):
        grad[n, c, place[:, :, i, j]] += grad_output[:, :, i, j]
    return grad.reshape(N, C, H, W)


# --- spatial pyramid ---------------------------------------------------------------------------------


def spatial_pyramid_pool(
    x: ArrayLike, levels: Sequence[int] = (4, 2, 1), windows: str = "paper"
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Maxima over n × n windows for several n: as many numbers for every size of picture.

    x           (N, C, H, W)
    levels      the numbers n; 21 = 16 + 4 + 1 windows by default
    windows     "paper": ceil(H / n) rows high, a step of floor(H / n), chapter 5, (5.6); "adaptive": as
                `adaptive_max_pool2d`, (5.7)
    returns     (y, winners): y is (N, C times the sum of n^2), level after level, in each channel after
                channel, window after window; winners, one array a level, is for the backward

    The windows of the paper are not always n × n: 7 pixels into n = 4 gives windows of 2 a step of 1, and
    there are 6 of those. Then this raises ValueError; adaptive windows always fit.
    Source: K. He, X. Zhang, S. Ren, J. Sun, "Spatial pyramid pooling in deep convolutional networks for
    visual recognition", 2014, arXiv:1406.4729, section 2.3.
    """
    x = pictures(x)
    pooled, winners = [], []
    for n in levels:
        if windows == "adaptive":
            y, winner = adaptive_max_pool2d(x, n)
        else:
            y, winner = max_pool2d(x, *_pyramid(x.shape[2:], n, windows))
        pooled.append(y.reshape(len(x), x.shape[1] * n * n))
        winners.append(winner)
    return np.concatenate(pooled, axis=1), winners


def spatial_pyramid_pool_backward(
    grad_output: ArrayLike,
    winners: list[np.ndarray],
    input_size: Pair,
    levels: Sequence[int] = (4, 2, 1),
    windows: str = "paper",
) -> np.ndarray:
    """The gradient of `spatial_pyramid_pool`: the levels' gradients, added up. (N, C, H, W)."""
    grad_output, grad, start = as_array(grad_output, "grad_output", "(N, F)"), 0, 0
    for n, winner in zip(levels, winners, strict=True):
        delta = grad_output[:, start : start + winner[0].size].reshape(winner.shape)
        start += winner[0].size
        if windows == "adaptive":
            grad = grad + adaptive_max_pool2d_backward(delta, winner, input_size)
        else:
            grad = grad + max_pool2d_backward(delta, winner, input_size, *_pyramid(input_size, n, windows))
    return grad


def _pyramid(input_size, n, windows):
    """(kernel_size, stride) of a level: ceil(H / n) and floor(H / n), for both axes: chapter 5, (5.6)."""
    if windows != "paper":
        raise ValueError(f'windows must be "paper" or "adaptive", got {windows!r}')
    n = as_integer(n, "levels")
    kernel, stride = tuple(-(-size // n) for size in input_size), tuple(size // n for size in input_size)
    counts = [(size - k) // s + 1 if s else 0 for size, k, s in zip(input_size, kernel, stride, strict=True)]
    if counts != [n, n]:
        raise ValueError(
            f'windows "paper" must give {n} × {n} windows, got {counts[0]} × {counts[1]} of {kernel[0]} × '
            f'{kernel[1]} pixels a step of {stride[0]} and {stride[1]} apart; use "adaptive"'
        )
    return kernel, stride
