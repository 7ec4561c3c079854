"""Kernels designed by hand: the gallery of chapter 2, Gaussian and box blurs, a curve detector, separability.

Every kernel here is a 2-D float64 array, meant for cross-correlation (the operation of a convolution layer).
"""

import math

import numpy as np

GALLERY: dict[str, np.ndarray] = {
    "identity": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], float),
    "edge (corners)": np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], float),
    "edge (Laplacian, 4-neighbor)": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], float),
    "edge (Laplacian, 8-neighbor)": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], float),
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float),
    "box blur": np.ones((3, 3)) / 9,
    "Gaussian blur": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float) / 16,
    "Sobel x": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float),
    "Sobel y": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], float),
    "emboss": np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], float),
}
"""Name -> 3×3 kernel, read-only. The weights sum to 1 (brightness stays) or to 0 (flat areas become 0)."""
for _kernel in GALLERY.values():
    _kernel.flags.writeable = False


def box(size: int) -> np.ndarray:
    """The mean over a size×size window: every weight is 1 / size². Shape (size, size)."""
    _require_positive_int("size", size)
    return np.full((size, size), 1 / size**2)


def gaussian(size: int, sigma: float) -> np.ndarray:
    """A Gaussian blur: weights proportional to exp(-(row² + column²) / (2 sigma²)), summing to 1.

    Rows and columns are counted in pixels from the center of the window (between two pixels if size is even).
    Returns shape (size, size). A size of about 6 sigma keeps 99.7 % of each axis of the bell.
    """
    _require_positive_int("size", size)
    if not (isinstance(sigma, (int, float, np.number)) and math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma: expected a finite number above 0 (in pixels), got {sigma!r}")
    offsets = np.arange(size) - (size - 1) / 2
    bell = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel = np.outer(bell, bell)
    return kernel / kernel.sum()


def sobel(axis: str) -> np.ndarray:
    """The 3×3 Sobel kernel: a central difference along `axis` ("x" or "y"), smoothed by [1, 2, 1] across it.

    Positive where the picture gets brighter to the right ("x") or downwards ("y").
    """
    if axis not in ("x", "y"):
        raise ValueError(f'axis: expected "x" or "y", got {axis!r}')
    return GALLERY[f"Sobel {axis}"].copy()


def curve_detector() -> tuple[np.ndarray, np.ndarray]:
    """A 7×7 kernel that looks for one bend, and a 7×7 picture patch that shows it. Response: 6600.

    The kernel weighs 30 along a bend and 0 elsewhere. The line in the patch has brightness 50 where it meets
    four of the five weights, and 20 where it falls between two pixels: 4 · (50 · 30) + 20 · 30 = 6600.
    No weight is negative, so a plain bright patch answers even more: 5 · (50 · 30) = 7500.
    """
    kernel = np.zeros((7, 7))
    kernel[[1, 1, 2, 3, 4], [2, 3, 4, 5, 5]] = 30
    patch = np.array(
        [
            [0, 0, 0, 0, 0, 0, 0],
            [50, 50, 50, 50, 0, 0, 0],
            [0, 0, 0, 0, 50, 0, 0],
            [0, 0, 0, 0, 30, 20, 0],
            [0, 0, 0, 0, 0, 50, 0],
            [0, 0, 0, 0, 0, 50, 0],
            [0, 0, 0, 0, 0, 50, 0],
        ],
        float,
    )
    return kernel, patch


def other_patch() -> np.ndarray:
    """The patch of `curve_detector` turned by half a turn: the same pixels, another shape. Response: 0."""
    return np.rot90(curve_detector()[1], 2).copy()


def is_separable(kernel: np.ndarray, tol: float = 1e-10) -> bool:
    """Whether a 2-D kernel is an outer product column · row, that is, has rank 1 (up to rounding)."""
    sizes = np.linalg.svd(_require_kernel(kernel), compute_uv=False)
    return len(sizes) == 1 or bool(sizes[1] <= tol * sizes[0])


def separate(kernel: np.ndarray, tol: float = 1e-10) -> tuple[np.ndarray, np.ndarray]:
    """Split a separable (kh, kw) kernel into a column (kh, 1) and a row (1, kw) with column @ row == kernel.

    The first singular triple of the SVD is the split: kernel = s₁ u₁ v₁ᵀ where all other singular values are
    0. The scale is shared evenly, and the column's largest entry is positive.
    """
    kernel = _require_kernel(kernel)
    if not is_separable(kernel, tol):
        rank = np.linalg.matrix_rank(kernel)
        raise ValueError(f"kernel: expected a separable kernel (rank 1), got one of rank {rank}")
    u, s, vt = np.linalg.svd(kernel)
    scale = math.sqrt(s[0])
    sign = -1 if u[np.argmax(np.abs(u[:, 0])), 0] < 0 else 1
    return sign * scale * u[:, :1], sign * scale * vt[:1]  # (kh, 1), (1, kw)


def _require_positive_int(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}: expected a whole number of 1 or more, got {value!r}")


def _require_kernel(kernel: np.ndarray) -> np.ndarray:
    array = np.asarray(kernel, float)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"kernel: expected a 2-D array (kh, kw), got shape {array.shape}")
    return array
