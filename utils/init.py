"""Initial weights: small random numbers, small enough and large enough.

A weight of shape (K, C, kh, kw) or (O, I) has fan_in inputs per output (C kh kw, or I) and fan_out outputs
per input (K kh kw, or O). When the weights have variance v and the inputs are independent with mean square q,
each sum has variance fan_in v q: chapter 6, (6.13). Through many layers the signal keeps its size only when
the factor is near 1.

Every function here returns float32 weights; rng is a numpy.random.Generator.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "fans",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "normal",
    "pytorch_bias",
    "pytorch_default",
]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (K, C, kh, kw) or (O, I). Raises ValueError for less than two axes."""
    if len(shape) < 2:
        raise ValueError(f"shape must have at least two axes, (outputs, inputs, ...), got {shape}")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def normal(shape: tuple[int, ...], rng: np.random.Generator, scale: float = 0.01) -> np.ndarray:
    """Normal numbers with standard deviation `scale`, whatever the layer."""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Variance 2 / (fan_in + fan_out): the size of signals forward and gradients backward, as a compromise.

    Derived for activations near the identity, such as tanh near 0: chapter 6, (6.14). Source: X. Glorot, Y.
    Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, equation 12.
    """
    return normal(shape, rng, math.sqrt(2 / sum(fans(shape))))


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The variance of `glorot_normal`, evenly from -a to a with a = sqrt(6 / (fan_in + fan_out)): (6.14)."""
    return _uniform(shape, rng, math.sqrt(6 / sum(fans(shape))))


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Variance 2 / fan_in: for ReLU, which sets half of the signal's mean square to 0.

    Chapter 6, (6.15). Source: K. He et al., "Delving deep into rectifiers", 2015, arXiv:1502.01852,
    equation 10.
    """
    return normal(shape, rng, math.sqrt(2 / fans(shape)[0]))


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The variance of `he_normal`, evenly from -a to a with a = sqrt(6 / fan_in): (6.15)."""
    return _uniform(shape, rng, math.sqrt(6 / fans(shape)[0]))


def pytorch_default(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Evenly from -a to a with a = 1 / sqrt(fan_in): variance 1 / (3 fan_in), a sixth of He's.

    What `torch.nn.Conv2d` and `torch.nn.Linear` begin with.
    """
    return _uniform(shape, rng, 1 / math.sqrt(fans(shape)[0]))


def pytorch_bias(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The bias to go with `pytorch_default`: (K,) numbers evenly from -a to a; `shape` is the weight's."""
    return _uniform(shape[:1], rng, 1 / math.sqrt(fans(shape)[0]))


def _uniform(shape, rng, bound):
    return rng.uniform(-bound, bound, shape).astype(np.float32)
