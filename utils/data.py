"""The course's data sets: Fashion-MNIST (MNIST, CIFAR-10) as NumPy arrays, a photograph, your own pictures.

`load` looks in one place after the other, reads only files whose SHA-256 is the published one, and says which
place it used. The last place is a small subset of Fashion-MNIST that ships with the course, so that a chapter
runs where there is no network. Nothing here needs PyTorch; torchvision is imported only to download.
"""

import contextlib
import gzip
import hashlib
import http.client
import io
import math
import os
import pickle
import socket
import struct
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.dataset import Dataset, checked_size, to_array
from utils.image_folder import image_folder

__all__ = [
    "COURSE_ROOT",
    "DamagedFileError",
    "Dataset",
    "example_folder",
    "file_names",
    "image_folder",
    "load",
    "photograph",
    "read_idx",
]

COURSE_ROOT = Path(__file__).resolve().parents[1]
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
SAMPLE_FOLDER = Path(__file__).resolve().parent / "datasets" / "fashion-mnist-sample"
DOWNLOAD_TIMEOUT = 10  # seconds without an answer, after which a mirror counts as down

FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
DIGITS = tuple("0123456789")
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


@dataclass(frozen=True)
class _Spec:
    """What `load` knows about a data set: its classes, its files with their hashes, and how to read them."""

    title: str
    classes: tuple[str, ...]
    folders: tuple[str, ...]  # where the files lie inside a data folder
    files: dict[str, dict[str, str]]  # split -> {file name: SHA-256 (or MD5) of its content, unpacked if .gz}
    torchvision: str  # name of the class in torchvision.datasets


_FASHION = _Spec(
    title="Fashion-MNIST",
    classes=FASHION_CLASSES,
    folders=("", "fashion-mnist", "FashionMNIST/raw"),
    files={
        "train": {
            "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        },
        "test": {
            "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    },
    torchvision="FashionMNIST",
)
_SAMPLE = _Spec(
    title="Fashion-MNIST sample",
    classes=FASHION_CLASSES,
    folders=("",),
    files={
        "train": {
            "train-images-idx3-ubyte.gz": "ee31c1e1edb79ee04ce6a320d9e6e856628d3ea2b7aaa437891f46fdbdec9f93",
            "train-labels-idx1-ubyte.gz": "a7901365666c760d2e5bd01b5bdc91c00e64ca459c33d7a48aed2aaee7486060",
        },
        "test": {
            "t10k-images-idx3-ubyte.gz": "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef",
            "t10k-labels-idx1-ubyte.gz": "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909",
        },
    },
    torchvision="",
)
_MNIST = _Spec(
    title="MNIST",
    classes=DIGITS,
    folders=("", "mnist", "MNIST/raw"),
    files={
        "train": {
            "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        },
        "test": {
            "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    },
    torchvision="MNIST",
)
_CIFAR10 = _Spec(
    title="CIFAR-10",
    classes=CIFAR10_CLASSES,
    folders=("", "cifar-10-batches-py"),
    files={  # the MD5 sums that torchvision publishes
        "train": {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
    },
    torchvision="CIFAR10",
)
_SPECS = {"fashion-mnist": _FASHION, "mnist": _MNIST, "cifar-10": _CIFAR10}


class DamagedFileError(ValueError):
    """A data file whose content is not what its publisher's hash says."""


def load(
    name: str = "fashion-mnist",
    split: str = "train",
    *,
    sample: bool = False,
    folder: str | os.PathLike | None = None,
    download: bool = True,
    quiet: bool = False,
) -> Dataset:
    """Read one split ("train" or "test") of "fashion-mnist", "mnist" or "cifar-10".

    Places, in order: `folder`, else the environment variable CONVNETS_DATA, else the course's folder data/;
    for Fashion-MNIST the Debian package dataset-fashion-mnist; if `download`, torchvision's mirrors (kept in
    the first folder for the next time); for Fashion-MNIST the subset that ships with the course. A printed
    line says which was used; `quiet` silences it. A damaged file is named in a warning, and the next place is
    tried.

    `sample=True` reads the shipped subset at once (the first 300 training and 100 test images of each class,
    in the order of the full set): the same everywhere, no network, nothing printed.

    Returns images uint8 (N, H, W) or (N, H, W, 3) and labels int64 (N,). Raises ValueError for an unknown
    name or split, FileNotFoundError where no place has the data.
    """
    if name not in _SPECS:
        raise ValueError(f"name: expected one of {', '.join(map(repr, _SPECS))}, got {name!r}")
    if split not in ("train", "test"):
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}")
    if sample:
        if name != "fashion-mnist":
            raise ValueError(f"sample: expected False, only 'fashion-mnist' has one, got True for {name!r}")
        return _read(name, _SAMPLE, split, SAMPLE_FOLDER, "the sample that ships with the course")

    spec = _SPECS[name]
    own_folder = Path(folder or os.environ.get("CONVNETS_DATA") or COURSE_ROOT / "data").expanduser()
    places = [(_in_words(folder), own_folder)]
    if name == "fashion-mnist":
        places.append(("the Debian package dataset-fashion-mnist", DEBIAN_FOLDER))
    dataset = _first_readable(name, spec, split, places)
    if dataset is None and download:
        _download(spec, own_folder, split)
        dataset = _first_readable(name, spec, split, [("torchvision's download", own_folder)])
    if dataset is None and name == "fashion-mnist":
        dataset = _read(name, _SAMPLE, split, SAMPLE_FOLDER, "the sample that ships with the course")
    if dataset is None:
        raise FileNotFoundError(_what_to_do(spec, split))
    if not quiet:
        print(f"{spec.title}, {split}: {len(dataset):,} images from {dataset.source}.")
    return dataset


def example_folder(path: str | os.PathLike | None = None, pictures: int = 100) -> Path:
    """A folder for `image_folder` to read: `pictures` shirts and as many coats, as PNG files of 96×96.

    They are the first ones of the sample that ships with the course, enlarged from 28×28: two classes that
    are hard to tell apart, and no network needed. `path` is a new folder, or one written by this function;
    without it the folder shirts-and-coats in CONVNETS_DATA or data/, or, where that cannot be written, among
    the temporary files. Files that are there already stay. Returns the path.
    """
    from PIL import Image

    dataset = load(sample=True)
    if isinstance(pictures, bool) or not isinstance(pictures, int) or not 1 <= pictures <= 300:
        raise ValueError(f"pictures: expected a whole number of 1 to 300 a class, got {pictures!r}")
    if path is None:
        own = Path(os.environ.get("CONVNETS_DATA") or COURSE_ROOT / "data").expanduser()
        path = (own if _can_write(own) else Path(tempfile.gettempdir())) / "shirts-and-coats"
    path = Path(path).expanduser()
    others = {inner.name for inner in path.iterdir()} - {"coat", "shirt"} if path.is_dir() else set()
    if others or (path.exists() and not path.is_dir()):
        raise ValueError(f"path: expected a new folder, or an example folder, got {str(path)!r}")
    for name in ("Coat", "Shirt"):
        folder = path / name.lower()
        folder.mkdir(parents=True, exist_ok=True)
        images = dataset.images[dataset.labels == FASHION_CLASSES.index(name)]
        for number, image in enumerate(images[:pictures]):
            file = folder / f"{name.lower()}_{number:03}.png"
            if not file.exists():
                unfinished = file.with_suffix(".part")  # a run that breaks off leaves no half picture
                Image.fromarray(image).resize((96, 96), Image.Resampling.LANCZOS).save(unfinished, "PNG")
                unfinished.replace(file)
    return path


def file_names(name: str, split: str) -> tuple[str, ...]:
    """The files that hold one split, as their publisher named them."""
    return tuple(_SPECS[name].files[split])


def read_idx(content: bytes) -> np.ndarray:
    """Parse an idx file, the format of MNIST: a magic number, the sizes, then the values as unsigned bytes.

    Bytes 0 and 1 are 0, byte 2 is the type (8: unsigned byte), byte 3 the number of axes; then one big-endian
    32-bit size for each axis. Source: the format's description at yann.lecun.com/exdb/mnist.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"content: expected an idx file (it begins 00 00 08), got {content[:4].hex(' ')!r}")
    ndim = content[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"content: expected a header of {start} bytes, got {len(content)} bytes in all")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    count = math.prod(shape)
    if len(content) - start != count:
        raise ValueError(f"content: expected {count} values for {shape}, got {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def photograph(gray: bool = False, size: tuple[int, int] | None = None) -> np.ndarray:
    """The portrait of Grace Hopper that ships with matplotlib (US Navy, public domain): uint8 (600, 512, 3).

    `gray` gives (H, W) with the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, rounded.
    `size` = (H, W) resizes with Pillow's Lanczos filter, which averages over the pixels it drops.
    """
    from matplotlib import cbook
    from PIL import Image

    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        return to_array(file, gray, None if size is None else checked_size(size))


def _in_words(folder) -> str:
    """How to name the reader's own folder in a sentence."""
    if folder is not None:
        return f"folder {str(folder)!r}"
    return "the folder CONVNETS_DATA" if os.environ.get("CONVNETS_DATA") else "the course's folder data/"


def _can_write(folder: Path) -> bool:
    """Whether files can be made in `folder`, which need not be there yet."""
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _first_readable(name: str, spec: _Spec, split: str, places: list[tuple[str, Path]]) -> Dataset | None:
    """The data set from the first place that has all its files, whole."""
    for source, folder in places:
        for inner in spec.folders:
            try:
                return _read(name, spec, split, folder / inner, source)
            except FileNotFoundError:
                continue
            except DamagedFileError as error:
                warnings.warn(f"{spec.title}: {error} in {source}. Trying the next place.", stacklevel=3)
    return None


def _read(name: str, spec: _Spec, split: str, folder: Path, source: str) -> Dataset:
    contents = [_content(folder / file, expected) for file, expected in spec.files[split].items()]
    if name == "cifar-10":
        # Unpickling runs what the file says: the hashes have been checked.
        batches = [pickle.loads(content, encoding="bytes") for content in contents]
        images = np.concatenate([batch[b"data"] for batch in batches])  # (N, 3072): red, green, blue planes
        images = images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy()  # (N, 32, 32, 3)
        labels = np.concatenate([batch[b"labels"] for batch in batches])
    else:
        images, labels = (read_idx(content) for content in contents)
    return Dataset(images, labels.astype(np.int64), spec.classes, name, split, source)


def _content(path: Path, expected: str) -> bytes:
    """The file's bytes if their hash is the expected one.

    Of a .gz file the unpacked bytes count: the packed ones differ in name and date between distributors.
    """
    if path.suffix == ".gz" and not path.exists():
        path = path.with_suffix("")  # somebody has unpacked it
    content = path.read_bytes()
    try:
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedFileError(f"{path.name} is damaged ({error})") from error
    algorithm = {64: "sha256", 32: "md5"}[len(expected)]
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        found, expected = found[:12], expected[:12]
        raise DamagedFileError(f"{path.name} is damaged ({algorithm} {found}…, expected {expected}…)")
    return content


def _download(spec: _Spec, folder: Path, split: str) -> None:
    """Let torchvision fetch the files into `folder`; say why when it cannot."""
    before = socket.getdefaulttimeout()
    try:
        from torchvision import datasets

        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        with contextlib.redirect_stdout(io.StringIO()):
            getattr(datasets, spec.torchvision)(folder, train=split == "train", download=True)
    except (ImportError, OSError, RuntimeError, EOFError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or repr(error)
        warnings.warn(f"{spec.title} was not downloaded. {reason}", stacklevel=3)
    finally:
        socket.setdefaulttimeout(before)


def _what_to_do(spec: _Spec, split: str) -> str:
    return (
        f"{spec.title} ({split}) was found nowhere. Install torchvision and go online, or put the files "
        f"{', '.join(spec.files[split])} into a folder and pass it as folder=, or name it in the environment "
        "variable CONVNETS_DATA."
    )
