"""Convolution and cross-correlation of one signal, or one picture, with one kernel.

    convolution        y[n] = sum over m of  kernel[m] x[n - m]     the kernel is flipped
    cross-correlation  y[n] = sum over m of  kernel[m] x[n + m]     the kernel is used as it is

with x zero outside its ends, and the same along both axes of a picture: chapter 2, (2.1) and (2.4), (2.6) and
(2.7). The outputs that are kept have the names of `numpy.convolve` and the sizes of (2.8):

* "full": wherever kernel and x overlap at all, L + k - 1 outputs;
* "same": L outputs, the middle of "full";
* "valid": only where the kernel lies inside x, L - k + 1 outputs.

Source: I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, equations 9.3 to 9.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.arrays import as_array, to_common_dtype
from utils.functional.shapes import Pair

__all__ = ["convolve", "correlate", "fft_convolve"]


def correlate(x: ArrayLike, kernel: ArrayLike, mode: str = "valid") -> np.ndarray:
    """Cross-correlation: slide the kernel over `x`, multiply, sum. What deep learning calls convolution.

    Chapter 2, (2.4); of pictures (2.7).

    x           (L,) or (H, W)
    kernel      (k,) or (kh, kw), as many axes as x
    mode        "full", "same" or "valid"; "same" keeps the size of x, and an even kernel needs one zero
                more before than after, as `numpy.correlate` has it (`conv2d` has it after, like PyTorch)
    returns     one or two axes as x; the dtype follows NumPy's promotion, integers alone are computed
                exactly, in int64

    Raises ValueError that names the argument for wrong axes, dtypes, modes, and for an empty output.
    """
    x, kernel = _signal_and_kernel(x, kernel, mode)
    padded = np.pad(x, [_zeros(k, mode) for k in kernel.shape])
    size = [n - k + 1 for n, k in zip(padded.shape, kernel.shape, strict=True)]
    y = np.zeros(size, x.dtype)
    for tap in np.ndindex(*kernel.shape):  # (m,) or (u, v)
        seen = tuple(slice(start, start + n) for start, n in zip(tap, size, strict=True))
        y += kernel[tap] * padded[seen]
    return y


def convolve(x: ArrayLike, kernel: ArrayLike, mode: str = "full") -> np.ndarray:
    """Convolution: cross-correlation with the kernel flipped along every axis.

    Arguments, result and errors as for `correlate`. Chapter 2, (2.1); of pictures (2.6). The flip makes the
    operation commutative, (2.2): `convolve(x, kernel)` equals `convolve(kernel, x)`.
    """
    return correlate(x, np.flip(np.asarray(kernel)), mode)


def fft_convolve(x: ArrayLike, kernel: ArrayLike, mode: str = "full") -> np.ndarray:
    """`convolve` through the Fourier transform, in which a convolution is a product: chapter 2, (2.12).

    Arguments and errors as for `convolve`; the result is always floating-point, right up to rounding. A
    picture of n pixels and a kernel of m take about n log n operations instead of n m, so that large kernels
    win and small ones do not. Both are padded with zeros to at least n + k - 1 along each axis, because the
    product of transforms belongs to a convolution that wraps around, (2.11).
    """
    x, kernel = _signal_and_kernel(x, kernel, mode)
    size = [_fast_length(n + k - 1) for n, k in zip(x.shape, kernel.shape, strict=True)]
    axes = tuple(range(x.ndim))
    y = np.fft.irfftn(np.fft.rfftn(x, size, axes) * np.fft.rfftn(kernel, size, axes), size, axes)
    kept = []
    for n, k in zip(x.shape, kernel.shape, strict=True):
        before, after = _zeros(k, mode)
        kept.append(slice(k - 1 - before, n + after))
    return y[tuple(kept)]


def _signal_and_kernel(x: ArrayLike, kernel: ArrayLike, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays, checked and in one dtype."""
    x, kernel = as_array(x, "x", "(L,)", "(H, W)"), as_array(kernel, "kernel", "(k,)", "(kh, kw)")
    if x.ndim != kernel.ndim:
        raise ValueError(f"kernel must have as many axes as x, {x.ndim}, got shape {kernel.shape}")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f'mode must be "full", "same" or "valid", got {mode!r}')
    for name, array in (("x", x), ("kernel", kernel)):
        if array.size == 0:
            raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if mode == "valid" and any(k > n for n, k in zip(x.shape, kernel.shape, strict=True)):
        raise ValueError(
            f'kernel must fit into x {x.shape} in mode "valid", got {kernel.shape}: the output would be empty'
        )
    return to_common_dtype(x, kernel)


def _zeros(kernel_size: int, mode: str) -> Pair:
    """The zeros (before, after) an axis."""
    return {
        "full": (kernel_size - 1, kernel_size - 1),
        "same": (kernel_size // 2, (kernel_size - 1) // 2),
        "valid": (0, 0),
    }[mode]


def _fast_length(n: int) -> int:
    """The first length from `n` on whose only prime factors are 2, 3 and 5: those transform fast."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
