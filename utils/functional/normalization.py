"""Batch normalization: every channel shifted to mean 0 and scaled to variance 1, then by learned numbers.

    xhat = (x - mean) / sqrt(variance + eps)          y = weight xhat + bias

In training, mean and variance are those of the batch, over everything but the channel axis: m numbers a
channel. Then they depend on every x, and the chain rule has three paths from x to xhat, which add up to

    dL/dx = weight / sqrt(variance + eps) (delta - mean(delta) - xhat mean(delta xhat))

Chapter 10, (10.6) forward, (10.7) to (10.9) backward. In evaluation they are the running averages kept while
training, (10.10): constants, and only the first term is left.
Source: S. Ioffe, C. Szegedy, "Batch normalization", 2015, arXiv:1502.03167.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array

__all__ = ["batch_norm", "batch_norm_backward"]


def batch_norm(
    x: ArrayLike,
    running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> np.ndarray:
    """Batch normalization, chapter 10, (10.6); arguments as `torch.nn.functional.batch_norm`.

    x           (N, C), (N, C, L) or (N, C, H, W)
    running_mean, running_var    (C,), or None. In evaluation they are used. In training they are changed in
                place: (1 - momentum) old + momentum batch, with the unbiased variance (divided by m - 1)
    weight, bias    (C,), or None for 1 and 0
    returns     the shape of x

    Raises ValueError for sizes that do not match, for a single value a channel in training (its variance is
    0), and for evaluation without running averages.
    """
    x, weight = _read(x, weight)
    mean, variance = _statistics(x, running_mean, running_var, training)
    if training and running_mean is not None:
        m = x.size // x.shape[1]
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (variance * m / (m - 1) - running_var)
    y = _normalized(x, mean, variance, eps) * _column(weight, x)
    return y if bias is None else y + _column(_channels(bias, "bias", x), x)


def batch_norm_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None,
    weight: ArrayLike | None = None,
    training: bool = False,
    eps: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `batch_norm` at x, weight and bias: (grad_x, grad_weight, grad_bias).

    Chapter 10, (10.9) and (10.7).

    grad_output has the shape of x; the other arguments are those of `batch_norm`. Running averages are not
    changed here, and used in evaluation only.
    """
    x, weight = _read(x, weight)
    grad_output = as_array(grad_output, "grad_output")
    if grad_output.shape != x.shape:
        raise ValueError(f"grad_output must have the shape of x, {x.shape}, got {grad_output.shape}")
    mean, variance = _statistics(x, running_mean, running_var, training)
    xhat, axes = _normalized(x, mean, variance, eps), _batch_axes(x)
    grad_bias, grad_weight = grad_output.sum(axes), (grad_output * xhat).sum(axes)
    scale = _column(weight / np.sqrt(variance + eps), x)
    if not training:
        return grad_output * scale, grad_weight, grad_bias
    m = x.size // x.shape[1]
    centered = grad_output - _column(grad_bias / m, x) - xhat * _column(grad_weight / m, x)
    return centered * scale, grad_weight, grad_bias


def _statistics(x, running_mean, running_var, training):
    """Mean and (biased) variance of every channel, (C,): the batch's in training, else the running ones."""
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must both be arrays or both None, got one of each")
    if running_mean is not None:
        _channels(running_mean, "running_mean", x), _channels(running_var, "running_var", x)
    if not training:
        if running_mean is None:
            raise ValueError("running_mean and running_var must be given when training is False, got None")
        return running_mean, running_var
    if x.size <= x.shape[1]:
        raise ValueError(f"x must hold more than one value a channel in training, got shape {x.shape}")
    return x.mean(_batch_axes(x)), x.var(_batch_axes(x))


def _normalized(x, mean, variance, eps):
    return (x - _column(mean, x)) * _column(1 / np.sqrt(variance + eps), x)


def _batch_axes(x):
    """All axes but the channels: (0,), (0, 2) or (0, 2, 3)."""
    return (0, *range(2, x.ndim))


def _column(values, x):
    """(C,) as (C, 1, 1), so that it meets the channel axis of x."""
    return np.reshape(values, (-1,) + (1,) * (x.ndim - 2)).astype(x.dtype, copy=False)


def _channels(values, name, x):
    values = as_array(values, name)
    if values.shape != (x.shape[1],):
        raise ValueError(
            f"{name} must have the shape ({x.shape[1]},), one number a channel, got {values.shape}"
        )
    return values


def _read(x, weight):
    x = as_array(x, "x", "(N, C)", "(N, C, L)", "(N, C, H, W)")
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    return x, np.ones(x.shape[1], x.dtype) if weight is None else _channels(weight, "weight", x)
