"""A reader's own pictures: a folder of folders, one for each class, read into arrays and split in two.

Pictures come in every size and mode, turned by the camera, broken, twice; here they all become arrays of one
size, or are named in a warning.
"""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from utils.dataset import Dataset, checked_size

__all__ = ["MIN_PICTURES", "image_folder"]

MIN_PICTURES = 5  # different ones in each class: fewer cannot be learned from and tested on
PICTURE_SUFFIXES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg")
PICTURE_SUFFIXES += (".png", ".ppm", ".tif", ".tiff", ".webp")
TEST_NAMES = ("test", "val", "valid")  # the first of them that holds class folders is the test set
WHITE = (255, 255, 255, 255)


@dataclass(frozen=True)
class _Picture:
    file: str  # relative to the folder, for messages
    label: int
    pixels: np.ndarray  # uint8, (H, W) or (H, W, 3)
    content: bytes  # hash of the pixels


def image_folder(
    folder: str | os.PathLike,
    size: tuple[int, int] = (96, 96),
    gray: bool = False,
    test_share: float = 0.25,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Read your own pictures and split them: (train, test).

    The subfolders of `folder` are the classes, in the order of their names; what lies deeper belongs to the
    class. Or `folder` holds train/ and test/ (or val/, valid/) with the class folders in them: then the
    split is yours, and `test_share` and `seed` are not used. Files whose names do not end like a picture's,
    and hidden ones, are passed over.

    Every picture is turned as its camera says, laid over white where it is transparent, resized until it
    covers `size` = (H, W), and cropped in the middle. Images are uint8 (N, H, W, 3), or (N, H, W) if `gray`;
    labels int64 (N,). Of each class the share `test_share`, drawn by `seed`, becomes the test set; copies of
    a picture stay on one side.

    Unreadable files are skipped, and one warning says how many and which; another one names copies. Raises
    ValueError where nothing sensible comes out: no folder, no class folders, one class, a class with fewer
    than five different pictures.
    """
    size = checked_size(size)
    number = isinstance(test_share, (float, int, np.floating)) and not isinstance(test_share, bool)
    if not number or not 0 < test_share < 1:
        raise ValueError(f"test_share: expected a number between 0 and 1, got {test_share!r}")
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing"
        raise ValueError(f"folder: expected an existing folder, found {what} at {str(folder)!r}")

    unreadable: list[str] = []
    train_folder, test_folder = _halves(folder)
    classes = _class_names(train_folder or folder)
    if train_folder is None:
        pictures = _pictures(folder, folder, classes, size, gray, unreadable)
        _check(folder, pictures, classes, unreadable, MIN_PICTURES)
        in_test = _split(pictures, len(classes), test_share, seed)
        train = [picture for picture, test in zip(pictures, in_test, strict=True) if not test]
        test = [picture for picture, test in zip(pictures, in_test, strict=True) if test]
        _warn_of_copies(pictures, "Copies stay on one side of the split.")
    else:
        other = _class_names(test_folder)
        if other != classes:
            wrong = ", ".join(sorted(set(classes) ^ set(other)))
            raise ValueError(
                f"folder: expected the same class folders in {train_folder.name}/ and {test_folder.name}/, "
                f"found only in one of them: {wrong}"
            )
        train = _pictures(folder, train_folder, classes, size, gray, unreadable)
        test = _pictures(folder, test_folder, classes, size, gray, unreadable)
        known = {picture.content for picture in test}
        _warn_of_copies(train + test, "What is in the test set was left out of the training set.")
        train = [picture for picture in train if picture.content not in known]
        _check(train_folder, train, classes, unreadable, MIN_PICTURES)
        _check(test_folder, test, classes, unreadable, 1)
    _warn_of_unreadable(unreadable, len(train) + len(test))
    return _dataset(train, classes, folder, "train"), _dataset(test, classes, folder, "test")


def _inner(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden, in the order of names."""
    hidden = (".", "__MACOSX")
    return _sorted(path for path in folder.iterdir() if not path.name.startswith(hidden))


def _sorted(paths: Iterable[PurePath]) -> list:
    """In the order of their names, the same on Windows, which else has "ant" before "Zebra"."""
    return sorted(paths, key=lambda path: path.parts)


def _class_names(folder: Path) -> tuple[str, ...]:
    """The names of the class folders; an error that says what is there instead."""
    folders = [path for path in _inner(folder) if path.is_dir()]
    if len(folders) > 1:
        return tuple(path.name for path in folders)
    found = f"expected a subfolder for each class in {str(folder)!r}, two at least; found"
    if not folders:
        flat = sum(_is_picture(path) for path in _inner(folder))
        lying = f"{flat} pictures lying flat: move them into folders, each named as its class"
        raise ValueError(f"folder: {found} {lying if flat else 'no subfolder and no picture'}")
    inside = [path.name for path in _inner(folders[0]) if path.is_dir()]
    deeper = f", which holds folders itself: perhaps you mean {str(folders[0])!r}" if inside else ""
    raise ValueError(f"folder: {found} one class only, {folders[0].name!r}{deeper}")


def _halves(folder: Path) -> tuple[Path, Path] | tuple[None, None]:
    """The folders train/ and test/ (val/, valid/), if both hold folders."""
    holding = {
        path.name.lower(): path
        for path in _inner(folder)
        if path.is_dir() and any(inner.is_dir() for inner in _inner(path))
    }
    test = next((holding[name] for name in TEST_NAMES if name in holding), None)
    if "train" in holding and test is not None:
        return holding["train"], test
    return None, None


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def _pictures(root, folder, classes, size, gray, unreadable) -> list[_Picture]:
    """Every readable picture in the class folders; the names of the others are added to `unreadable`."""
    pictures = []
    for label, name in enumerate(classes):
        for path in _sorted((folder / name).rglob("*")):
            inside = path.relative_to(folder / name).parts
            if any(part.startswith(".") for part in inside) or not _is_picture(path):
                continue
            file = path.relative_to(root).as_posix()
            try:
                pixels = _read_picture(path, size, gray)
            except Exception:  # a broken file makes Pillow raise nearly everything: OSError, SyntaxError, ...
                unreadable.append(file)
                continue
            content = hashlib.sha256(pixels.tobytes()).digest()
            pictures.append(_Picture(file, label, pixels, content))
    return pictures


def _read_picture(path: Path, size: tuple[int, int], gray: bool) -> np.ndarray:
    """One file as uint8 (H, W) or (H, W, 3): turned, over white, covering `size`, cropped in the middle."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd metadata; what cannot be read raises an error
        with Image.open(path) as file:
            file.draft(None, (2 * max(size), 2 * max(size)))  # large JPEG files: decode only what is needed
            picture = _eight_bits(ImageOps.exif_transpose(file))
        if "A" in picture.getbands() or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
        picture = picture.convert("L" if gray else "RGB")
        height, width = size
        return np.array(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def _eight_bits(picture):
    """16-bit and floating-point gray as 8 bits, which `convert` would clip; the other modes as they are."""
    from PIL import Image

    if picture.mode != "F" and not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.float64)
    if picture.mode == "F":
        top = 1 if values.max() <= 1 else 255
    else:
        top = 255 if picture.mode == "I" and values.max() <= 255 else 65535
    return Image.fromarray(np.clip(np.rint(values * (255 / top)), 0, 255).astype(np.uint8))


def _check(folder, pictures, classes, unreadable, least: int) -> None:
    """Raises ValueError if a class has fewer than `least` different pictures."""
    label_of: dict[bytes, int] = {}  # a copy in another class counts where the picture stood first
    for picture in pictures:
        label_of.setdefault(picture.content, picture.label)
    counts = Counter(label_of.values())
    broken = f" ({len(unreadable)} files could not be read, {_first(unreadable)})" if unreadable else ""
    if not pictures:
        where = f"the class folders of {str(folder)!r}"
        raise ValueError(f"folder: expected pictures in {where}, got none that can be read{broken}")
    few = [f"{name!r} has {counts[label]}" for label, name in enumerate(classes) if counts[label] < least]
    if few:
        of = f"{least} different pictures" if least > 1 else "a picture"
        more = f", and {len(few) - 3} more" if len(few) > 3 else ""
        raise ValueError(
            f"folder: expected at least {of} in each class of {str(folder)!r}, "
            f"got fewer: {', '.join(few[:3])}{more}{broken}"
        )


def _split(pictures: list[_Picture], classes: int, test_share: float, seed: int) -> np.ndarray:
    """For each picture whether it goes to the test set: a share of each class, copies together."""
    groups: dict[bytes, list[int]] = {}  # content -> its pictures
    for i, picture in enumerate(pictures):
        groups.setdefault(picture.content, []).append(i)
    of_class = [[] for _ in range(classes)]
    for group in groups.values():  # in the order of file names, so that the split is the same everywhere
        of_class[pictures[group[0]].label].append(group)
    in_test = np.zeros(len(pictures), bool)
    rng = np.random.default_rng(seed)
    for members in of_class:
        order = rng.permutation(len(members))
        wanted = max(1, round(test_share * sum(len(group) for group in members)))
        taken = 0
        for k in order[:-1]:  # one stays for training
            if taken == 0 or taken + len(members[k]) <= wanted:
                in_test[members[k]] = True
                taken += len(members[k])
    return in_test


def _first(files: list[str]) -> str:
    return "first: " + ", ".join(files[:3]) if len(files) > 3 else ", ".join(files)


def _warn_of_unreadable(unreadable: list[str], readable: int) -> None:
    if not unreadable:
        return
    total = len(unreadable) + readable
    were = "was" if len(unreadable) == 1 else "were"
    phone = any(file.lower().endswith((".heic", ".heif")) for file in unreadable)
    hint = " Pillow reads no HEIC: save such pictures as JPEG." if phone else ""
    warnings.warn(
        f"{len(unreadable)} of {total} pictures could not be read and {were} skipped "
        f"({_first(unreadable)}).{hint}",
        stacklevel=3,
    )


def _warn_of_copies(pictures: list[_Picture], what: str) -> None:
    """One warning about pictures that are there more than once, and about copies in different classes."""
    first: dict[bytes, _Picture] = {}
    copies, contradictions = [], 0
    for picture in pictures:
        original = first.setdefault(picture.content, picture)
        if original is not picture:
            copies.append(f"{picture.file} = {original.file}")
            contradictions += original.label != picture.label
    if copies:
        wrong = f" {contradictions} of them stand in another class." if contradictions else ""
        many = "1 picture is a copy" if len(copies) == 1 else f"{len(copies)} pictures are copies"
        warnings.warn(f"{many} ({_first(copies)}).{wrong} {what}", stacklevel=3)


def _dataset(pictures: list[_Picture], classes: tuple[str, ...], folder: Path, split: str) -> Dataset:
    images = np.stack([picture.pixels for picture in pictures])
    labels = np.array([picture.label for picture in pictures], np.int64)
    return Dataset(images, labels, classes, folder.resolve().name, split, "your folder")
