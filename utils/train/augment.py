"""Augmentation on the device: random changes of a whole batch at once, no loop over its pictures.

An augmentation has two parts, so that several processes that share a batch can draw for all of it and change
only their own pictures: `draw(shape, generator)` gives the random numbers, tensors whose first axis is the
picture, and `apply(images, *numbers)` uses them. Called as `augmentation(images, generator)` it does both.
Images are normalized float (N, C, H, W); where black comes in, it is the normalized one.

Any other function (images, generator) -> images of the same shape serves as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real

import torch
from torch import Generator, Tensor

from utils.functional.shapes import as_integer

__all__ = ["AUGMENTATIONS", "Augmentation", "Erase", "Flip", "Noise", "Shift", "augment_batch"]


def within(**arguments: tuple[float, float, float]) -> None:
    """Raises ValueError for the first argument whose value does not lie between its two limits."""
    for name, (value, low, high) in arguments.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
            raise ValueError(f"{name} must be a number from {low} to {high}, got {value!r}")


class Augmentation:
    """What all augmentations share: drawing and changing in one call."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.apply(images, *self.draw(images.shape, generator))


@dataclass(frozen=True)
class Flip(Augmentation):
    """Mirror each picture, left and right, with probability p."""

    p: float = 0.5

    def __post_init__(self):
        within(p=(self.p, 0, 1))

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor]:
        return (uniform((shape[0], 1, 1, 1), generator) < self.p,)

    def apply(self, images: Tensor, mirrored: Tensor) -> Tensor:
        return torch.where(mirrored, images.flip(-1), images)


@dataclass(frozen=True)
class Shift(Augmentation):
    """Move each picture by whole pixels, from -pixels to pixels down and right, all equally likely.

    The same as padding and cutting out a random window ("random crop"). fill is what comes in from outside;
    None: black.
    """

    pixels: int = 2
    fill: float | tuple[float, ...] | None = None

    def __post_init__(self):
        as_integer(self.pixels, "pixels", minimum=0)

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, Tensor]:
        top, left = (uniform((2, shape[0]), generator) * (2 * self.pixels + 1)).long().unbind()
        return top, left

    def apply(self, images: Tensor, top: Tensor, left: Tensor) -> Tensor:
        (N, C, H, W), p = images.shape, self.pixels
        fill = channel_values(0.0 if self.fill is None else self.fill, images)
        padded = fill.expand(N, C, H + 2 * p, W + 2 * p).clone()
        padded[:, :, p : p + H, p : p + W] = images
        rows = top[:, None] + torch.arange(H, device=images.device)  # (N, H)
        columns = left[:, None] + torch.arange(W, device=images.device)  # (N, W)
        n = torch.arange(N, device=images.device)[:, None, None]
        window = padded.movedim(1, -1)[n, rows[:, :, None], columns[:, None, :]]  # (N, H, W, C)
        return window.movedim(-1, 1)


@dataclass(frozen=True)
class Erase(Augmentation):
    """Cover, with probability p, a rectangle of each picture by `fill`; 0 is the mean of all pixels.

    area     its share of the picture, evenly between the two numbers
    ratio    its height by its width, evenly on a logarithmic scale

    A rectangle that does not fit into the picture is drawn again, ten times at most. Source: Z. Zhong et al.,
    "Random erasing data augmentation", 2020, arXiv:1708.04896, algorithm 1.
    """

    p: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    ratio: tuple[float, float] = (0.3, 1 / 0.3)
    fill: float | tuple[float, ...] = 0.0

    def __post_init__(self):
        within(p=(self.p, 0, 1))
        for name, pair, high in (("area", self.area, 1), ("ratio", self.ratio, math.inf)):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(f"{name} must be two numbers, the smallest and the largest, got {pair!r}")
            if not 0 < pair[0] <= pair[1] <= high:
                raise ValueError(f"{name} must rise from above 0 to {high} at most, got {pair!r}")

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor, ...]:
        N, _, H, W = shape
        area = between(*self.area, uniform((N, 10), generator)) * H * W  # ten tries for each picture
        ratio = between(*map(math.log, self.ratio), uniform((N, 10), generator)).exp()
        heights, widths = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (heights < H) & (widths < W)
        first = fits.byte().argmax(1, keepdim=True)
        height, width = heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0]
        erased = (uniform((N,), generator) < self.p) & fits.any(1)
        top = (uniform((N,), generator) * (H - height + 1)).floor()
        left = (uniform((N,), generator) * (W - width + 1)).floor()
        return top, left, height * erased, width * erased

    def apply(self, images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
        rows = torch.arange(images.shape[2], device=images.device) - top[:, None]  # from the upper edge
        columns = torch.arange(images.shape[3], device=images.device) - left[:, None]
        inside = ((rows >= 0) & (rows < height[:, None]))[:, :, None]
        inside = inside & ((columns >= 0) & (columns < width[:, None]))[:, None, :]  # (N, H, W)
        return torch.where(inside[:, None], channel_values(self.fill, images), images)


@dataclass(frozen=True)
class Noise(Augmentation):
    """Add to every pixel its own normal number with standard deviation `scale`."""

    scale: float = 0.1

    def __post_init__(self):
        within(scale=(self.scale, 0, math.inf))

    def draw(self, shape: torch.Size, generator: Generator) -> tuple[Tensor]:
        return (torch.randn(shape, generator=generator, device=generator.device),)

    def apply(self, images: Tensor, normal: Tensor) -> Tensor:
        return images + self.scale * normal.to(images.dtype)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Flip(),
    "shift": Shift(),
    "erase": Erase(),
    "noise": Noise(),
}


def prepare(augmentations: tuple, black: tuple[float, ...]) -> list[Callable]:
    """Names become augmentations, and what is to be filled with black gets to know it."""
    found = [AUGMENTATIONS[one] if isinstance(one, str) else one for one in augmentations]
    return [replace(one, fill=black) if isinstance(one, Shift) and one.fill is None else one for one in found]


def augment_batch(images: Tensor, part: slice, augmentations: list, generator: Generator) -> Tensor:
    """The pictures of `part` of the batch, changed as if all of the batch were changed and then cut.

    images   (N, C, H, W), the whole batch. A plain function changes all of it; an `Augmentation` draws for
    all and changes `part`.
    """
    drawn_only = all(isinstance(one, Augmentation) for one in augmentations)
    shape = images.shape
    images = images[part] if drawn_only else images
    for one in augmentations:
        if drawn_only:
            images = one.apply(images, *(numbers[part] for numbers in one.draw(shape, generator)))
        else:
            images = one(images, generator)
    return images if drawn_only else images[part]


def uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Numbers from 0 to 1 on the device of the generator."""
    return torch.rand(shape, generator=generator, device=generator.device)


def between(low: float, high: float, share: Tensor) -> Tensor:
    """The number at `share` of the way from low to high."""
    return low + (high - low) * share


def channel_values(values: float | tuple[float, ...], images: Tensor) -> Tensor:
    """One number for all channels, or one a channel, ready to be combined with images (N, C, H, W)."""
    values = (values,) if isinstance(values, (int, float)) else values
    # filled on the device: a copy from the processor would wait for it
    return torch.stack([images.new_full((1, 1), value) for value in values])  # (1 or C, 1, 1)
