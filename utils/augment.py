"""Augmentation: random changes of the training pictures that leave their labels true.

Each function takes a batch x, float (N, C, H, W), and a numpy.random.Generator, draws anew for every picture,
and returns a new batch of the same shape and dtype; x stays as it was. So each fits `utils.loop.fit`:

    fit(..., augment=compose(flip, partial(shift, pixels=2, fill=black)))

fill is the value of pixels that come from outside the picture. Behind `utils.loop.to_input` black is not 0
but `to_input(np.zeros((1, 1, 1), np.uint8)).item()`, about -0.81. Augmentation belongs to training only: the
pictures on which a network is judged stay as they are. Which changes leave a label true depends on the task.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.functional.shapes import as_integer

__all__ = [
    "brightness_contrast",
    "compose",
    "crop",
    "cutout",
    "flip",
    "mixup",
    "noise",
    "quarter_turns",
    "rotate",
    "shift",
    "warp",
]

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def compose(*augments: Augment) -> Augment:
    """One augmentation that does all of them, from left to right."""

    def composed(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for augment in augments:
            x = augment(x, rng)
        return x

    return composed


# --- pixels move -------------------------------------------------------------------------------------


def shift(x: np.ndarray, rng: np.random.Generator, pixels: int = 2, fill: float = 0.0) -> np.ndarray:
    """Move each picture by whole pixels, from -pixels to pixels in each direction, all equally likely.

    The same as padding with `fill` and cutting out a random window of the old size ("random crop").
    """
    x, p = _read(x), as_integer(pixels, "pixels", minimum=0)
    N, _, H, W = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    top, left = rng.integers(0, 2 * p + 1, (2, N))
    rows = (top[:, None] + np.arange(H))[:, :, None]  # (N, H, 1)
    columns = (left[:, None] + np.arange(W))[:, None, :]  # (N, 1, W)
    window = padded[np.arange(N)[:, None, None], :, rows, columns]  # (N, H, W, C)
    return np.moveaxis(window, -1, 1)


def flip(x: np.ndarray, rng: np.random.Generator, p: float = 0.5, vertical: bool = False) -> np.ndarray:
    """Mirror each picture with probability p: left and right, or top and bottom if `vertical`."""
    x = _read(x)
    _check_share("p", p)
    mirrored = x[:, :, ::-1] if vertical else x[:, :, :, ::-1]
    return np.where(rng.random(len(x))[:, None, None, None] < p, mirrored, x)


def quarter_turns(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn each picture by 0, 90, 180 or 270 degrees, all equally likely. Pictures must be square."""
    x = _read(x)
    if x.shape[2] != x.shape[3]:
        raise ValueError(f"x must hold square pictures, got {x.shape[2]}×{x.shape[3]}")
    turns, y = rng.integers(0, 4, len(x)), x.copy()
    for k in (1, 2, 3):
        y[turns == k] = np.rot90(x[turns == k], k, axes=(2, 3))
    return y


def rotate(x: np.ndarray, rng: np.random.Generator, degrees: float = 10.0, fill: float = 0.0) -> np.ndarray:
    """Turn each picture about its center by an angle from -degrees to degrees, evenly; see `warp`."""
    x = _read(x)
    angle = np.deg2rad(rng.uniform(-degrees, degrees, len(x)))[:, None, None]
    down, right = _from_center(x)
    cos, sin = np.cos(angle), np.sin(angle)
    center = (x.shape[2] - 1) / 2, (x.shape[3] - 1) / 2
    return warp(x, center[0] + cos * down + sin * right, center[1] - sin * down + cos * right, fill)


def crop(x: np.ndarray, rng: np.random.Generator, smallest: float = 0.7) -> np.ndarray:
    """Cut out a window of the picture's proportions and enlarge it to the old size; see `warp`.

    smallest    the side of the window is from `smallest` to 1 times that of the picture, evenly; its place is
                anywhere inside
    """
    x = _read(x)
    if not 0 < smallest <= 1:
        raise ValueError(f"smallest must be above 0 and at most 1, got {smallest}")
    side = rng.uniform(smallest, 1, len(x))[:, None, None]
    down, right = _from_center(x)
    room = rng.uniform(-0.5, 0.5, (2, len(x), 1, 1)) * (1 - side)  # how far the window may leave the center
    H, W = x.shape[2:]
    rows = (H - 1) / 2 + side * down + room[0] * H
    columns = (W - 1) / 2 + side * right + room[1] * W
    return warp(x, rows.clip(0, H - 1), columns.clip(0, W - 1))


def warp(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """The picture read at other places: y[n, c, i, j] is x[n, c] at the row rows[n, i, j] and its column.

    Between pixels the value is interpolated from the four neighbors (bilinear); outside the picture it is
    `fill`. x is (N, C, H, W), rows and columns broadcast to (N, H', W'); returns (N, C, H', W').
    """
    x = _read(x)
    N, _, H, W = x.shape
    rows, columns = np.broadcast_arrays(rows, columns)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=fill)
    rows, columns = rows.clip(-1, H) + 1, columns.clip(-1, W) + 1  # in the padded picture
    top, left = np.floor(rows).astype(int).clip(0, H), np.floor(columns).astype(int).clip(0, W)
    down, right = (rows - top)[..., None].astype(x.dtype), (columns - left)[..., None].astype(x.dtype)
    n, pixels = np.arange(N)[:, None, None], np.moveaxis(padded, 1, -1)  # (N, H + 2, W + 2, C)
    upper = (1 - right) * pixels[n, top, left] + right * pixels[n, top, left + 1]
    lower = (1 - right) * pixels[n, top + 1, left] + right * pixels[n, top + 1, left + 1]
    return np.moveaxis((1 - down) * upper + down * lower, -1, 1)


# --- pixels change -----------------------------------------------------------------------------------


def brightness_contrast(
    x: np.ndarray, rng: np.random.Generator, brightness: float = 0.2, contrast: float = 0.2
) -> np.ndarray:
    """Spread the values of each picture about their mean by a factor, then add a number.

    The factor is from 1 - contrast to 1 + contrast, the number from -brightness to brightness, evenly; one of
    each a picture, the same for all its channels. Values are not cut off.
    """
    x = _read(x)
    factor = rng.uniform(1 - contrast, 1 + contrast, (len(x), 1, 1, 1)).astype(x.dtype)
    number = rng.uniform(-brightness, brightness, (len(x), 1, 1, 1)).astype(x.dtype)
    mean = x.mean((1, 2, 3), keepdims=True)
    return mean + factor * (x - mean) + number


def noise(x: np.ndarray, rng: np.random.Generator, scale: float = 0.1) -> np.ndarray:
    """Add to every pixel its own normal number with standard deviation `scale`."""
    x = _read(x)
    return x + x.dtype.type(scale) * rng.standard_normal(x.shape, dtype=np.float32).astype(x.dtype)


def cutout(x: np.ndarray, rng: np.random.Generator, size: int = 8, fill: float = 0.0) -> np.ndarray:
    """Cover a square of `size` pixels in each picture, its center on any pixel, so that part may lie outside.

    Source: T. DeVries, G. Taylor, "Improved regularization of convolutional neural networks with cutout",
    2017, arXiv:1708.04552.
    """
    x, size = _read(x), as_integer(size, "size")
    N, _, H, W = x.shape
    top, left = rng.integers(0, [[H], [W]], (2, N)) - size // 2
    rows, columns = np.arange(H) - top[:, None], np.arange(W) - left[:, None]  # from the corner of the square
    covered = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
    return np.where(covered[:, None], x.dtype.type(fill), x)


# --- pictures and labels change ----------------------------------------------------------------------


def mixup(
    x: np.ndarray, labels: np.ndarray, rng: np.random.Generator, alpha: float = 0.2, classes: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each picture with another one of the batch, and their labels in the same proportion.

    Chapter 10, (10.12).

    labels      (N,) integers
    alpha       the share that stays is drawn from Beta(alpha, alpha), once a batch: near 0 or 1 for a small
                alpha, evenly from 0 to 1 for alpha = 1
    returns     (x, targets), targets (N, classes) probabilities in the dtype of x, for `cross_entropy`

    Fits `utils.loop.fit` as `mix=`. Source: H. Zhang, M. Cisse, Y. Dauphin, D. Lopez-Paz, "mixup: beyond
    empirical risk minimization", 2018, arXiv:1710.09412.
    """
    x, labels = _read(x), np.asarray(labels)
    if labels.shape != (len(x),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {len(x)} integers, one a picture, got {labels.dtype} {labels.shape}"
        )
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0, got {alpha}")
    share, other = x.dtype.type(rng.beta(alpha, alpha)), rng.permutation(len(x))
    one_hot = np.eye(as_integer(classes, "classes"), dtype=x.dtype)[labels]
    return share * x + (1 - share) * x[other], share * one_hot + (1 - share) * one_hot[other]


def _read(x):
    x = np.asarray(x)
    if x.ndim != 4 or x.dtype.kind != "f":
        raise ValueError(f"x must be floats of the shape (N, C, H, W), got {x.dtype} {x.shape}")
    return x


def _from_center(x):
    """How far each pixel is below and to the right of the center: (H, 1) and (1, W)."""
    H, W = x.shape[2:]
    return np.arange(H)[:, None] - (H - 1) / 2, np.arange(W)[None, :] - (W - 1) / 2


def _check_share(name, value):
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")
