"""Output sizes and padding, against definitions counted by brute force and against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from utils.functional import (
    conv_geometry,
    conv_output_size,
    conv_output_size_ceil,
    pad2d,
    same_padding,
    window_extent,
)
from utils.functional.shapes import axis_padding

many = settings(max_examples=300, deadline=None, derandomize=True)
sizes, kernels, strides = st.integers(1, 30), st.integers(1, 7), st.integers(1, 5)
dilations, zeros = st.integers(1, 3), st.integers(0, 6)


def count_windows(size, taps, stride, before, after):
    """How many starts 0, s, 2 s ... put every tap of the window on an existing (or padded) pixel."""
    pixels = range(-before, size + after)
    return sum(all(start + tap in pixels for tap in taps) for start in range(-before, size + after, stride))


@many
@given(sizes, kernels, strides, zeros, zeros, dilations)
def test_floor_convention_counts_the_windows_that_fit(n, k, s, before, after, d):
    count = count_windows(n, range(0, k * d, d), s, before, after)
    if count:
        assert conv_output_size(n, k, s, (before, after), d) == count
    else:
        with pytest.raises(ValueError, match="the output would be empty"):
            conv_output_size(n, k, s, (before, after), d)


@many
@given(sizes, kernels, strides, zeros, dilations)
def test_floor_convention_is_the_shape_that_torch_returns(n, k, s, p, d):
    assume(n + 2 * p >= window_extent(k, d))
    y = F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p, dilation=d)
    assert conv_output_size(n, k, s, p, d) == y.shape[2]


@many
@given(sizes, kernels, dilations)
def test_words(n, k, d):
    extent = window_extent(k, d)
    assert extent == len(range(0, (k - 1) * d + 1))
    assert conv_output_size(n, k, 1, "same", d) == n
    assert conv_output_size(n, k, 1, "full", d) == n + extent - 1
    assert conv_output_size(n, k, 2, "full", d) == count_windows(
        n, range(0, k * d, d), 2, extent - 1, extent - 1
    )
    if extent <= n:
        assert conv_output_size(n, k, 1, "valid", d) == n - extent + 1
        y = F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), padding="valid", dilation=d)
        assert conv_output_size(n, k, 1, "valid", d) == y.shape[2]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@many
@given(kernels, dilations)
def test_same_puts_the_odd_zero_where_torch_puts_it(k, d):
    """A single bright pixel comes back as the kernel, at the place that the padding decides."""
    x, w = torch.zeros(1, 1, 25), torch.arange(1.0, k + 1).reshape(1, 1, k)
    x[0, 0, 12] = 1
    before, after = axis_padding("same", k, 1, d)
    assert torch.equal(
        F.conv1d(x, w, padding="same", dilation=d), F.conv1d(F.pad(x, (before, after)), w, dilation=d)
    )
    assert 0 <= after - before <= 1


@many
@given(sizes, kernels, strides, dilations)
def test_ceil_convention_is_its_definition(n, k, s, d):
    """ "same": windows start at 0, s, 2 s ... as long as there are pixels left. "valid": as the floor."""
    assert conv_output_size_ceil(n, k, s, "same", d) == len(range(0, n, s))
    taps = range(0, k * d, d)
    if window_extent(k, d) <= n:
        assert conv_output_size_ceil(n, k, s, "valid", d) == count_windows(n, taps, s, 0, 0)
        assert conv_output_size_ceil(n, k, s, "valid", d) == conv_output_size(n, k, s, "valid", d)
    else:
        with pytest.raises(ValueError, match="the output would be empty"):
            conv_output_size_ceil(n, k, s, "valid", d)


@many
@given(sizes, kernels, strides, dilations)
def test_same_padding_is_the_least_that_reaches_the_ceil(n, k, s, d):
    before, after = same_padding(n, k, s, d)
    wanted = conv_output_size_ceil(n, k, s, "same", d)
    assert conv_output_size(n, k, s, (before, after), d) == wanted
    assert 0 <= after - before <= 1
    if before + after:
        fewer = before + after - 1
        assert n + fewer < window_extent(k, d) or conv_output_size(n, k, s, (0, fewer), d) < wanted
    if s == 1:
        assert (before, after) == axis_padding("same", k, 1, d)


def test_numbers_that_the_chapters_quote():
    assert conv_output_size(32, 5) == 28  # 784 positions
    assert conv_output_size(7, 3, stride=1) == 5
    assert conv_output_size(7, 3, stride=2) == 3
    assert conv_output_size(7, 3, stride=3) == 2  # one pixel is never seen: (7 - 3) / 3 is no integer
    assert conv_output_size(224, 11, stride=4, padding=2) == 55
    assert conv_output_size(227, 11, stride=4) == 55
    assert conv_output_size(224, 7, stride=2, padding=3) == 112
    # the two conventions, same numbers of outputs and not the same windows
    assert conv_output_size(224, 3, stride=2, padding=1) == conv_output_size_ceil(224, 3, 2, "same") == 112
    assert same_padding(224, 3, 2) == (0, 1)
    # and where they differ
    assert conv_output_size(6, 2, stride=2, padding=1) == 4
    assert conv_output_size_ceil(6, 2, 2, "same") == 3


def test_geometry_of_both_axes():
    geometry = conv_geometry((9, 8), (3, 2), stride=(2, 1), padding=(1, (0, 3)), dilation=2)
    assert geometry.kernel_size == (3, 2)
    assert geometry.stride == (2, 1)
    assert geometry.padding == ((1, 1), (0, 3))
    assert geometry.dilation == (2, 2)
    assert geometry.output_size == (4, 9)
    assert conv_geometry(9, 3) == conv_geometry((9, 9), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
    assert conv_geometry(np.int64(9), [3, 3], padding=[1, 1]).output_size == (9, 9)
    assert conv_geometry((9, 8), (3, 2), padding="full").padding == ((2, 2), (1, 1))


@many
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(2, 4))
def test_pad2d_pads_as_torch_does(top, bottom, left, right, ndim):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)[-ndim:])
    expected = F.pad(torch.from_numpy(x), (left, right, top, bottom)).numpy()
    np.testing.assert_array_equal(pad2d(x, ((top, bottom), (left, right))), expected)


def test_pad2d_reads_every_form_and_keeps_dtype_and_input():
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    before = x.copy()
    assert pad2d(x, 1).shape == (4, 5)
    assert pad2d(x, (1, 0)).shape == (4, 3)
    assert pad2d(x, "same", kernel_size=(2, 3)).shape == (3, 5)
    assert pad2d(x, "full", kernel_size=2, dilation=2).shape == (6, 7)
    assert pad2d(x, 1).dtype == np.uint8
    assert not np.shares_memory(pad2d(x, 0), x)
    np.testing.assert_array_equal(x, before)
