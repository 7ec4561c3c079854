"""The kernel playground."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np

from utils import data, kernels
from utils.figures._arguments import grid, one_of
from utils.figures._figure import Figure

BORDERS = ("zeros", "reflect", "replicate", "circular", "valid")
RANGES = ("by the sum", "as it is", "stretched", "signed")
LARGEST = 128  # pixels on a side
PLAYGROUND: dict[str, np.ndarray] = {
    **kernels.GALLERY,
    "vertical edges": np.array([[1.0, 0, -1]] * 3),
    "box blur 5×5": kernels.box(5),
    "Gaussian blur 5×5": kernels.gaussian(5, 1.0),
    "Gaussian blur 7×7": kernels.gaussian(7, 1.5),
    "slanted blur 7×7": np.eye(7) / 7,
    "a bend 7×7": kernels.curve_detector()[0],
}
"""The kernels of chapter 2 that the playground offers by name."""


def kernel_playground(
    kernel: str | Sequence[Sequence[float]] = "Sobel x",
    *,
    border: str = "zeros",
    shown: str = "by the sum",
    picture: np.ndarray | None = None,
) -> Figure:
    """A photograph and a kernel to play with: every weight can be typed, every pixel looked into.

    kernel is a name in PLAYGROUND or a square table of 3 to 7 rows; it is slid as in a convolution layer,
    without a flip. border is one of BORDERS ("valid" pads nothing), shown one of RANGES: how numbers become
    brightness. picture is gray, (H, W), from 0 (black) to 255 (white), at most 128 pixels on a side; without
    one it is the portrait of section 2.10. The reader can load another, which stays in the browser.

    Raises ValueError for anything else.
    """
    if isinstance(kernel, str):
        one_of("kernel", kernel, tuple(PLAYGROUND))
    else:
        kernel = grid("kernel", kernel, 7)
        if kernel is None or len(kernel) != len(kernel[0]) or len(kernel) < 3:
            raise ValueError(f"kernel: got {kernel!r}, expected a name or a square table of 3 to 7 rows")
    one_of("border", border, BORDERS)
    one_of("shown", shown, RANGES)
    return Figure(
        "kernel-playground",
        "A photograph, what a kernel makes of it, and the kernel as a table of weights to change. The window "
        "of the chosen pixel is framed and its sum written out; words say whether the kernel is separable.",
        kernel=kernel,
        border=border,
        shown=shown,
        choices={"border": BORDERS, "shown": RANGES},
        gallery={name: grid(name, weights, 7) for name, weights in PLAYGROUND.items()},
        picture=_address(_portrait() if picture is None else _checked(picture)),
    )


def _portrait() -> np.ndarray:
    """The part of the photograph that section 2.10 calls `face`: (120, 104)."""
    return data.photograph(gray=True, size=(240, 205))[24:144, 48:152]


def _checked(picture: np.ndarray) -> np.ndarray:
    """The picture as bytes, (H, W)."""
    try:
        gray = np.asarray(picture, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"picture: got {picture!r}, expected numbers of shape (H, W)") from None
    if gray.ndim != 2 or not 1 <= min(gray.shape) <= max(gray.shape) <= LARGEST:
        raise ValueError(
            f"picture: got shape {gray.shape}, expected (H, W) with sides of 1 to {LARGEST} pixels"
        )
    if not (gray.min() >= 0 and gray.max() <= 255):
        raise ValueError(
            f"picture: got values from {gray.min()} to {gray.max()}, expected 0 (black) to 255 (white)"
        )
    return gray.round().astype(np.uint8)


def _address(picture: np.ndarray) -> str:
    """A gray picture as the address of a PNG that holds it whole."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
