"""Pictures with their labels: what `utils.data` returns."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Dataset", "checked_size", "to_array"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures with their labels; `dataset[0]` is one (image, label), `dataset[mask]` a smaller Dataset."""

    images: np.ndarray  # uint8, (N, H, W) gray or (N, H, W, 3) color
    labels: np.ndarray  # int64, (N,), positions in `classes`
    classes: tuple[str, ...]
    name: str
    split: str
    source: str  # where the files were found, in words

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index):
        """One picture and its label for an integer; a Dataset for a slice, an index array or a mask."""
        if isinstance(index, (int, np.integer)):
            return self.images[index], int(self.labels[index])
        return replace(self, images=self.images[index], labels=self.labels[index])

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        size = "×".join(str(n) for n in self.images.shape[1:])
        return (
            f"Dataset({self.name} {self.split}: {len(self):,} images of {size} {self.images.dtype}, "
            f"{len(self.classes)} classes, from {self.source})"
        )


def checked_size(size) -> tuple[int, int]:
    """`size` as (height, width) in pixels; raises ValueError for anything else."""
    whole = isinstance(size, (tuple, list)) and all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in size
    )
    if not whole or len(size) != 2:
        raise ValueError(f"size: expected (height, width) in whole pixels, got {size!r}")
    return int(size[0]), int(size[1])


def to_array(picture, gray: bool, size: tuple[int, int] | None) -> np.ndarray:
    """A Pillow image as uint8 (H, W) or (H, W, 3), resized if a size is given."""
    from PIL import Image

    picture = picture.convert("L" if gray else "RGB")
    if size is not None:
        picture = picture.resize((size[1], size[0]), Image.Resampling.LANCZOS)  # Pillow says (width, height)
    return np.array(picture)
