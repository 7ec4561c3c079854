"""utils.kernels: known values, known outputs, and separability against the rank."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import kernels

SIZES = st.integers(1, 9)


def respond(image, kernel):
    """Cross-correlation at the positions where the kernel fits: the definition, entry by entry."""
    kh, kw = kernel.shape
    h, w = image.shape[0] - kh + 1, image.shape[1] - kw + 1
    return np.array([[(image[i : i + kh, j : j + kw] * kernel).sum() for j in range(w)] for i in range(h)])


def test_gallery_has_what_chapter_2_shows():
    assert {
        "identity", "edge (corners)", "edge (Laplacian, 8-neighbor)", "sharpen", "box blur", "Gaussian blur",
        "Sobel x", "Sobel y", "emboss",
    } <= set(kernels.GALLERY)  # fmt: skip
    np.testing.assert_array_equal(kernels.GALLERY["edge (corners)"], [[1, 0, -1], [0, 0, 0], [-1, 0, 1]])
    np.testing.assert_array_equal(kernels.GALLERY["edge (Laplacian, 8-neighbor)"].sum(), 0)


@pytest.mark.parametrize("name", kernels.GALLERY)
def test_gallery_kernels_keep_brightness_or_remove_it(name):
    kernel = kernels.GALLERY[name]
    assert kernel.shape == (3, 3)
    assert kernel.dtype == np.float64
    expected = 0 if name.startswith(("edge", "Sobel")) else 1
    assert kernel.sum() == pytest.approx(expected, abs=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        kernel[0, 0] = 7


def test_gallery_outputs_on_known_pictures():
    image = np.random.default_rng(0).normal(size=(6, 7))
    np.testing.assert_array_equal(respond(image, kernels.GALLERY["identity"]), image[1:-1, 1:-1])
    blurred = respond(image, kernels.GALLERY["box blur"])
    assert blurred[0, 0] == pytest.approx(image[:3, :3].mean())
    ramp = np.arange(5.0) * np.ones((4, 1))  # one brighter with each column
    np.testing.assert_array_equal(respond(ramp, kernels.GALLERY["Sobel x"]), np.full((2, 3), 8.0))
    np.testing.assert_array_equal(respond(ramp, kernels.GALLERY["Sobel y"]), np.zeros((2, 3)))
    paraboloid = np.add.outer(np.arange(5.0) ** 2, np.arange(5.0) ** 2)  # its Laplacian is 4 everywhere
    np.testing.assert_array_equal(
        respond(paraboloid, kernels.GALLERY["edge (Laplacian, 4-neighbor)"]), np.full((3, 3), -4.0)
    )
    # sharpen = picture + (4-neighbor edges)
    np.testing.assert_array_equal(
        kernels.GALLERY["sharpen"],
        kernels.GALLERY["identity"] + kernels.GALLERY["edge (Laplacian, 4-neighbor)"],
    )


@given(size=SIZES)
def test_box(size):
    np.testing.assert_allclose(kernels.box(size), np.ones((size, size)) / size**2)


@given(size=SIZES, sigma=st.floats(0.3, 5))
def test_gaussian_is_the_formula(size, sigma):
    kernel = kernels.gaussian(size, sigma)
    center = (size - 1) / 2
    expected = np.array(
        [
            [np.exp(-((i - center) ** 2 + (j - center) ** 2) / (2 * sigma**2)) for j in range(size)]
            for i in range(size)
        ]
    )
    np.testing.assert_allclose(kernel, expected / expected.sum())
    assert kernel.sum() == pytest.approx(1)
    assert kernels.is_separable(kernel)


def test_two_gaussians_are_one_with_added_variances():
    once = kernels.gaussian(41, 2.5)
    twice = respond(np.pad(kernels.gaussian(41, 1.5), 20), kernels.gaussian(41, 2.0))
    np.testing.assert_allclose(twice, once, atol=1e-6)


def test_sobel():
    np.testing.assert_array_equal(kernels.sobel("x"), np.outer([1, 2, 1], [-1, 0, 1]))
    np.testing.assert_array_equal(kernels.sobel("y"), kernels.sobel("x").T)
    kernels.sobel("x")[0, 0] = 5  # a copy of its own
    assert kernels.sobel("x")[0, 0] == -1


def test_curve_detector_responds_6600_to_its_curve_and_0_to_the_other():
    kernel, patch = kernels.curve_detector()
    other = kernels.other_patch()
    assert kernel.shape == patch.shape == other.shape == (7, 7)
    products = sorted((kernel * patch)[kernel > 0])
    assert products == [600, 1500, 1500, 1500, 1500]
    assert (kernel * patch).sum() == 6600
    assert (kernel * other).sum() == 0
    assert other.sum() == patch.sum()
    assert (kernel * 50).sum() == 7500  # what the docstring warns of


@pytest.mark.parametrize(
    ("name", "separable"),
    [
        ("identity", True),
        ("edge (corners)", True),
        ("edge (Laplacian, 8-neighbor)", False),
        ("sharpen", False),
        ("box blur", True),
        ("Gaussian blur", True),
        ("Sobel x", True),
        ("Sobel y", True),
        ("emboss", False),
    ],
)
def test_which_kernels_are_separable(name, separable):
    kernel = kernels.GALLERY[name]
    assert kernels.is_separable(kernel) is separable
    assert bool(np.linalg.matrix_rank(kernel) <= 1) is separable


@given(kh=SIZES, kw=SIZES, seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_separate_gives_the_factors_back(kh, kw, seed, scale):
    rng = np.random.default_rng(seed)
    kernel = scale * np.outer(rng.normal(size=kh), rng.normal(size=kw))
    column, row = kernels.separate(kernel)
    assert column.shape == (kh, 1)
    assert row.shape == (1, kw)
    np.testing.assert_allclose(column @ row, kernel, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: kernels.box(0), "size: expected a whole number of 1 or more, got 0"),
        (lambda: kernels.box(2.5), "size: .* got 2.5"),
        (lambda: kernels.gaussian(3, 0), "sigma: expected a finite number above 0 .* got 0"),
        (lambda: kernels.gaussian(3, float("nan")), "sigma: .* got nan"),
        (lambda: kernels.gaussian(3, "wide"), "sigma: .* got 'wide'"),
        (lambda: kernels.sobel(0), 'axis: expected "x" or "y", got 0'),
        (lambda: kernels.separate(np.eye(3)), "kernel: expected a separable kernel .* rank 3"),
        (lambda: kernels.separate(np.ones(3)), r"kernel: expected a 2-D array .* got shape \(3,\)"),
        (lambda: kernels.is_separable(np.ones((1, 2, 3))), r"kernel: .* got shape \(1, 2, 3\)"),
    ],
)
def test_wrong_arguments_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
