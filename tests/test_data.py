"""utils.data: the idx parser against torchvision's, hashes, the order of places, damaged files, no network."""

import gzip
import hashlib
import pickle
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import make_sample
from utils import data

REAL_DOWNLOAD = data._download
needs_debian = pytest.mark.skipif(
    not data.DEBIAN_FOLDER.exists(), reason="the Debian package dataset-fashion-mnist is not installed"
)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without the data and without network; the test may put files into the returned folder."""
    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path / "no-debian")
    monkeypatch.setenv("CONVNETS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "_download", lambda spec, folder, split: None)
    return tmp_path / "data"


@pytest.fixture
def tiny(monkeypatch):
    """A made-up data set of four 2×3 pictures in the files of Fashion-MNIST, with its hashes in force."""
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    labels = np.array([3, 1, 2, 1], np.uint8)
    names = data.file_names("fashion-mnist", "train")
    contents = {n: make_sample.idx_bytes(a) for n, a in zip(names, (images, labels), strict=True)}
    files = {n: hashlib.sha256(content).hexdigest() for n, content in contents.items()}
    monkeypatch.setitem(data._FASHION.files, "train", files)

    def write(folder, packed=True):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if packed:
                (folder / name).write_bytes(gzip.compress(content))
            else:
                (folder / name.removesuffix(".gz")).write_bytes(content)

    return images, labels, write


# --- the idx format ---


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_read_idx_gives_back_what_was_written(shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    read = data.read_idx(make_sample.idx_bytes(array))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.uint8
    assert read.flags.writeable


def test_read_idx_agrees_with_torchvision(tmp_path):
    mnist = pytest.importorskip("torchvision.datasets.mnist")
    array = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    path = tmp_path / "some-idx3-ubyte"
    path.write_bytes(make_sample.idx_bytes(array))
    np.testing.assert_array_equal(
        data.read_idx(path.read_bytes()), mnist.read_sn3_pascalvincent_tensor(str(path)).numpy()
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it begins 00 00 08"),
        (b"PK\x03\x04 a zip file", "50 4b 03 04"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00\x00\x00\x00", "00 00 0d"),  # floats
        (b"\x00\x00\x08\x03\x00\x00", "header of 16 bytes, got 6"),
        (struct.pack(">HBB2I", 0, 8, 2, 3, 4) + bytes(11), "12 values for (3, 4), got 11"),
        (struct.pack(">HBB2I", 0, 8, 2, 3, 4) + bytes(13), "12 values for (3, 4), got 13"),
    ],
)
def test_read_idx_refuses_what_is_not_idx(content, says):
    with pytest.raises(ValueError, match="content") as caught:
        data.read_idx(content)
    assert says in str(caught.value)


# --- the sample ---


@pytest.mark.parametrize(("split", "per_class"), [("train", 300), ("test", 100)])
def test_sample_is_balanced_and_silent(split, per_class, capsys, nowhere):
    dataset = data.load("fashion-mnist", split, sample=True)
    assert capsys.readouterr() == ("", "")
    assert dataset.images.shape == (10 * per_class, 28, 28)
    assert dataset.images.dtype == np.uint8
    assert dataset.labels.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(dataset.labels), [per_class] * 10)
    assert dataset.name == "fashion-mnist"
    assert dataset.split == split
    assert "sample" in dataset.source


def test_sample_is_small_and_licensed():
    files = sorted(data.SAMPLE_FOLDER.iterdir())
    assert sum(file.stat().st_size for file in files) <= 2_000_000
    assert {file.name for file in files} == {
        name for split in ("train", "test") for name in data.file_names("fashion-mnist", split)
    }
    licence = (data.SAMPLE_FOLDER.parent / "LICENSE").read_text(encoding="utf-8")
    assert "Zalando SE" in licence
    assert "Permission is hereby granted, free of charge" in licence


@needs_debian
@pytest.mark.parametrize("split", ["train", "test"])
def test_sample_pictures_are_in_the_full_set(split):
    sample = data.load("fashion-mnist", split, sample=True)
    full = data.load("fashion-mnist", split, folder=data.DEBIAN_FOLDER, quiet=True)
    assert len(full) == {"train": 60_000, "test": 10_000}[split]
    position = {picture.tobytes(): i for i, picture in enumerate(full.images)}
    found = [position[picture.tobytes()] for picture in sample.images]
    np.testing.assert_array_equal(full.labels[found], sample.labels)
    assert len(set(found)) == len(sample)
    # the order of the full set: up to the first class that is complete, the samples are the same
    np.testing.assert_array_equal(sample.images[:100], full.images[:100])


@needs_debian
def test_make_sample_builds_the_files_that_ship(tmp_path):
    make_sample.main(tmp_path)
    for built in sorted(tmp_path.iterdir()):
        shipped = data.SAMPLE_FOLDER / built.name
        assert gzip.decompress(built.read_bytes()) == gzip.decompress(shipped.read_bytes())


@needs_debian
@pytest.mark.parametrize("split", ["train", "test"])
def test_hashes_belong_to_the_published_files(split):
    """Debian's gzip files differ from the published ones only in the header: name and date. With them, their
    MD5 is the one that torchvision publishes, so the content that our SHA-256 was taken of is the published one."""
    datasets = pytest.importorskip("torchvision.datasets")
    dates = {  # seconds since 1970: 31 August 2017
        "train-images-idx3-ubyte.gz": 1504176606,
        "train-labels-idx1-ubyte.gz": 1504176606,
        "t10k-images-idx3-ubyte.gz": 1504176627,
        "t10k-labels-idx1-ubyte.gz": 1504176627,
    }
    published = dict(datasets.FashionMNIST.resources)
    for name in data.file_names("fashion-mnist", split):
        debian = (data.DEBIAN_FOLDER / name).read_bytes()
        header = b"\x1f\x8b\x08\x08" + struct.pack("<I", dates[name]) + b"\x00\x03"
        original = header + name.removesuffix(".gz").encode() + b"\x00" + debian[10:]
        assert hashlib.md5(original).hexdigest() == published[name]


# --- names, classes, and the table of what there is ---


def test_tables_agree_with_torchvision():
    datasets = pytest.importorskip("torchvision.datasets")
    assert list(data.FASHION_CLASSES) == datasets.FashionMNIST.classes
    assert [name[0] for name in datasets.MNIST.classes] == list(data.DIGITS)
    for split, listed in (("train", datasets.CIFAR10.train_list), ("test", datasets.CIFAR10.test_list)):
        assert data._CIFAR10.files[split] == dict(listed)
    for spec in (data._FASHION, data._MNIST, data._CIFAR10):
        assert hasattr(datasets, spec.torchvision)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "fashion"}, ["name:", "'fashion'", "'fashion-mnist'", "'cifar-10'"]),
        ({"name": None}, ["name:", "None"]),
        ({"split": "validation"}, ["split:", "'validation'", "'train'", "'test'"]),
        ({"name": "mnist", "sample": True}, ["sample:", "'mnist'", "'fashion-mnist'"]),
    ],
)
def test_wrong_arguments_are_named(arguments, words, nowhere):
    with pytest.raises(ValueError, match=":") as caught:
        data.load(**arguments)
    for word in words:
        assert word in str(caught.value)


# --- where the data comes from ---


@pytest.mark.parametrize("inner", ["", "fashion-mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_folder_comes_first(inner, packed, tiny, nowhere, tmp_path, capsys):
    images, labels, write = tiny
    write(tmp_path / "mine" / inner, packed)
    dataset = data.load(folder=tmp_path / "mine")
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "Fashion-MNIST, train: 4 images" in printed
    assert "mine" in printed


def test_environment_variable_and_quiet(tiny, nowhere, capsys):
    tiny[2](nowhere)
    dataset = data.load(quiet=True)
    assert len(dataset) == 4
    assert dataset.source == "the folder CONVNETS_DATA"
    assert capsys.readouterr().out == ""


def test_folder_of_the_course(tiny, nowhere, monkeypatch, tmp_path):
    monkeypatch.delenv("CONVNETS_DATA")
    monkeypatch.setattr(data, "COURSE_ROOT", tmp_path / "course")
    tiny[2](tmp_path / "course" / "data")
    assert data.load(quiet=True).source == "the course's folder data/"


def test_debian_package_is_next(tiny, nowhere, capsys):
    tiny[2](data.DEBIAN_FOLDER)
    assert len(data.load()) == 4
    assert "Debian package dataset-fashion-mnist" in capsys.readouterr().out


def test_torchvision_is_next(tiny, nowhere, monkeypatch, capsys):
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setattr(data, "_download", REAL_DOWNLOAD)
    _, _, write = tiny
    calls = []

    def fashion_mnist(root, train, download):
        calls.append((train, download))
        print("noise")
        write(Path(root) / "FashionMNIST" / "raw")

    monkeypatch.setattr(datasets, "FashionMNIST", fashion_mnist)
    assert len(data.load(folder=nowhere)) == 4
    assert calls == [(True, True)]
    printed = capsys.readouterr().out
    assert "torchvision's download" in printed
    assert "noise" not in printed
    assert len(data.load(folder=nowhere, quiet=True)) == 4  # kept for the next time
    assert len(calls) == 1


@pytest.mark.parametrize(
    "error",
    [RuntimeError("Error downloading\ntrain-images"), OSError("no route to host"), ImportError("No module")],
)
def test_offline_falls_back_to_the_sample(error, monkeypatch, tmp_path, capsys):
    import socket

    datasets = pytest.importorskip("torchvision.datasets")

    def fail(root, train, download):
        assert socket.getdefaulttimeout() == data.DOWNLOAD_TIMEOUT
        raise error

    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path / "no-debian")
    monkeypatch.setattr(datasets, "FashionMNIST", fail)
    with pytest.warns(UserWarning, match="was not downloaded"):
        dataset = data.load(folder=tmp_path)
    assert len(dataset) == 3_000
    assert "from the sample that ships with the course" in capsys.readouterr().out
    assert socket.getdefaulttimeout() is None


def test_without_torchvision(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path / "no-debian")
    monkeypatch.setitem(sys.modules, "torchvision", None)  # makes "import torchvision" fail
    with pytest.warns(UserWarning, match="was not downloaded"):
        assert len(data.load(folder=tmp_path, quiet=True)) == 3_000


def test_no_download_when_told_so(monkeypatch, nowhere):
    def refuse(*arguments):
        raise AssertionError("download=False must not download")

    monkeypatch.setattr(data, "_download", refuse)
    assert len(data.load("fashion-mnist", "test", download=False, quiet=True)) == 1_000


@pytest.mark.parametrize("name", ["mnist", "cifar-10"])
def test_nothing_is_made_up(name, nowhere):
    with pytest.raises(FileNotFoundError) as caught:
        data.load(name, "test")
    for word in ("torchvision", "folder=", "CONVNETS_DATA", data.file_names(name, "test")[0]):
        assert word in str(caught.value)


# --- damage ---


def _flip_a_byte(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def _replace(path):
    path.write_bytes(b"<html>404 Not Found</html>")


@pytest.mark.parametrize("damage", [_flip_a_byte, _cut, _replace])
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_is_named_and_the_next_place_is_tried(damage, which, tiny, nowhere):
    name = data.file_names("fashion-mnist", "train")[which]
    tiny[2](nowhere)
    tiny[2](data.DEBIAN_FOLDER)
    damage(nowhere / name)
    with pytest.warns(UserWarning, match=f"{name} is damaged .* in the folder CONVNETS_DATA"):
        dataset = data.load(quiet=True)
    assert "Debian" in dataset.source
    np.testing.assert_array_equal(dataset.images, tiny[0])


def test_a_damaged_sample_is_an_error(monkeypatch, tmp_path):
    for file in data.SAMPLE_FOLDER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    _flip_a_byte(tmp_path / "train-labels-idx1-ubyte.gz")
    monkeypatch.setattr(data, "SAMPLE_FOLDER", tmp_path)
    with pytest.raises(data.DamagedFileError, match=r"train-labels-idx1-ubyte\.gz is damaged"):
        data.load(sample=True)


# --- CIFAR-10 ---


def test_cifar10_files_are_read_as_torchvision_reads_them(monkeypatch, nowhere):
    datasets = pytest.importorskip("torchvision.datasets")
    folder = nowhere / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    batch = {"data": rng.integers(0, 256, (6, 3072), np.uint8), "labels": [5, 0, 9, 1, 1, 2]}
    as_python_2_wrote_it = {key.encode(): value for key, value in batch.items()}
    (folder / "test_batch").write_bytes(pickle.dumps(as_python_2_wrote_it, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(data.CIFAR10_CLASSES)}))
    digest = hashlib.md5((folder / "test_batch").read_bytes()).hexdigest()
    monkeypatch.setitem(data._CIFAR10.files, "test", {"test_batch": digest})

    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.CIFAR10, "_load_meta", lambda self: None)
    monkeypatch.setattr(pickle, "load", lambda file, encoding: batch)
    theirs = datasets.CIFAR10(nowhere, train=False)
    ours = data.load("cifar-10", "test", quiet=True)
    np.testing.assert_array_equal(ours.images, theirs.data)
    np.testing.assert_array_equal(ours.labels, theirs.targets)
    assert ours.images.shape == (6, 32, 32, 3)
    assert ours.labels.dtype == np.int64


def test_cifar10_is_not_unpickled_before_its_hash_is_checked(nowhere):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("an unchecked pickle was opened",))

    nowhere.mkdir()
    (nowhere / "test_batch").write_bytes(pickle.dumps(Trap()))
    with pytest.warns(UserWarning, match="test_batch is damaged"), pytest.raises(FileNotFoundError):
        data.load("cifar-10", "test")


# --- Dataset ---


def test_dataset_indexing():
    dataset = data.load(sample=True)
    image, label = dataset[2]
    np.testing.assert_array_equal(image, dataset.images[2])
    assert label == dataset.labels[2]
    boots = dataset[dataset.labels == 9]
    assert isinstance(boots, data.Dataset)
    assert len(boots) == 300
    assert set(boots.labels) == {9}
    assert boots.classes == dataset.classes
    np.testing.assert_array_equal(dataset[10:13].images, dataset.images[10:13])
    np.testing.assert_array_equal(dataset[[5, 1]].labels, dataset.labels[[5, 1]])
    np.testing.assert_array_equal(dataset[np.array([5, 1])].labels, dataset.labels[[5, 1]])
    assert len(list(dataset[:7])) == 7
    with pytest.raises(IndexError):
        dataset[3_000]


def test_dataset_repr_and_frozen():
    dataset = data.load(sample=True)
    expected = (
        "Dataset(fashion-mnist train: 3,000 images of 28×28 uint8, 10 classes, from the sample that ships"
    )
    assert repr(dataset).startswith(expected)
    with pytest.raises(AttributeError):
        dataset.labels = dataset.labels[:1]


# --- pictures ---


def test_photograph_color_and_gray():
    color = data.photograph()
    assert color.shape == (600, 512, 3)
    assert color.dtype == np.uint8
    gray = data.photograph(gray=True)
    luma = color.astype(float) @ [0.299, 0.587, 0.114]
    assert gray.shape == (600, 512)
    assert np.abs(gray - luma).max() <= 0.51
    assert data.photograph() is not color


def test_photograph_size_is_height_then_width():
    assert data.photograph(size=(60, 40)).shape == (60, 40, 3)
    small = data.photograph(gray=True, size=(75, 64))  # an eighth of each side
    means = data.photograph(gray=True).reshape(75, 8, 64, 8).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), means.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("size", [32, (32,), (32, 0), (32.5, 32), (32, 32, 3), "ab"])
def test_photograph_refuses_other_sizes(size):
    with pytest.raises(ValueError, match="size: expected"):
        data.photograph(size=size)


# --- imports ---


def test_import_needs_no_torch_and_prints_nothing():
    code = "import sys; import utils.data, utils.kernels, utils.plot; assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=data.COURSE_ROOT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_sample_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load(sample=True)
