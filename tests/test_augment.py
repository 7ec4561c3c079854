"""Augmentations against loops, NumPy's own functions, Pillow and PyTorch's sampling."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import augment as A
from utils import loop
from utils.data import load
from utils.layers import LeNet5
from utils.optim import SGD


class Fixed:
    """In place of a Generator: hands out the numbers that a test wants."""

    def __init__(self, **answers):
        self.answers = answers

    def __getattr__(self, name):
        return lambda *args, **keywords: np.asarray(self.answers[name])


def batch(N=7, C=2, H=9, W=6, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=(N, C, H, W)).astype(dtype)


EACH = {
    "shift": partial(A.shift, pixels=3, fill=-1.0),
    "flip": A.flip,
    "flip vertical": partial(A.flip, vertical=True),
    "quarter turns": A.quarter_turns,
    "rotate": partial(A.rotate, degrees=30),
    "crop": partial(A.crop, smallest=0.5),
    "brightness": A.brightness_contrast,
    "noise": A.noise,
    "cutout": partial(A.cutout, size=3),
    "compose": A.compose(A.flip, partial(A.shift, pixels=1), A.noise),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EACH)
def test_shape_and_dtype_stay_the_input_stays_and_the_seed_decides(name, dtype):
    x = batch(H=6, dtype=dtype)
    before = x.copy()
    y = EACH[name](x, np.random.default_rng(1))
    assert y.shape == x.shape
    assert y.dtype == dtype
    assert np.isfinite(y).all()
    assert not np.shares_memory(x, y)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, EACH[name](x, np.random.default_rng(1)))
    assert (y != EACH[name](x, np.random.default_rng(2))).any()
    assert (y != x).any()


@pytest.mark.parametrize("name", EACH)
def test_channels_of_a_picture_share_their_chances(name):
    x = batch(C=1, H=6).repeat(2, axis=1)  # two equal channels
    y = EACH[name](x, np.random.default_rng(3))
    same = np.array_equal(y[:, 0], y[:, 1])
    assert same == (name not in ("noise", "compose"))  # noise is drawn for each pixel


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (2, -1), (-3, 3), (1, 0)])
def test_shift_moves_by_whole_pixels_and_fills(dy, dx):
    x, p = batch(), 3
    draws = np.tile([[p - dy], [p - dx]], (1, len(x)))  # the corner of the window in the padded picture
    y = A.shift(x, Fixed(integers=draws), pixels=p, fill=9.0)
    for i in range(9):
        for j in range(6):
            inside = 0 <= i - dy < 9 and 0 <= j - dx < 6
            np.testing.assert_array_equal(y[:, :, i, j], x[:, :, i - dy, j - dx] if inside else 9)


def test_shift_reaches_every_place_equally_often():
    x = np.zeros((20_000, 1, 5, 5), np.float32)
    x[:, :, 2, 2] = 1
    share = A.shift(x, np.random.default_rng(0), pixels=1).mean((0, 1))
    np.testing.assert_allclose(share[1:4, 1:4], 1 / 9, atol=0.01)
    assert share.sum() == pytest.approx(1)


def test_flip_mirrors_the_chosen_ones():
    x, chances = batch(), np.array([0.1, 0.9, 0.4, 0.6, 0.0, 0.5, 0.3])
    for vertical, axis in ((False, 3), (True, 2)):
        y = A.flip(x, Fixed(random=chances), p=0.5, vertical=vertical)
        for n, chance in enumerate(chances):
            np.testing.assert_array_equal(y[n], np.flip(x, axis)[n] if chance < 0.5 else x[n])


def test_quarter_turns_are_those_of_numpy():
    x = batch(N=4, H=5, W=5)
    y = A.quarter_turns(x, Fixed(integers=[0, 1, 2, 3]))
    for k in range(4):
        for c in range(2):
            np.testing.assert_array_equal(y[k, c], np.rot90(x[k, c], k))


@pytest.mark.parametrize("angle", [0, 17.5, -40, 90, 180])
def test_rotate_is_pillows(angle):
    x = batch(N=2, C=1, H=11, W=8)
    y = A.rotate(x, Fixed(uniform=[angle, angle]), degrees=180, fill=0.0)
    inside = A.rotate(np.ones_like(x), Fixed(uniform=[angle, angle]), degrees=180, fill=0.0) > 1 - 1e-6
    for n in range(2):
        picture = Image.fromarray(x[n, 0]).rotate(angle, Image.Resampling.BILINEAR)
        mask = inside[n, 0] & (np.asarray(Image.fromarray(np.ones_like(x[n, 0])).rotate(angle)) == 1)
        mask[[0, -1]] = mask[:, [0, -1]] = False  # Pillow treats the edge in its own way
        assert mask.sum() > 10
        np.testing.assert_allclose(y[n, 0][mask], np.asarray(picture)[mask], atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(2, 7), st.integers(2, 7), st.integers(0, 99))
def test_warp_is_pytorchs_grid_sample(N, C, H, W, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, C, H, W))
    rows, columns = rng.uniform(-2, H + 1, (N, 4, 5)), rng.uniform(-2, W + 1, (N, 4, 5))
    grid = np.stack([2 * columns / (W - 1) - 1, 2 * rows / (H - 1) - 1], axis=-1)
    for fill in (0.0, -0.8):
        theirs = torch.nn.functional.grid_sample(
            torch.tensor(x - fill), torch.tensor(grid), mode="bilinear", align_corners=True
        )
        np.testing.assert_allclose(A.warp(x, rows, columns, fill), theirs.numpy() + fill, atol=1e-10)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (2, 1), (4, 2)])
def test_crop_is_pytorchs_enlargement_of_the_window(top, left):
    x = batch(H=8, W=4, dtype=np.float64)
    room = (np.array([top / 4, left / 2]) - 0.5).reshape(2, 1, 1, 1)
    draws = iter([np.full(len(x), 0.5), np.broadcast_to(room, (2, len(x), 1, 1))])
    rng = Fixed()
    rng.answers["uniform"] = None
    rng.uniform = lambda *args: next(draws)
    y = A.crop(x, rng, smallest=0.5)
    theirs = torch.nn.functional.interpolate(
        torch.tensor(x), scale_factor=2, mode="bilinear", align_corners=False
    ).numpy()[:, :, 2 * top : 2 * top + 8, 2 * left : 2 * left + 4]  # enlarge, then cut out
    np.testing.assert_allclose(y, theirs, atol=1e-12)


def test_brightness_and_contrast_are_what_they_say():
    x = batch()
    y = A.brightness_contrast(x, np.random.default_rng(0), brightness=0.5, contrast=0)
    np.testing.assert_allclose(np.ptp(y - x, axis=(1, 2, 3)), 0, atol=1e-6)
    assert 0.2 < abs((y - x).mean((1, 2, 3))).max() <= 0.5
    y = A.brightness_contrast(x, np.random.default_rng(0), brightness=0, contrast=0.5)
    np.testing.assert_allclose(y.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    ratio = y.std((1, 2, 3)) / x.std((1, 2, 3))
    assert ratio.min() < 0.8
    assert ratio.max() > 1.2
    assert abs(ratio - 1).max() <= 0.5


def test_noise_has_its_scale():
    x = batch(N=200)
    difference = A.noise(x, np.random.default_rng(0), scale=0.3) - x
    assert difference.std() == pytest.approx(0.3, rel=0.02)
    assert abs(difference.mean()) < 0.01


def test_cutout_covers_one_square():
    x = np.ones((2, 1, 8, 8), np.float32)
    y = A.cutout(x, Fixed(integers=[[4, 0], [3, 7]]), size=4, fill=-2.0)
    expected = x.copy()
    expected[0, 0, 2:6, 1:5] = -2
    expected[1, 0, 0:2, 5:8] = -2  # cut by the corner
    np.testing.assert_array_equal(y, expected)


def test_mixup_blends_pictures_and_labels_alike():
    x, labels = np.zeros((6, 1, 2, 2), np.float32), np.arange(6)
    x += labels[:, None, None, None].astype(np.float32)  # the value of a picture is its label
    mixed, targets = A.mixup(x, labels, np.random.default_rng(4), alpha=1.0, classes=8)
    assert targets.shape == (6, 8)
    assert targets.dtype == mixed.dtype == np.float32
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(targets @ np.arange(8), mixed[:, 0, 0, 0], rtol=1e-5)
    assert ((targets > 0).sum(1) <= 2).all()


def test_mixup_shares_follow_the_beta_distribution():
    x, labels = np.zeros((2, 1, 1, 1), np.float32), np.array([0, 1])
    for alpha in (0.2, 1.0, 5.0):
        rng = np.random.default_rng(0)
        tops = [A.mixup(x, labels, rng, alpha, 2)[1].max() for _ in range(2000)]
        drawn = np.random.default_rng(1).beta(alpha, alpha, 200_000)
        drawn = np.maximum(drawn, 1 - drawn)  # which half stays does not show
        same = 0.5  # half of the permutations of two leave both where they are
        assert np.mean(tops) == pytest.approx(same + (1 - same) * drawn.mean(), abs=0.02)


def test_compose_goes_from_left_to_right():
    both = A.compose(lambda x, rng: x + 1, lambda x, rng: x * rng)
    np.testing.assert_array_equal(both(np.ones(3), 5), [10, 10, 10])
    assert A.compose()(7, None) == 7


def test_training_with_all_of_them_learns():
    train = load(sample=True)[:600]
    model = LeNet5(rng=np.random.default_rng(0))
    history = loop.fit(
        model,
        train,
        epochs=4,
        batch_size=50,
        optimizer=SGD(model.parameters(), 0.05, momentum=0.9),
        augment=A.compose(A.flip, partial(A.shift, pixels=1, fill=-0.81)),
        mix=partial(A.mixup, alpha=0.2),
        progress=False,
    )
    assert history.train_loss[-1] < history.train_loss[0] - 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, r: A.shift(x[0], r), r"x must be floats of the shape \(N, C, H, W\)"),
        (lambda x, r: A.flip(x.astype(np.uint8), r), "x must be floats .*, got uint8"),
        (lambda x, r: A.flip(x, r, p=1.5), "p must be from 0 to 1, got 1.5"),
        (lambda x, r: A.shift(x, r, pixels=-1), "pixels must be an integer of at least 0, got -1"),
        (lambda x, r: A.quarter_turns(x, r), "x must hold square pictures, got 9×6"),
        (lambda x, r: A.crop(x, r, smallest=0), "smallest must be above 0 and at most 1, got 0"),
        (lambda x, r: A.cutout(x, r, size=0), "size must be an integer of at least 1, got 0"),
        (lambda x, r: A.mixup(x, np.zeros(7), r), "labels must be 7 integers, one a picture, got float64"),
        (lambda x, r: A.mixup(x, np.zeros(7, int), r, alpha=0), "alpha must be above 0, got 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(batch(), np.random.default_rng(0))
