"""utils.data.image_folder and example_folder: sizes and modes, broken files, the split, copies, the errors."""

import warnings
from collections import Counter
from pathlib import PureWindowsPath

import numpy as np
import pytest
from PIL import Image

from utils import data, image_folder


def noise(rng, size=(12, 9), channels=3):
    """A picture of random pixels, which no other picture has; size is (H, W)."""
    shape = size if channels == 1 else (*size, channels)
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))


def fill(folder, counts, seed=0, size=(12, 9)):
    """A folder with so many pictures for each class."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            noise(rng, size).save(folder / name / f"{i:02}.png")
    return folder


def quiet(*args, **options):
    """image_folder, which must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return data.image_folder(*args, **options)


# --- reading ---


def test_the_order_of_names_is_the_same_on_windows():
    names = [PureWindowsPath(name) for name in ("ant", "Zebra", "b/c", "b/B")]
    assert [path.as_posix() for path in image_folder._sorted(names)] == ["Zebra", "ant", "b/B", "b/c"]


def test_classes_split_and_shapes(tmp_path):
    fill(tmp_path, {"b": 8, "a": 20})
    train, test = quiet(tmp_path, size=(6, 10))
    assert train.classes == test.classes == ("a", "b")
    assert (train.split, test.split) == ("train", "test")
    assert train.images.shape == (21, 6, 10, 3)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert Counter(test.labels.tolist()) == {0: 5, 1: 2}
    assert "your folder" in repr(train)
    gray, _ = quiet(tmp_path, size=(7, 5), gray=True)
    assert gray.images.shape == (21, 7, 5)


def test_short_side_fits_and_the_middle_stays(tmp_path):
    """A wide picture with a red left, a green middle, a blue right third, and a tall one: the middle is green."""
    fill(tmp_path, {"a": 5, "b": 5})
    wide = np.zeros((40, 120, 3), np.uint8)
    for third in range(3):
        wide[:, 40 * third : 40 * third + 40, third] = 255
    for name, array in (("wide", wide), ("tall", wide.transpose(1, 0, 2))):
        path = tmp_path / f"{name}.png"
        Image.fromarray(array).save(path)
        pixels = image_folder._read_picture(path, (20, 20), gray=False)
        expected = np.broadcast_to([0, 255, 0], (20, 20, 3))
        np.testing.assert_allclose(pixels.astype(int), expected, atol=20)  # the filter sees beyond the edge


def _palette():
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    return picture


MODES = {  # name -> (picture, options of save, the color that must come out)
    "rgb.png": (Image.new("RGB", (8, 8), (10, 20, 30)), {}, (10, 20, 30)),
    "gray.png": (Image.new("L", (8, 8), 77), {}, (77, 77, 77)),
    "bits.png": (Image.new("1", (8, 8), 1), {}, (255, 255, 255)),
    "palette.png": (_palette(), {}, (200, 100, 50)),
    "palette.gif": (_palette(), {}, (200, 100, 50)),
    "clear palette.png": (_palette(), {"transparency": 1}, (255, 255, 255)),
    "clear gray.png": (Image.new("L", (8, 8), 0), {"transparency": 0}, (255, 255, 255)),
    "rgba.png": (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), {}, (255, 255, 255)),
    "half.png": (Image.new("RGBA", (8, 8), (0, 100, 0, 128)), {}, (127, 177, 127)),
    "la.png": (Image.new("LA", (8, 8), (0, 0)), {}, (255, 255, 255)),
    "16 bits.png": (Image.fromarray(np.full((8, 8), 25700, np.uint16)), {}, (100, 100, 100)),
    "32 bits.tif": (Image.fromarray(np.full((8, 8), 25700, np.int32)), {}, (100, 100, 100)),
    "float.tiff": (Image.fromarray(np.full((8, 8), 0.2, np.float32)), {}, (51, 51, 51)),
    "cmyk.jpg": (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), {"quality": 95}, (255, 0, 0)),
    "gray.JPG": (Image.new("L", (8, 8), 90), {}, (90, 90, 90)),
    "web.webp": (Image.new("RGB", (8, 8), (0, 0, 255)), {"lossless": True}, (0, 0, 255)),
}


@pytest.mark.parametrize("name", MODES)
def test_modes(tmp_path, name):
    picture, options, color = MODES[name]
    picture.save(tmp_path / name, **options)
    pixels = image_folder._read_picture(tmp_path / name, (4, 4), gray=False)
    np.testing.assert_allclose(pixels.astype(int), np.broadcast_to(color, (4, 4, 3)), atol=2)
    gray = image_folder._read_picture(tmp_path / name, (4, 4), gray=True)
    assert gray.shape == (4, 4)


def test_turned_as_the_camera_says(tmp_path):
    """Orientation 6: the top of the scene is the left side of the stored pixels... turned back on reading."""
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8] = 250  # the upper half is bright
    stored = Image.fromarray(np.rot90(upright, 1).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    pixels = image_folder._read_picture(tmp_path / "turned.jpg", (16, 16), gray=True).astype(int)
    assert pixels[:7].mean() > 240
    assert pixels[9:].mean() < 10


def test_large_jpeg_is_the_same_picture(tmp_path):
    """Pillow decodes a large JPEG file at a fraction of its size; the result hardly differs."""
    photograph = Image.fromarray(data.photograph()).resize((2048, 2400))
    photograph.save(tmp_path / "large.jpg", quality=95)
    photograph.save(tmp_path / "large.png")
    jpeg = image_folder._read_picture(tmp_path / "large.jpg", (60, 50), gray=False).astype(int)
    png = image_folder._read_picture(tmp_path / "large.png", (60, 50), gray=False).astype(int)
    assert np.abs(jpeg - png).mean() < 2


def test_hidden_and_other_files_are_passed_over(tmp_path):
    fill(tmp_path, {"a": 5, "b": 5, ".git": 3, "__MACOSX": 2})
    (tmp_path / "a" / "._00.png").write_bytes(b"resource fork")
    (tmp_path / "a" / ".thumbs").mkdir()
    (tmp_path / "a" / ".thumbs" / "00.png").write_bytes(b"broken")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    (tmp_path / "labels.csv").write_text("no picture")
    fill(tmp_path / "a", {"deeper": 4}, seed=1)
    train, test = quiet(tmp_path)
    assert train.classes == ("a", "b")
    assert len(train) + len(test) == 14


# --- broken files ---


def test_broken_files_are_named_and_skipped(tmp_path):
    fill(tmp_path, {"a": 6, "b": 6}, size=(40, 40))
    whole = (tmp_path / "a" / "00.png").read_bytes()
    Image.fromarray(data.photograph()).save(tmp_path / "a" / "x.jpg")
    jpeg = (tmp_path / "a" / "x.jpg").read_bytes()
    (tmp_path / "a" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 3])
    (tmp_path / "a" / "empty.png").touch()
    (tmp_path / "b" / "page.jpg").write_text("<html>404 not found</html>")
    (tmp_path / "b" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(30))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255  # the checksum is wrong
    (tmp_path / "b" / "flipped.png").write_bytes(flipped)
    with pytest.warns(UserWarning, match="skipped") as caught:
        train, test = data.image_folder(tmp_path)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith(
        "6 of 19 pictures could not be read and were skipped (first: a/cut.jpg, a/cut.png"
    )
    assert "HEIC" in message
    assert caught[0].filename == __file__
    assert len(train) + len(test) == 13


def test_everything_unreadable(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"no picture")
    with pytest.raises(
        ValueError, match=r"folder: expected pictures .* got none .*2 files could not be read"
    ):
        data.image_folder(tmp_path)


# --- the split ---


def test_split_is_reproducible_and_by_seed(tmp_path):
    fill(tmp_path, {"a": 30, "b": 21, "c": 9})
    first, again, other = (quiet(tmp_path, size=(12, 9), seed=seed) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.labels, two.labels)
    assert not np.array_equal(first[1].images, other[1].images)
    everything = {image.tobytes() for part in first for image in part.images}
    assert len(everything) == 60  # each picture once, none on both sides


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.99])
def test_share_of_each_class(tmp_path, share):
    fill(tmp_path, {"a": 40, "b": 5})
    _, test = quiet(tmp_path, test_share=share)
    counts = Counter(test.labels.tolist())
    for label, total in enumerate((40, 5)):
        assert counts[label] == min(max(1, round(share * total)), total - 1)


def test_copies_stay_on_one_side(tmp_path):
    fill(tmp_path, {"a": 12, "b": 12})
    for i in range(6):
        content = (tmp_path / "a" / f"{i:02}.png").read_bytes()
        for copy in range(3):
            (tmp_path / "a" / f"copy {copy} of {i}.png").write_bytes(content)
    Image.open(tmp_path / "b" / "00.png").save(tmp_path / "b" / "other format.bmp")
    for seed in range(8):
        with pytest.warns(UserWarning, match=r"19 pictures are copies \(first: a/copy 0 of 0.png = a/00.png"):
            train, test = data.image_folder(tmp_path, size=(12, 9), seed=seed)
        assert len(train) + len(test) == 43
        assert not {x.tobytes() for x in train.images} & {x.tobytes() for x in test.images}
        assert set(test.labels.tolist()) == {0, 1}


def test_a_picture_in_two_classes(tmp_path):
    fill(tmp_path, {"a": 6, "b": 6})
    (tmp_path / "b" / "wrong.png").write_bytes((tmp_path / "a" / "00.png").read_bytes())
    with pytest.warns(UserWarning, match=r"1 picture is a copy .*1 of them stand in another class"):
        data.image_folder(tmp_path)


@pytest.mark.parametrize("name", ["test", "val", "valid", "Test"])
def test_own_split(tmp_path, name):
    fill(tmp_path / "train", {"a": 7, "b": 6})
    fill(tmp_path / name, {"a": 1, "b": 2}, seed=1)
    train, test = quiet(tmp_path)
    assert (len(train), len(test), train.classes) == (13, 3, ("a", "b"))


def test_own_split_with_a_flat_test_folder(tmp_path):
    """As contests give it: test/ without labels, val/ with class folders."""
    fill(tmp_path / "train", {"a": 7, "b": 6})
    fill(tmp_path / "val", {"a": 1, "b": 2}, seed=1)
    fill(tmp_path, {"test": 9}, seed=2)
    train, test = quiet(tmp_path)
    assert (len(train), len(test)) == (13, 3)


def test_own_split_without_copies(tmp_path):
    fill(tmp_path / "train", {"a": 7, "b": 7})
    fill(tmp_path / "test", {"a": 2, "b": 2}, seed=1)
    (tmp_path / "train" / "a" / "leak.png").write_bytes((tmp_path / "test" / "a" / "01.png").read_bytes())
    with pytest.warns(UserWarning, match="left out of the training set"):
        train, test = data.image_folder(tmp_path)
    assert (len(train), len(test)) == (14, 4)


def test_own_split_with_other_classes(tmp_path):
    fill(tmp_path / "train", {"a": 7, "b": 7})
    fill(tmp_path / "test", {"a": 2, "c": 2}, seed=1)
    with pytest.raises(
        ValueError, match="same class folders in train/ and test/, found only in one of them: b, c"
    ):
        data.image_folder(tmp_path)


# --- errors ---


def test_no_such_folder(tmp_path):
    with pytest.raises(ValueError, match="folder: expected an existing folder, found nothing at"):
        data.image_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="found a file at"):
        data.image_folder(tmp_path / "file")


def test_pictures_lying_flat(tmp_path):
    fill(tmp_path, {"a": 4})
    with pytest.raises(ValueError, match="4 pictures lying flat: move them into folders"):
        data.image_folder(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="found no subfolder and no picture"):
        data.image_folder(tmp_path / "empty")


def test_one_class(tmp_path):
    fill(tmp_path / "inside", {"a": 9, "b": 9})
    with pytest.raises(
        ValueError, match="one class only, 'inside', which holds folders itself: perhaps you mean"
    ):
        data.image_folder(tmp_path)
    fill(tmp_path / "cats only", {"cat": 9})
    with pytest.raises(ValueError, match=r"one class only, 'cat'$"):
        data.image_folder(tmp_path / "cats only")


def test_too_few_pictures(tmp_path):
    fill(tmp_path, {"a": 30, "b": 4})
    with pytest.raises(ValueError, match=r"at least 5 different pictures in each class .*'b' has 4"):
        data.image_folder(tmp_path)
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "b" / "00.png").read_bytes())
    with pytest.raises(ValueError, match="'b' has 4"):
        data.image_folder(tmp_path)


@pytest.mark.parametrize("size", [32, (32,), (32, 0), (32.5, 32), (32, 32, 3), "ab", (True, 3)])
def test_bad_size(tmp_path, size):
    with pytest.raises(ValueError, match="size: expected"):
        data.image_folder(tmp_path, size=size)


@pytest.mark.parametrize("share", [0, 1, -0.5, 25, "0.25", None, True, float("nan")])
def test_bad_share(tmp_path, share):
    with pytest.raises(ValueError, match="test_share: expected a number between 0 and 1"):
        data.image_folder(tmp_path, test_share=share)


# --- the example ---


def test_example_folder(tmp_path):
    path = data.example_folder(tmp_path / "garments")
    files = sorted(path.rglob("*.png"))
    assert len(files) == 200
    before = [file.stat().st_mtime_ns for file in files]
    files[3].unlink()
    assert data.example_folder(path) == path
    after = [file.stat().st_mtime_ns for file in sorted(path.rglob("*.png"))]
    assert [a == b for a, b in zip(after, before, strict=True)].count(False) == 1
    train, test = quiet(path, gray=True)
    assert train.classes == ("coat", "shirt")
    assert (len(train), len(test)) == (150, 50)
    shirt = data.load(sample=True)
    shirt = shirt.images[shirt.labels == 6][0]
    with Image.open(path / "shirt" / "shirt_000.png") as file:
        assert file.size == (96, 96)
        small = np.asarray(file.resize((28, 28), Image.Resampling.BOX)).astype(float)
    assert np.corrcoef(small.ravel(), shirt.ravel())[0, 1] > 0.97


def test_example_folder_without_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVNETS_DATA", str(tmp_path / "not" / "yet"))
    assert data.example_folder(pictures=5) == tmp_path / "not" / "yet" / "shirts-and-coats"
    monkeypatch.setattr(data.os, "access", lambda *args: False)
    monkeypatch.setattr(data.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    path = data.example_folder(pictures=5)
    assert path == tmp_path / "temporary" / "shirts-and-coats"
    assert len(list(path.rglob("*.png"))) == 10


def test_example_folder_keeps_out_of_other_folders(tmp_path):
    fill(tmp_path, {"cats": 1})
    with pytest.raises(ValueError, match="path: expected a new folder"):
        data.example_folder(tmp_path)
    with pytest.raises(ValueError, match="pictures: expected a whole number"):
        data.example_folder(tmp_path / "new", pictures=301)
