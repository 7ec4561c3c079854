"""A data set that lies whole on the device, as the bytes that it came in.

Fashion-MNIST is 47 MB as uint8: it fits onto every GPU, and a batch is one indexing operation there, without
workers, without copies from the processor. Pixels become floats batch by batch.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from utils import data
from utils.functional.shapes import as_integer, as_pair
from utils.train.device import pick_device

__all__ = ["DeviceData", "balanced_order", "from_dataset", "load"]


class DeviceData:
    """Pictures and labels on one device.

    images   uint8 (N, C, H, W)
    labels   int64 (N,), positions in `classes`
    classes  their names
    mean, std    of the training pixels divided by 255, one number a channel: what `normalize` takes
    name     of the data set

    `len(data)` is N; a slice, an index tensor or a mask gives a smaller DeviceData.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        classes: tuple[str, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        name: str = "",
    ):
        _check(images, labels, classes, mean, std)
        self.images, self.labels, self.classes, self.name = images, labels, tuple(classes), name
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        # (p / 255 - mean) / std as p · scale + offset; on the device once, not copied there at each batch
        scale = [1 / (255 * s) for s in self.std]
        offset = [-m / s for m, s in zip(self.mean, self.std, strict=True)]
        self._scale, self._offset = (
            torch.tensor(values, dtype=torch.float32, device=images.device).view(-1, 1, 1)
            for values in (scale, offset)
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.images.device

    @property
    def black(self) -> tuple[float, ...]:
        """What `normalize` makes of the pixel 0, one number a channel."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index) -> DeviceData:
        if isinstance(index, (int, np.integer)):
            raise ValueError(
                f"index must be a slice, indices or a mask, got {index!r}; images[{index}] is one"
            )
        index = torch.from_numpy(index) if isinstance(index, np.ndarray) else index
        if isinstance(index, Tensor):
            index = index.to(self.device)
        return self._with(self.images[index], self.labels[index])

    def __repr__(self) -> str:
        C, H, W = self.images.shape[1:]
        return (
            f"DeviceData({self.name}: {len(self):,} images of {C}×{H}×{W} uint8, "
            f"{len(self.classes)} classes, on {self.device})"
        )

    def to(self, device: str | torch.device) -> DeviceData:
        """The same on another device."""
        return self._with(self.images.to(device), self.labels.to(device))

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 of mean 0 and standard deviation 1 over the training set."""
        return torch.addcmul(self._offset, images.to(torch.float32), self._scale)

    def resize(self, size: int | tuple[int, int]) -> DeviceData:
        """The same pictures at another size, (H, W) or one number for both.

        Smaller: each new pixel is the mean over its part of the old picture (average pooling). Larger:
        bilinear. Rounded to uint8.
        """
        H, W = as_pair(size, "size")
        old = self.images.shape[2:]
        if tuple(old) == (H, W):
            return self
        smaller = old[0] >= H and old[1] >= W

        def resized(part: Tensor) -> Tensor:
            x = part.to(torch.float32)
            if smaller:
                y = F.adaptive_avg_pool2d(x, (H, W))
            else:
                y = F.interpolate(x, (H, W), mode="bilinear", antialias=True)
            return y.round().clamp(0, 255).to(torch.uint8)

        return self._with(torch.cat([resized(part) for part in self.images.split(2000)]), self.labels)

    def _with(self, images: Tensor, labels: Tensor) -> DeviceData:
        return DeviceData(images, labels, self.classes, self.mean, self.std, self.name)


def load(
    name: str = "fashion-mnist",
    limit: int | None = None,
    sample: bool | None = None,
    device: str | torch.device | None = None,
) -> tuple[DeviceData, DeviceData]:
    """Training and test set of "fashion-mnist", "mnist" or "cifar-10", on the device.

    limit    take only so many training pictures (all, where there are fewer): the first ones after a fixed
             shuffle, as many of each class as of the others, so that a larger limit adds to a smaller one
    sample   True takes the 3,000 + 1,000 pictures that ship with the course, without looking for the others
    device   as `pick_device` understands it

    Both sets are normalized by mean and deviation of the whole training set. Where the files come from:
    `utils.data.load`.
    """
    device = pick_device(device)
    sets = [data.load(name, split, sample=bool(sample), quiet=True) for split in ("train", "test")]
    mean, std = pixel_statistics(sets[0].images)
    if limit is not None:
        limit = as_integer(limit, "limit")
        sets[0] = sets[0][balanced_order(sets[0].labels)[:limit]]
    train, test = (from_dataset(dataset, device, mean, std) for dataset in sets)
    return train, test


def from_dataset(
    dataset: data.Dataset,
    device: str | torch.device | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> DeviceData:
    """A `utils.data.Dataset` on the device.

    mean, std   of the pixels divided by 255, one a channel; by default those of this data set: right for a
                training set. Its test set takes `mean=train.mean, std=train.std`
    """
    if (mean is None) != (std is None):
        raise ValueError(f"mean and std must be given together, got {mean} and {std}")
    if not len(dataset.images):
        raise ValueError(f"dataset must hold at least one image, got none in {dataset.name!r}")
    if mean is None:
        mean, std = pixel_statistics(dataset.images)
    images = np.asarray(dataset.images)
    images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    device = pick_device(device)
    labels = torch.from_numpy(np.asarray(dataset.labels, np.int64)).to(device)
    return DeviceData(torch.tensor(images, device=device), labels, dataset.classes, mean, std, dataset.name)


def pixel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of uint8 pixels divided by 255, one of each a channel.

    images   (N, H, W) or (N, H, W, C). Exact: computed from how often each of the 256 values occurs.
    """
    images = images[..., None] if images.ndim == 3 else images
    values, means, stds = np.arange(256) / 255, [], []
    for channel in range(images.shape[-1]):
        pixels = images[..., channel].reshape(len(images), -1)
        counts = sum(np.bincount(part.ravel(), minlength=256) for part in np.array_split(pixels, 20))
        mean = float(values @ counts / counts.sum())
        means.append(mean)
        stds.append(max(float(np.sqrt((values - mean) ** 2 @ counts / counts.sum())), 1 / 255))
    return tuple(means), tuple(stds)


def balanced_order(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A fixed shuffle whose every beginning holds as many of each class as of the others, as far as can be.

    The k-th picture of every class comes before the (k+1)-th of any. (N,) labels -> (N,) positions.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    turn = np.empty(len(labels), np.int64)  # the how-manieth of its class
    for label in np.unique(labels):
        turn[labels[shuffled] == label] = np.arange((labels == label).sum())
    return shuffled[np.argsort(turn, kind="stable")]


def _check(images, labels, classes, mean, std) -> None:
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4:
        what = (
            f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        )
        raise ValueError(f"images must be a uint8 tensor (N, C, H, W), got {what}")
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        what = (
            f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        )
        raise ValueError(f"labels must be an int64 tensor ({len(images)},), one an image, got {what}")
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != images.shape[1]:
            raise ValueError(f"{name} must hold {images.shape[1]} numbers, one a channel, got {len(values)}")
    if not all(value > 0 for value in std):
        raise ValueError(f"std must be above 0, got {tuple(std)}")
    if len(classes) < 2:
        raise ValueError(f"classes must be two or more, got {tuple(classes)}")
