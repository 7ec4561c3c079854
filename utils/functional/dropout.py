"""Dropout: while training, leave out a random part of the activations, and scale up the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array

__all__ = ["dropout", "dropout_backward"]


def dropout(
    x: ArrayLike, p: float = 0.5, rng: np.random.Generator | None = None, training: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Each entry of x becomes 0 with probability p, and x / (1 - p) otherwise: x on average, (10.5).

    x           any shape, float
    p           the probability to be left out, 0 <= p < 1
    rng         where the chances come from; needed in training
    training    False leaves x as it is: the scale is already right ("inverted" dropout)
    returns     (y, mask) of the shape of x, y = x mask; the mask holds 0 and 1 / (1 - p), or 1 all over when
                not training

    It is activations that are dropped, not weights. Raises ValueError for p out of range and a missing rng.
    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014;
    section 10 for the scale.
    """
    x = as_array(x, "x")
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    if not 0 <= p < 1:
        raise ValueError(f"p must be at least 0 and less than 1, got {p}")
    if not training or p == 0:
        return x, np.ones_like(x)
    if rng is None:
        raise ValueError("rng must be a numpy.random.Generator in training, got None")
    keep = rng.random(x.shape, dtype=np.float32) >= p
    mask = keep * x.dtype.type(1 / (1 - p))
    return x * mask, mask


def dropout_backward(grad_output: ArrayLike, mask: np.ndarray) -> np.ndarray:
    """The gradient of `dropout` at x: grad_output mask, the same entries left out, the same scale."""
    grad_output = as_array(grad_output, "grad_output")
    if grad_output.shape != mask.shape:
        raise ValueError(f"grad_output must have the shape of mask, {mask.shape}, got {grad_output.shape}")
    return grad_output * mask
