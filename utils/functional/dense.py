"""The dense layer, also called fully connected: every output looks at every input.

    y[n, m] = b[m] + sum over d of x[n, d] w[m, d]          y = x w^T + b

With delta = dL/dy, each input reaches all outputs, each weight all pictures of the batch:

    dL/dw[m, d] = sum over n of delta[n, m] x[n, d]          delta^T x
    dL/db[m]    = sum over n of delta[n, m]
    dL/dx[n, d] = sum over m of delta[n, m] w[m, d]          delta w

These are chapter 4, (4.4), and (4.5), (4.6), (4.7). The sizes of the code: d runs over I inputs, m over O
outputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array, to_common_dtype

__all__ = ["linear", "linear_backward"]


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> np.ndarray:
    """The dense layer y = x w^T + b, chapter 4, (4.4).

    x (..., I), weight (O, I), bias (O,) or None; returns (..., O). The dtype is NumPy's promotion. Raises
    ValueError when the sizes do not fit.
    """
    x, weight = _read(x, weight)
    bias = np.zeros(len(weight), weight.dtype) if bias is None else as_array(bias, "bias", "(O,)")
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must have the shape ({len(weight)},), one number an output, got {bias.shape}")
    x, weight, bias = to_common_dtype(x, weight, bias)
    return x @ weight.T + bias


def linear_backward(
    grad_output: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    bias: bool = True,
    need: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """The gradients of `linear(x, weight, bias)`: chapter 4, (4.5) to (4.7).

    grad_output (..., O), x (..., I), weight (O, I); `bias` says whether the layer has one, `need` which of
    the three to compute. Returns (grad_x, grad_weight, grad_bias), shaped like x, weight and (O,); None for
    what is not needed. Raises ValueError when the sizes do not fit.
    """
    x, weight = _read(x, weight)
    grad_output = as_array(grad_output, "grad_output")
    if grad_output.shape != (*x.shape[:-1], len(weight)):
        expected = (*x.shape[:-1], len(weight))
        raise ValueError(f"grad_output must have the output's shape {expected}, got {grad_output.shape}")
    delta, x, weight = to_common_dtype(grad_output, x, weight)
    O, I = weight.shape  # noqa: E741
    count = x.size // I  # all leading axes together are the batch
    return (
        delta @ weight if need[0] else None,
        delta.reshape(count, O).T @ x.reshape(count, I) if need[1] else None,
        delta.reshape(count, O).sum(0) if bias and need[2] else None,
    )


def _read(x, weight):
    x, weight = as_array(x, "x"), as_array(weight, "weight", "(O, I)")
    if weight.size == 0:
        raise ValueError(f"weight must not be empty, got shape {weight.shape}")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"x must have the shape (..., {weight.shape[1]}) to meet weight {weight.shape}, got {x.shape}"
        )
    return x, weight
