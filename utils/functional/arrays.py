"""Checked arrays: what the functions of `utils.functional` ask of their inputs before they compute."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.shapes import as_integer

__all__ = ["aligned", "as_array", "batch_last", "conv_arrays", "to_common_dtype"]


def as_array(value: ArrayLike, name: str, *shapes: str) -> np.ndarray:
    """`value` as an array of integers or floats with as many axes as one of `shapes`, say "(N, C, H, W)".

    Without `shapes` any number of axes will do. Raises ValueError that names the argument, also for
    booleans, complex numbers, text and objects.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold integers or floats, got dtype {array.dtype}")
    if shapes and array.ndim not in [len(shape.strip("(,)").split(",")) for shape in shapes]:
        raise ValueError(f"{name} must have the shape {' or '.join(shapes)}, got {array.shape}")
    return array


def to_common_dtype(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays in the one dtype that a sum of their products is computed in.

    It is NumPy's promotion: float32 with float32 or uint8 stays float32, float32 with float64 becomes
    float64. Integers alone become int64, in which their sums are exact; in uint8 they would overflow.
    """
    dtype = np.result_type(*arrays)
    if dtype.kind in "iu":
        dtype = np.dtype(np.int64)
    return tuple(array.astype(dtype, copy=False) for array in arrays)


def conv_arrays(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None, groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of a two-dimensional convolution, checked and in one dtype; no bias becomes zeros.

    x (N, C, H, W), weight (K, C/groups, kh, kw), bias (K,). N may be 0, nothing else may.
    """
    x, weight = as_array(x, "x", "(N, C, H, W)"), as_array(weight, "weight", "(K, C/groups, kh, kw)")
    if 0 in x.shape[1:]:
        raise ValueError(f"x must have at least one channel, row and column, got shape {x.shape}")
    if weight.size == 0:
        raise ValueError(f"weight must not be empty, got shape {weight.shape}")
    C, K, groups = x.shape[1], len(weight), as_integer(groups, "groups")
    if C % groups:
        raise ValueError(f"groups must divide the {C} channels of x, got {groups}")
    if K % groups:
        raise ValueError(f"groups must divide the {K} filters of weight, got {groups}")
    if weight.shape[1] != C // groups:
        raise ValueError(
            f"weight must have {C // groups} input channels to fit x, got {weight.shape[1]}: "
            f"x is {x.shape}, weight is {weight.shape}, in {groups} groups"
        )
    bias = np.zeros(K, weight.dtype) if bias is None else as_array(bias, "bias")
    if bias.shape != (K,):
        raise ValueError(f"bias must have the shape ({K},), one number per filter, got {bias.shape}")
    return to_common_dtype(x, weight, bias)


def batch_last(x: np.ndarray, groups: int = 1) -> np.ndarray:
    """(N, C, H, W) as (H, g, C/g, W, N), in which a row of all pictures is one piece of memory.

    A view where the batch is the fastest axis already, as in what `conv2d` returns; otherwise a copy.
    """
    N, C, H, W = x.shape
    return np.ascontiguousarray(x.transpose(2, 1, 3, 0)).reshape(H, groups, C // groups, W, N)


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`np.empty` that begins where a cache line of 64 bytes begins; NumPy's begins at any multiple of 16.

    A wide load from across two lines costs two loads. Small matrix products gain up to half of their speed.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
