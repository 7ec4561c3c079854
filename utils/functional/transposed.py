"""The transposed convolution: the gradient of a convolution, used as a layer of its own.

A convolution y = M x is a matrix M, and the gradient at its input is dL/dx = M^T dL/dy: chapter 4, (4.20).
The layer y = M^T x turns a small picture into a large one: each pixel of x stamps a copy of the kernel onto
y, s pixels from the next, and where the stamps overlap they add up. Along an axis of n pixels the output has
(n - 1) s + d (k - 1) + 1 - 2 p. It undoes the *shape* of a convolution, not its values: it is not a
deconvolution.

Sources: M. Zeiler et al., "Deconvolutional networks", 2010; V. Dumoulin, F. Visin, "A guide to convolution
arithmetic for deep learning", 2016, arXiv:1603.07285, chapter 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array
from utils.functional.convolution import conv2d
from utils.functional.convolution_backward import conv2d_grad_input, conv2d_grad_weight
from utils.functional.shapes import Pair, as_integer, as_pair, window_extent

__all__ = ["conv_transpose2d", "conv_transpose2d_backward", "conv_transpose_output_size"]


def conv_transpose_output_size(
    input_size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """The output size along one axis: (n - 1) s + d (k - 1) + 1 - 2 p + output_padding.

    A convolution with stride s maps s different input sizes to one output size; output_padding, less than the
    stride or the dilation, says which of them to go back to. Raises ValueError when nothing would be left.
    """
    n, k = as_integer(input_size, "input_size"), as_integer(kernel_size, "kernel_size")
    s, d = as_integer(stride, "stride"), as_integer(dilation, "dilation")
    p, extra = as_integer(padding, "padding", 0), as_integer(output_padding, "output_padding", 0)
    if extra >= max(s, d):
        raise ValueError(f"output_padding must be less than stride {s} or dilation {d}, got {extra}")
    size = (n - 1) * s + window_extent(k, d) - 2 * p + extra
    if size < 1:
        raise ValueError(f"padding must leave at least one pixel of the output, got {p}: {size} pixels")
    return size


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> np.ndarray:
    """The transposed convolution, arguments in the order of `torch.nn.functional.conv_transpose2d`.

    x           (N, C, H, W)
    weight      (C, K/groups, kh, kw): that of the convolution from K to C channels whose transpose this is
    bias        (K,), or None for no bias
    padding     how many rows and columns of the output to leave out at each side
    output_padding    rows and columns to add at the bottom and right, see `conv_transpose_output_size`
    returns     (N, K, OH, OW)

    Source: chapter 4, (4.20). Raises ValueError as `conv2d` does.
    """
    x, weight, size, layer = _read(x, weight, stride, padding, output_padding, groups, dilation)
    y = conv2d_grad_input(x, weight, size, *layer)
    if bias is None:
        return y
    bias = as_array(bias, "bias")
    if bias.shape != (y.shape[1],):
        raise ValueError(f"bias must have the shape ({y.shape[1]},), one number a channel, got {bias.shape}")
    return y + bias[:, None, None]


def conv_transpose2d_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
    bias: bool = True,
    need: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """The gradients of `conv_transpose2d` at x, weight and bias; None for what is not needed.

    With y = M^T x, dL/dx = M dL/dy: a plain convolution, by chapter 4, (4.20). And dL/dM has the same
    products as that of a convolution, with input and gradient in each other's place.
    """
    H, W = np.shape(x)[2:]
    x, weight, size, layer = _read(x, weight, stride, padding, output_padding, groups, dilation)
    grad_output = as_array(grad_output, "grad_output", "(N, K, OH, OW)")
    expected = len(x), weight.shape[1] * groups, *size
    if grad_output.shape != expected:
        raise ValueError(f"grad_output must have the output's shape {expected}, got {grad_output.shape}")
    return (
        conv2d(grad_output, weight, None, *layer)[:, :, :H, :W] if need[0] else None,
        conv2d_grad_weight(x, grad_output, weight.shape[2:], *layer) if need[1] else None,
        grad_output.sum((0, 2, 3)) if bias and need[2] else None,
    )


def _read(x, weight, stride, padding, output_padding, groups, dilation):
    """x, weight, the output size, and the arguments of the convolution that is transposed.

    An output_padding of a stride or more (the dilation may allow it) makes room for more windows of that
    convolution than x has pixels: x gets zeros for them.
    """
    x, weight = as_array(x, "x", "(N, C, H, W)"), as_array(weight, "weight", "(C, K/groups, kh, kw)")
    if x.shape[1] != len(weight):
        raise ValueError(
            f"weight must have {x.shape[1]} filters, as many as x has channels, got {len(weight)}"
        )
    stride, dilation = as_pair(stride, "stride"), as_pair(dilation, "dilation")
    padding, extra = as_pair(padding, "padding", 0), as_pair(output_padding, "output_padding", 0)
    axes = x.shape[2:], weight.shape[2:], stride, padding, extra, dilation
    size = tuple(map(conv_transpose_output_size, *axes))
    room = [(0, e // s) for e, s in zip(extra, stride, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *room]) if room != [(0, 0), (0, 0)] else x
    return x, weight, size, (stride, padding, dilation, as_integer(groups, "groups"))
