"""The four forms of the convolution layer, conv1d, im2col and the matrix, against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.functional import (
    conv1d,
    conv2d,
    conv2d_im2col,
    conv2d_naive,
    conv2d_shifted,
    conv_geometry,
    conv_matrix,
    convolution,
    im2col,
    pad2d,
    row_strips,
    unfold,
    windows,
)
from utils.functional.arrays import aligned, batch_last
from utils.functional.unfold import inside

FAST_FORMS = [conv2d, conv2d_im2col, conv2d_shifted]
FORMS = [*FAST_FORMS, conv2d_naive]


def examples(number):
    return settings(max_examples=number, deadline=None, derandomize=True)


@st.composite
def axes(draw):
    """One axis: (size, kernel, stride, dilation, (before, after)) with at least one output."""
    kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    smallest = max(1, dilation * (kernel - 1) + 1 - before - after)
    return draw(st.integers(smallest, smallest + 5)), kernel, stride, dilation, (before, after)


@st.composite
def layers(draw):
    """A layer to compute and what PyTorch has to compute: ((x, weight, bias), ours, (zeros, theirs))."""
    (H, kh, sh, dh, rows), (W, kw, sw, dw, columns) = draw(axes()), draw(axes())
    groups, channels, multiplier = (draw(st.integers(1, 3)) for _ in range(3))
    form = draw(st.sampled_from(["pairs", "pair", "integer", "valid", "same", "full"]))
    reach = (dh * (kh - 1), dw * (kw - 1))
    if form == "pairs":
        padding = rows, columns
    elif form == "pair":
        padding = max(rows), max(columns)
        rows, columns = (padding[0],) * 2, (padding[1],) * 2
    elif form == "integer":
        padding = max(rows + columns)
        rows = columns = (padding, padding)
    else:
        padding = form
        H, W = H + sum(rows), W + sum(columns)  # the kernel still fits
        if form == "same":
            sh = sw = 1
        rows, columns = ({"valid": (0, 0), "same": (r // 2, r - r // 2), "full": (r, r)}[form] for r in reach)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.normal(size=(draw(st.integers(1, 3)), groups * channels, H, W))
    weight = rng.normal(size=(groups * multiplier, channels, kh, kw))
    bias = rng.normal(size=len(weight)) if draw(st.booleans()) else None
    ours = {"stride": (sh, sw), "padding": padding, "dilation": (dh, dw), "groups": groups}
    theirs = {"stride": (sh, sw), "dilation": (dh, dw), "groups": groups}
    return (x, weight, bias), ours, ((*columns, *rows), theirs)


def torch_conv2d(x, weight, bias, zeros, keywords):
    bias = None if bias is None else torch.from_numpy(bias)
    x = F.pad(torch.from_numpy(x), zeros)
    return F.conv2d(x, torch.from_numpy(weight), bias, **keywords).numpy()


# --- against PyTorch ---------------------------------------------------------------------------------


@examples(300)
@given(layers())
def test_fast_forms_equal_torch(layer):
    arrays, ours, (zeros, theirs) = layer
    expected = torch_conv2d(*arrays, zeros, theirs)
    for form in FAST_FORMS:
        y = form(*arrays, **ours)
        assert y.dtype == np.float64
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-10, strict=True, err_msg=form.__name__)


@examples(40)
@given(layers())
def test_loops_equal_torch(layer):
    (x, weight, bias), ours, (zeros, theirs) = layer
    x = x[:1]
    expected = torch_conv2d(x, weight, bias, zeros, theirs)
    y = conv2d_naive(x, weight, bias, **ours)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-10, strict=True)


@examples(100)
@given(axes(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.booleans())
def test_conv1d_equals_torch(axis, groups, channels, multiplier, with_bias):
    L, k, s, d, ends = axis
    rng = np.random.default_rng(L + 10 * k)
    x, weight = (
        rng.normal(size=(2, groups * channels, L)),
        rng.normal(size=(groups * multiplier, channels, k)),
    )
    bias = rng.normal(size=len(weight)) if with_bias else None
    expected = F.conv1d(
        F.pad(torch.from_numpy(x), ends), torch.from_numpy(weight), None, s, 0, d, groups
    ).numpy() + (0 if bias is None else bias[:, None])
    y = conv1d(x, weight, bias, s, ends, d, groups)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-10, strict=True)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("form", FAST_FORMS)
@pytest.mark.parametrize("word", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (3, 4), (4, 2), (1, 5)])
@pytest.mark.parametrize("dilation", [1, (2, 1), (1, 3)])
def test_words_equal_torch(form, word, kernel, dilation):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 9, 14)), rng.normal(size=(4, 3, *kernel))
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=word, dilation=dilation)
    y = form(x, weight, padding=word, dilation=dilation)
    np.testing.assert_allclose(y, expected.numpy(), rtol=0, atol=1e-10, strict=True)


@pytest.mark.parametrize("word", ["same", "valid"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_conv1d_words_equal_torch(word, k):
    rng = np.random.default_rng(k)
    x, weight = rng.normal(size=(2, 3, 11)), rng.normal(size=(4, 3, k))
    expected = F.conv1d(torch.from_numpy(x), torch.from_numpy(weight), padding=word, dilation=2).numpy()
    np.testing.assert_allclose(conv1d(x, weight, padding=word, dilation=2), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", FAST_FORMS)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise(form, multiplier):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 5, 9, 7)), rng.normal(size=(5 * multiplier, 1, 3, 2))
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=1, groups=5).numpy()
    np.testing.assert_allclose(form(x, weight, padding=1, groups=5), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "keywords"),
    [
        ((128, 1, 28, 28), (6, 1, 5, 5), {"padding": 2}),
        ((128, 6, 14, 14), (16, 6, 5, 5), {}),
        ((2, 3, 224, 224), (8, 3, 7, 7), {"stride": 2, "padding": 3}),
        ((1, 16, 56, 56), (16, 16, 3, 3), {"padding": 1}),
    ],
)
def test_real_layers_in_float32(x_shape, weight_shape, keywords):
    """Sizes at which conv2d works in several blocks of rows."""
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=shape).astype(np.float32) for shape in (x_shape, weight_shape))
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), **keywords).numpy()
    for form in FAST_FORMS:
        y = form(x, weight, **keywords)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4, strict=True)


@examples(60)
@given(layers(), st.sampled_from([1, 100, 1000, 10**9]))
def test_the_size_of_a_block_changes_nothing(layer, block_bytes):
    arrays, ours, _ = layer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "BLOCK_BYTES", block_bytes)
        y = conv2d(*arrays, **ours)
    np.testing.assert_allclose(y, conv2d_im2col(*arrays, **ours), rtol=0, atol=1e-10, strict=True)


# --- windows, columns, strips ------------------------------------------------------------------------


@examples(150)
@given(axes(), axes(), st.integers(1, 3))
def test_im2col_equals_torch_unfold(rows, columns, channels):
    (H, kh, sh, dh, (before_h, after_h)), (W, kw, sw, dw, (before_w, after_w)) = rows, columns
    x = np.random.default_rng(H + 10 * W).normal(size=(2, channels, H, W))
    padded = F.pad(torch.from_numpy(x), (before_w, after_w, before_h, after_h))
    expected = F.unfold(padded, (kh, kw), (dh, dw), 0, (sh, sw)).numpy()
    y = im2col(x, (kh, kw), (sh, sw), ((before_h, after_h), (before_w, after_w)), (dh, dw))
    np.testing.assert_array_equal(y, expected, strict=True)


def test_im2col_keeps_the_dtype():
    x = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    assert im2col(x, 3, padding="same").dtype == np.uint8
    assert im2col(x, 3, padding="same").shape == (2, 27, 20)


@examples(100)
@given(axes(), axes())
def test_windows_are_what_slicing_gives_and_copy_nothing(rows, columns):
    (H, kh, sh, dh, zeros_h), (W, kw, sw, dw, zeros_w) = rows, columns
    x = pad2d(np.random.default_rng(0).normal(size=(2, H, W)), (zeros_h, zeros_w))
    view = windows(x, (kh, kw), (sh, sw), (dh, dw))
    assert np.shares_memory(view, x)
    for r in range(view.shape[1]):
        for q in range(view.shape[2]):
            top, left = r * sh, q * sw
            expected = x[:, top : top + dh * kh : dh, left : left + dw * kw : dw]
            np.testing.assert_array_equal(view[:, r, q], expected[:, :kh, :kw])
    moved = windows(np.moveaxis(x, 0, 1), (kh, kw), (sh, sw), (dh, dw), axes=(0, 2))
    np.testing.assert_array_equal(np.moveaxis(moved, 1, 0), view)


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
@pytest.mark.parametrize("band_bytes", [1, 3000, 10**9])
def test_row_strips_hold_what_each_kernel_column_sees(rows, band_bytes, monkeypatch):
    monkeypatch.setattr(unfold, "BAND_BYTES", band_bytes)
    x = np.random.default_rng(0).normal(size=(2, 6, 9, 8))
    geometry = conv_geometry((9, 8), (3, 2), (2, 3), ((1, 0), (2, 1)), (2, 1))
    OH, OW = geometry.output_size
    view = windows(pad2d(x, geometry.padding), (3, 2), (2, 3), (2, 1))  # (N, C, OH, OW, kh, kw)
    met = []
    for some, seen in row_strips(batch_last(x, 3), geometry, rows):
        for v in range(2):
            expected = view[:, :, some, :, :, v].reshape(2, 3, 2, -1, OW, 3).transpose(3, 1, 5, 2, 4, 0)
            np.testing.assert_array_equal(seen[v], expected.reshape(-1, 3, 3 * 2, OW * 2), strict=True)
        met += range(OH)[some]
    assert met == list(range(OH))


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 2), (3, 3)])
def test_without_dilation_the_strips_are_matrices_in_place(stride):
    """The claim of conv2d: sliding the kernel copies no pixel, whatever the stride."""
    x = np.random.default_rng(0).normal(size=(4, 6, 7, 5))
    for _, seen in row_strips(batch_last(x, 2), conv_geometry((7, 5), 3, stride, 1), 2):
        for v in range(1, 3):
            assert seen[v].base is not None
            assert np.may_share_memory(seen[v], seen[0])  # one buffer


def test_a_batch_that_is_last_in_memory_is_not_copied():
    y = conv2d(np.ones((4, 3, 6, 5)), np.ones((8, 3, 3, 3)))
    assert np.shares_memory(batch_last(y, 2), y)
    assert batch_last(y, 2).shape == (4, 2, 4, 3, 4)
    assert not np.shares_memory(batch_last(np.ones((4, 3, 6, 5))), y)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (0, 4)])
def test_aligned_arrays_begin_with_a_cache_line(shape):
    for dtype in (np.float32, np.float64, np.int64):
        array = aligned(shape, dtype)
        assert array.ctypes.data % 64 == 0 or not array.size
        assert (array.shape, array.dtype) == (shape, dtype)


@given(st.integers(-9, 9), st.integers(1, 4), st.integers(1, 6), st.integers(1, 8))
def test_inside_finds_the_places_that_exist(offset, step, count, size):
    places = [offset + i * step for i in range(count)]
    which, where = inside(offset, step, count, size)
    assert places[which] == [p for p in places if 0 <= p < size] == list(range(size))[where]


@examples(100)
@given(layers(), st.sampled_from([1, 10**9]))
def test_both_orders_give_the_same(layer, deep):
    arrays, ours, _ = layer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "DEEP", deep)
        y = conv2d(*arrays, **ours)
    np.testing.assert_allclose(y, conv2d_im2col(*arrays, **ours), rtol=0, atol=1e-10, strict=True)


# --- the matrix --------------------------------------------------------------------------------------


@examples(100)
@given(axes(), axes())
def test_the_matrix_times_the_picture_is_the_convolution(rows, columns):
    (H, kh, sh, dh, zeros_h), (W, kw, sw, dw, zeros_w) = rows, columns
    rng = np.random.default_rng(H + 10 * W)
    x, kernel = rng.normal(size=(H, W)), rng.normal(size=(kh, kw))
    settings_ = {"stride": (sh, sw), "padding": (zeros_h, zeros_w), "dilation": (dh, dw)}
    y = conv2d(x[None, None], kernel[None, None], **settings_)[0, 0]
    matrix = conv_matrix(kernel, (H, W), **settings_)
    assert matrix.shape == (y.size, x.size)
    np.testing.assert_allclose(matrix @ x.ravel(), y.ravel(), rtol=0, atol=1e-10)


def test_the_matrix_of_the_book():
    """4×4 input, 3×3 kernel: 4 rows, 16 columns, 36 places filled with 9 different numbers."""
    kernel = np.arange(1, 10).reshape(3, 3)
    matrix = conv_matrix(kernel, 4)
    assert matrix.shape == (4, 16)
    assert matrix.dtype == np.int64
    assert np.count_nonzero(matrix) == 36
    assert matrix[0].tolist() == [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0]
    assert matrix[3].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]


def test_the_transpose_is_the_transposed_convolution():
    rng = np.random.default_rng(0)
    kernel, y = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    matrix = conv_matrix(kernel, (7, 5), stride=2)
    expected = F.conv_transpose2d(
        torch.from_numpy(y)[None, None], torch.from_numpy(kernel)[None, None], stride=2
    )
    np.testing.assert_allclose((matrix.T @ y.ravel()).reshape(7, 5), expected[0, 0].numpy(), atol=1e-10)


# --- edges: one pixel, empty batch, dtypes, memory ----------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_one_pixel(form):
    y = form([[[[3.0]]]], [[[[2.0]]]], [1.0])
    assert y.tolist() == [[[[7.0]]]]
    padded = form([[[[3.0]]]], np.ones((1, 1, 3, 3)), padding="same")
    assert padded.tolist() == [[[[3.0]]]]


@pytest.mark.parametrize("form", FORMS)
def test_empty_batch(form):
    y = form(np.zeros((0, 4, 9, 8)), np.zeros((6, 2, 3, 2)), np.zeros(6), (2, 3), 1, 1, 2)
    assert y.shape == (0, 6, 5, 3)
    assert y.dtype == np.float64
    assert conv1d(np.zeros((0, 4, 9)), np.zeros((6, 4, 3))).shape == (0, 6, 7)
    assert im2col(np.zeros((0, 4, 9, 8)), 3).shape == (0, 36, 42)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("x", "weight", "bias", "expected"),
    [
        (np.float32, np.float32, np.float32, np.float32),
        (np.float32, np.float32, None, np.float32),
        (np.float32, np.float64, np.float32, np.float64),
        (np.float32, np.float32, np.float64, np.float64),
        (np.uint8, np.float32, None, np.float32),
        (np.uint8, np.float64, None, np.float64),
        (np.uint8, np.int8, None, np.int64),
        (np.uint8, np.uint8, np.int32, np.int64),
        (np.int64, np.int32, np.float64, np.float64),
        (np.float16, np.float16, None, np.float16),
    ],
)
def test_dtypes_follow_promotion(form, x, weight, bias, expected):
    bias = None if bias is None else np.ones(2, bias)
    y = form(np.ones((1, 3, 4, 5), x), np.ones((2, 3, 2, 2), weight), bias)
    assert y.dtype == expected
    assert (y == (12 if bias is None else 13)).all()


@pytest.mark.parametrize("form", FORMS)
def test_integers_are_exact_where_uint8_and_float64_are_not(form):
    x = np.full((1, 1, 2, 2), 255, np.uint8)
    assert form(x, np.full((1, 1, 2, 2), 100, np.uint8)).item() == 4 * 255 * 100
    big = np.array([2**53, 1, 0, 0]).reshape(1, 1, 2, 2)
    assert form(big, np.ones((1, 1, 2, 2), np.int64)).item() == 2**53 + 1


@pytest.mark.parametrize("form", [*FORMS, im2col, windows, pad2d])
def test_inputs_stay_as_they_were(form):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(4, 2, 3, 3)), rng.normal(size=4)]
    for array in arrays:
        array.flags.writeable = False  # whoever writes into an input raises
    if form in FORMS:
        y = form(*arrays, groups=2, padding=0)
        assert not any(np.shares_memory(y, array) for array in arrays)
    else:
        form(arrays[0], 3)


@pytest.mark.parametrize("form", FORMS)
def test_any_memory_order_gives_the_same(form):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(3, 4, 3, 3))
    expected = form(x, weight)
    np.testing.assert_allclose(form(np.asfortranarray(x), np.asfortranarray(weight)), expected, atol=1e-12)
    np.testing.assert_allclose(form(x[::-1, :, ::-1][::-1, :, ::-1], weight), expected, atol=1e-12)
    chained = conv2d(conv2d(x, weight), rng.normal(size=(2, 3, 2, 2)))  # conv2d takes its own result
    assert chained.shape == (2, 2, 3, 2)


def test_a_layer_is_a_cross_correlation():
    """A bright pixel comes back as the kernel turned by 180 degrees: the kernel itself is not flipped."""
    x, kernel = np.zeros((1, 1, 5, 5)), np.arange(9.0).reshape(1, 1, 3, 3)
    x[0, 0, 2, 2] = 1
    np.testing.assert_array_equal(conv2d(x, kernel)[0, 0], kernel[0, 0, ::-1, ::-1])
