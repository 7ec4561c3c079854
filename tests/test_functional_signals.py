"""convolve, correlate and fft_convolve, against numpy.convolve, numpy.correlate and PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from utils.functional import conv2d, convolve, correlate, fft_convolve
from utils.functional.signals import _fast_length

MODES = ["full", "same", "valid"]
many = settings(max_examples=200, deadline=None, derandomize=True)
lengths = st.integers(1, 9)
pictures = st.tuples(lengths, lengths)


def random_pair(shape, kernel_shape):
    rng = np.random.default_rng([*np.atleast_1d(shape), *np.atleast_1d(kernel_shape)])
    return rng.normal(size=shape), rng.normal(size=kernel_shape)


@many
@given(lengths, lengths, st.sampled_from(MODES))
def test_signals_equal_numpy(n, k, mode):
    assume(mode == "full" or k <= n)  # NumPy swaps its arguments when the kernel is the longer one
    x, kernel = random_pair(n, k)
    np.testing.assert_allclose(convolve(x, kernel, mode), np.convolve(x, kernel, mode), rtol=0, atol=1e-10)
    np.testing.assert_allclose(correlate(x, kernel, mode), np.correlate(x, kernel, mode), rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        fft_convolve(x, kernel, mode), np.convolve(x, kernel, mode), rtol=0, atol=1e-10
    )


def torch_correlate(x, kernel, mode):
    """PyTorch's cross-correlation of the picture with zeros around it, as the modes are defined."""
    zeros = []
    for k in reversed(kernel.shape):  # torch.nn.functional.pad begins with the last axis
        zeros += {"full": [k - 1, k - 1], "same": [k // 2, k - 1 - k // 2], "valid": [0, 0]}[mode]
    padded = F.pad(torch.from_numpy(x)[None, None], zeros)
    return F.conv2d(padded, torch.from_numpy(kernel.copy())[None, None])[0, 0].numpy()


@many
@given(pictures, pictures, st.sampled_from(MODES))
def test_pictures_equal_torch(shape, kernel_shape, mode):
    assume(mode != "valid" or all(k <= n for n, k in zip(shape, kernel_shape, strict=True)))
    x, kernel = random_pair(shape, kernel_shape)
    expected = torch_correlate(x, kernel, mode)
    np.testing.assert_allclose(correlate(x, kernel, mode), expected, rtol=0, atol=1e-10, strict=True)
    flipped = torch_correlate(x, kernel[::-1, ::-1], mode)
    np.testing.assert_allclose(convolve(x, kernel, mode), flipped, rtol=0, atol=1e-10, strict=True)
    np.testing.assert_allclose(fft_convolve(x, kernel, mode), flipped, rtol=0, atol=1e-10, strict=True)


@many
@given(pictures, pictures)
def test_a_row_and_a_signal_are_the_same(shape, kernel_shape):
    x, kernel = random_pair(shape[:1], kernel_shape[:1])
    for function in (convolve, correlate, fft_convolve):
        row = function(x[None], kernel[None], "full")[0]
        np.testing.assert_allclose(function(x, kernel, "full"), row, rtol=0, atol=1e-10)


@many
@given(pictures, pictures)
def test_convolution_commutes_and_correlation_turns(shape, kernel_shape):
    x, kernel = random_pair(shape, kernel_shape)
    np.testing.assert_allclose(convolve(x, kernel), convolve(kernel, x), rtol=0, atol=1e-10)
    np.testing.assert_allclose(fft_convolve(x, kernel), fft_convolve(kernel, x), rtol=0, atol=1e-10)
    turned = correlate(kernel, x, "full")[::-1, ::-1]  # exchanging the two turns the result by 180 degrees
    np.testing.assert_allclose(correlate(x, kernel, "full"), turned, rtol=0, atol=1e-10)


@many
@given(pictures, pictures, pictures)
def test_convolution_is_associative(shape, first, second):
    x, kernel = random_pair(shape, first)
    other = random_pair(first, second)[1]
    at_once = convolve(x, convolve(kernel, other))
    np.testing.assert_allclose(convolve(convolve(x, kernel), other), at_once, rtol=0, atol=1e-10)


def test_by_hand():
    assert convolve([1, 2, 3], [0, 1, 10]).tolist() == [0, 1, 12, 23, 30]
    assert correlate([1, 2, 3], [0, 1, 10], "full").tolist() == [10, 21, 32, 3, 0]
    assert convolve([1, 2, 3], [0, 1, 10], "same").tolist() == [1, 12, 23]
    assert correlate([1, 2, 3], [0, 1, 10]).tolist() == [32]


def test_correlate_is_what_the_layer_computes():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(9, 8)), rng.normal(size=(3, 5))
    for mode in MODES:  # an odd kernel: both mean the same by "same"
        y = conv2d(x[None, None], kernel[None, None], padding=mode)[0, 0]
        np.testing.assert_allclose(correlate(x, kernel, mode), y, rtol=0, atol=1e-10)


def test_an_even_kernel_shows_which_side_same_favors():
    x, kernel = np.array([0, 0, 1, 0, 0]), np.array([1, 2])
    assert (
        correlate(x, kernel, "same").tolist() == np.correlate(x, kernel, "same").tolist() == [0, 0, 2, 1, 0]
    )
    assert conv2d(x[None, None, None], kernel[None, None, None], padding="same").tolist() == [
        [[[0, 2, 1, 0, 0]]]
    ]


@pytest.mark.parametrize(
    ("x", "kernel", "exact", "fourier"),
    [
        (np.uint8, np.uint8, np.int64, np.float64),
        (np.uint8, np.float32, np.float32, np.float32),
        (np.float32, np.float32, np.float32, np.float32),
        (np.float32, np.float64, np.float64, np.float64),
        (np.int64, np.float64, np.float64, np.float64),
    ],
)
def test_dtypes(x, kernel, exact, fourier):
    x, kernel = np.full((6, 5), 255, x), np.full((3, 3), 200, kernel)
    for function in (convolve, correlate):
        y = function(x, kernel, "valid")
        assert y.dtype == exact
        assert (y == 9 * 255 * 200).all()  # would not fit into uint8
    y = fft_convolve(x, kernel, "valid")
    assert y.dtype == fourier
    np.testing.assert_allclose(y, 9 * 255 * 200, rtol=1e-5)


def test_one_pixel_and_inputs_untouched():
    for function in (convolve, correlate, fft_convolve):
        for mode in MODES:
            assert function([3.0], [2.0], mode).tolist() == [6.0]
            assert function([[3.0]], [[2.0]], mode).tolist() == [[6.0]]
        x, kernel = random_pair((5, 4), (3, 2))
        x.flags.writeable = kernel.flags.writeable = False
        assert not np.shares_memory(function(x, kernel, "same"), x)


def test_large_kernels_through_the_transform():
    x, kernel = random_pair((61, 53), (31, 29))
    for mode in MODES:
        np.testing.assert_allclose(
            fft_convolve(x, kernel, mode), convolve(x, kernel, mode), rtol=0, atol=1e-9
        )


def test_fast_lengths():
    fast = sorted(2**a * 3**b * 5**c for a in range(10) for b in range(7) for c in range(5))
    for n in range(1, 300):
        assert _fast_length(n) == next(length for length in fast if length >= n)
