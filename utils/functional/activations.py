"""Activations: the element-wise non-linearities, softmax, and their derivatives.

An element-wise activation y = f(x) has the gradient dL/dx = dL/dy f'(x), entry by entry: chapter 5, (5.2).
Softmax mixes the entries of a row, so its gradient does too. All functions take arrays of any shape; the
dtype of the result is that of a float input, and float64 for integers.

| activation | f(x)                          | f'(x)                                    |
|------------|-------------------------------|------------------------------------------|
| ReLU       | max(x, 0)                     | 1 if x > 0, else 0                       |
| leaky ReLU | x if x > 0, else a x          | 1 if x > 0, else a                       |
| ELU        | x if x > 0, else a (e^x - 1)  | 1 if x > 0, else a e^x                   |
| sigmoid    | 1 / (1 + e^-x)                | y (1 - y), at most 1/4                   |
| tanh       | (e^x - e^-x) / (e^x + e^-x)   | 1 - y^2, at most 1                       |
| GELU       | x Phi(x)                      | Phi(x) + x phi(x), normal CDF, density   |

At the kink of ReLU, x = 0, the derivative is taken to be 0, as PyTorch does.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]


# --- the ReLU family ---------------------------------------------------------------------------------


def relu(x: ArrayLike) -> np.ndarray:
    """The rectified linear unit, max(x, 0). Shape and dtype of x; integers stay integers.

    Source: V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.
    """
    return np.maximum(as_array(x, "x"), 0)


def relu_backward(grad_output: ArrayLike, x: ArrayLike) -> np.ndarray:
    """The gradient of `relu` at x: grad_output where x is positive, 0 elsewhere. Shape of x.

    Chapter 5, (5.2). The output y of `relu` may be given in place of x: it is positive where x is.
    """
    grad_output, x = _pair(grad_output, x)
    return grad_output * (x > 0).view(np.uint8)  # 0 or 1; NumPy multiplies by bytes faster than by booleans


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> np.ndarray:
    """The leaky ReLU: x where it is positive, negative_slope x elsewhere, so that no unit dies. Shape of x.

    Source: A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models",
    2013.
    """
    x = _floats(x)
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(grad_output: ArrayLike, x: ArrayLike, negative_slope: float = 0.01) -> np.ndarray:
    """The gradient of `leaky_relu` at x. Shape of x. Chapter 5, (5.2)."""
    grad_output, x = _pair(grad_output, x)
    return np.where(x > 0, grad_output, negative_slope * grad_output)


def elu(x: ArrayLike, alpha: float = 1.0) -> np.ndarray:
    """The exponential linear unit: x where it is positive, alpha (e^x - 1) elsewhere. Shape of x.

    Source: D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by exponential
    linear units (ELUs)", 2016, arXiv:1511.07289.
    """
    x = _floats(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(grad_output: ArrayLike, x: ArrayLike, alpha: float = 1.0) -> np.ndarray:
    """The gradient of `elu` at x. Shape of x. Chapter 5, (5.2)."""
    grad_output, x = _pair(grad_output, x)
    return grad_output * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


# --- the ones that saturate --------------------------------------------------------------------------


def sigmoid(x: ArrayLike) -> np.ndarray:
    """The logistic function 1 / (1 + e^-x), between 0 and 1. Shape of x.

    Computed with e^-|x|, which cannot overflow: for x < 0 it is e^x / (1 + e^x).
    """
    x = _floats(x)
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def sigmoid_backward(grad_output: ArrayLike, x: ArrayLike) -> np.ndarray:
    """The gradient of `sigmoid` at x: grad_output y (1 - y). Shape of x. Chapter 5, (5.2)."""
    grad_output, x = _pair(grad_output, x)
    small = np.exp(-np.abs(x))
    return grad_output * small / (1 + small) ** 2  # y (1 - y), without the rounding of 1 - y near y = 1


def tanh(x: ArrayLike) -> np.ndarray:
    """The hyperbolic tangent, between -1 and 1, zero at zero. Shape of x."""
    return np.tanh(_floats(x))


def tanh_backward(grad_output: ArrayLike, x: ArrayLike) -> np.ndarray:
    """The gradient of `tanh` at x: grad_output (1 - y^2). Shape of x. Chapter 5, (5.2)."""
    grad_output, x = _pair(grad_output, x)
    return grad_output * (1 - np.tanh(x) ** 2)


# --- GELU --------------------------------------------------------------------------------------------

ROOT_2_PI = math.sqrt(2 / math.pi)
_erf = np.vectorize(math.erf, otypes=[float])  # NumPy has no error function


def gelu(x: ArrayLike, approximate: str = "none") -> np.ndarray:
    """The Gaussian error linear unit x Phi(x): x times the chance that a standard normal number is below x.

    approximate    "none" for Phi(x) = (1 + erf(x / sqrt 2)) / 2; "tanh" for the approximation
                   (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, which is faster here
    returns        the shape of x

    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.
    """
    x = _floats(x)
    return x * _normal_cdf(x, approximate)[0]


def gelu_backward(grad_output: ArrayLike, x: ArrayLike, approximate: str = "none") -> np.ndarray:
    """The gradient of `gelu` at x: grad_output (Phi(x) + x Phi'(x)). Shape of x. Chapter 5, (5.2)."""
    grad_output, x = _pair(grad_output, x)
    cdf, density = _normal_cdf(x, approximate)
    return grad_output * (cdf + x * density)


def _normal_cdf(x, approximate):
    """Phi(x) and its derivative, exact or by tanh."""
    if approximate == "none":
        cdf = (1 + _erf(x / math.sqrt(2)).astype(x.dtype)) / 2
        return cdf, np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    if approximate != "tanh":
        raise ValueError(f'approximate must be "none" or "tanh", got {approximate!r}')
    t = np.tanh(ROOT_2_PI * (x + 0.044715 * x**3))
    return (1 + t) / 2, (1 - t**2) / 2 * ROOT_2_PI * (1 + 3 * 0.044715 * x**2)


# --- softmax -----------------------------------------------------------------------------------------


def softmax(x: ArrayLike, axis: int = -1) -> np.ndarray:
    """Probabilities from scores: e^x divided by the sum of e^x along `axis`. Shape of x; sums to 1.

    Chapter 6, (6.2). The largest score is subtracted first, (6.3). That changes nothing in exact arithmetic,
    because it cancels, and keeps e^x from overflowing.
    """
    x = _floats(x)
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def softmax_backward(grad_output: ArrayLike, x: ArrayLike, axis: int = -1) -> np.ndarray:
    """The gradient of `softmax` at x: y (g - sum of g y along the axis), with g = grad_output. Shape of x.

    Because dy_i/dx_j = y_i ([i = j] - y_j): raising one score takes from all other probabilities.
    """
    grad_output, x = _pair(grad_output, x)
    y = softmax(x, axis)
    return y * (grad_output - (grad_output * y).sum(axis, keepdims=True))


def log_softmax(x: ArrayLike, axis: int = -1) -> np.ndarray:
    """The logarithm of `softmax`: x - max - log(sum of e^(x - max)). Shape of x.

    Chapter 6, (6.4). Exact where softmax rounds to 0 and its logarithm would be minus infinity.
    """
    x = _floats(x)
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def log_softmax_backward(grad_output: ArrayLike, x: ArrayLike, axis: int = -1) -> np.ndarray:
    """The gradient of `log_softmax` at x: g - softmax(x) (sum of g along the axis). Shape of x."""
    grad_output, x = _pair(grad_output, x)
    return grad_output - softmax(x, axis) * grad_output.sum(axis, keepdims=True)


# --- arguments ---------------------------------------------------------------------------------------


def _floats(x):
    x = as_array(x, "x")
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _pair(grad_output, x):
    grad_output, x = as_array(grad_output, "grad_output"), _floats(x)
    if grad_output.shape != x.shape:
        raise ValueError(f"grad_output must have the shape of x, {x.shape}, got {grad_output.shape}")
    return grad_output, x
