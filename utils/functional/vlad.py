"""NetVLAD: pooling that sums up how the pixels of a feature map lie around learned centers.

Every pixel is a vector x_i of C numbers (i runs over rows and columns). Instead of one mean of all pixels, as
global average pooling takes, K centers c_k each sum the offsets of the pixels near them:

    a_i   = softmax over k of (w_k . x_i + b_k)            how much pixel i belongs to each center
    V_k   = sum over i of a_ik (x_i - c_k)                 C numbers a center
    U_k   = V_k / |V_k|                                    every center counts alike
    y     = U / |U|                                        all K C numbers, length 1

This is chapter 5, (5.10). All of it is differentiable: weights, biases and centers are learned, independently
of each other. Source: R. Arandjelovic et al., "NetVLAD: CNN architecture for weakly supervised place
recognition", 2016, arXiv:1511.07247, equations 1 to 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.activations import softmax, softmax_backward
from utils.functional.arrays import as_array

__all__ = ["netvlad", "netvlad_backward"]

TINY = 1e-12  # lengths below this are not divided by, as torch.nn.functional.normalize does


def netvlad(x: ArrayLike, weight: ArrayLike, bias: ArrayLike, centers: ArrayLike) -> np.ndarray:
    """The NetVLAD descriptor of every picture: chapter 5, (5.10).

    x (N, C, H, W), weight (K, C), bias (K,), centers (K, C); returns (N, K C), rows of length 1. Raises
    ValueError when the sizes do not fit.
    """
    *_, unit = _forward(*_read(x, weight, bias, centers))
    return _unit(unit.reshape(len(unit), -1))


def netvlad_backward(
    grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, bias: ArrayLike, centers: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `netvlad` at x, weight, bias and centers, from grad_output (N, K C)."""
    shape = np.shape(x)
    x, weight, bias, centers = _read(x, weight, bias, centers)
    scores, share, residual, unit = _forward(x, weight, bias, centers)
    grad_output = as_array(grad_output, "grad_output", "(N, K C)")
    if grad_output.shape != (len(x), centers.size):
        expected = len(x), centers.size
        raise ValueError(f"grad_output must have the output's shape {expected}, got {grad_output.shape}")

    grad = _unit_backward(grad_output, unit.reshape(grad_output.shape)).reshape(unit.shape)
    grad = _unit_backward(grad, residual)  # at V, (N, K, C)
    # V = a x - (sum over i of a) c
    grad_share = np.swapaxes(grad @ x, 1, 2) - (grad * centers).sum(2)[:, None]  # (N, I, K)
    grad_x = np.swapaxes(grad, 1, 2) @ np.swapaxes(share, 1, 2)  # (N, C, I)
    grad_centers = -(share.sum(1)[..., None] * grad).sum(0)
    # a = softmax(x w + b)
    grad_scores = softmax_backward(grad_share, scores)
    grad_x += np.swapaxes(grad_scores @ weight, 1, 2)
    grad_weight = np.einsum("nik,nci->kc", grad_scores, x)
    return grad_x.reshape(shape), grad_weight, grad_scores.sum((0, 1)), grad_centers


def _forward(x, weight, bias, centers):
    scores = np.swapaxes(x, 1, 2) @ weight.T + bias  # (N, I, K)
    share = softmax(scores)  # a
    residual = (
        np.swapaxes(share, 1, 2) @ np.swapaxes(x, 1, 2) - share.sum(1)[..., None] * centers
    )  # V (N, K, C)
    return scores, share, residual, _unit(residual)


def _unit(v):
    """v divided by its length along the last axis."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), TINY)


def _unit_backward(grad_output, v):
    """The gradient of `_unit`: (g - u (u . g)) / |v|; what points along v changes only the length."""
    length, u = np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), TINY), _unit(v)
    return (grad_output - u * (u * grad_output).sum(-1, keepdims=True)) / length


def _read(x, weight, bias, centers):
    """x as (N, C, I), one column a pixel, and the parameters, all floats."""
    x, weight = as_array(x, "x", "(N, C, H, W)"), as_array(weight, "weight", "(K, C)")
    bias, centers = as_array(bias, "bias", "(K,)"), as_array(centers, "centers", "(K, C)")
    N, C, H, W = x.shape
    for name, array, expected in [
        ("weight", weight, (len(weight), C)),
        ("bias", bias, (len(weight),)),
        ("centers", centers, (len(weight), C)),
    ]:
        if array.shape != expected:
            raise ValueError(f"{name} must have the shape {expected} to meet x {x.shape}, got {array.shape}")
    arrays = x.reshape(N, C, H * W), weight, bias, centers
    dtype = np.result_type(*arrays)
    return [a.astype(dtype if dtype.kind == "f" else np.float64, copy=False) for a in arrays]
