"""Every kind of pooling, forward and backward, against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import functional as ours

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def examples(number):
    return settings(max_examples=number, deadline=None, derandomize=True)


def autograd(function, x, seed=0):
    tensor = torch.tensor(x, requires_grad=True)
    y = function(tensor)
    grad_output = np.random.default_rng(seed).normal(size=tuple(y.shape))
    y.backward(torch.tensor(grad_output))
    return y.detach().numpy(), grad_output, tensor.grad.numpy()


@st.composite
def pools(draw, dilated=True, padded=True):
    """(x, keywords as PyTorch has them): ties, overlaps, gaps, one-pixel pictures, an empty batch."""
    sizes, kernels, strides, paddings, dilations = [], [], [], [], []
    ceil_mode = draw(st.booleans())
    for _ in range(2):
        k, s = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        d = draw(st.integers(1, 2)) if dilated else 1
        p = draw(st.integers(0, k // 2)) if padded else 0
        extent = d * (k - 1) + 1
        smallest = max(1, extent - 2 * p - (s - 1 if ceil_mode else 0))
        n = draw(st.integers(max(smallest, (d - 1) * (k > 1) + 1), smallest + 6))
        for numbers, number in zip(
            (sizes, kernels, strides, paddings, dilations), (n, k, s, p, d), strict=True
        ):
            numbers.append(number)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = draw(st.integers(0, 2)), draw(st.integers(1, 2)), *sizes
    x = rng.integers(-2, 3, size=shape).astype(float) if draw(st.booleans()) else rng.normal(size=shape)
    keywords = {"kernel_size": tuple(kernels), "stride": tuple(strides), "ceil_mode": ceil_mode}
    if padded:
        keywords["padding"] = tuple(paddings)
    if dilated:
        keywords["dilation"] = tuple(dilations)
    return x, keywords


# --- maximum, minimum --------------------------------------------------------------------------------


@examples(250)
@given(pools())
def test_max_pool_equals_pytorch(pool):
    x, keywords = pool
    expected, grad_output, grad = autograd(lambda x: F.max_pool2d(x, **keywords), x)
    y, winner = ours.max_pool2d(x, **keywords)
    np.testing.assert_array_equal(y, expected)
    result = ours.max_pool2d_backward(grad_output, winner, x.shape[2:], **keywords)
    np.testing.assert_allclose(result, grad, **CLOSE)
    if len(x):  # PyTorch refuses indices of an empty batch
        _, indices = F.max_pool2d(torch.tensor(x), **keywords, return_indices=True)
        ours_indices = ours.max_pool2d_indices(winner, x.shape[2:], **keywords)
        np.testing.assert_array_equal(ours_indices, indices.numpy())


@examples(60)
@given(pools())
def test_min_pool_is_max_pool_of_the_negative(pool):
    x, keywords = pool
    expected, grad_output, grad = autograd(lambda x: -F.max_pool2d(-x, **keywords), x)
    y, winner = ours.min_pool2d(x, **keywords)
    np.testing.assert_array_equal(y, expected)
    result = ours.min_pool2d_backward(grad_output, winner, x.shape[2:], **keywords)
    np.testing.assert_allclose(result, grad, **CLOSE)


def test_of_equal_pixels_the_first_wins():
    x = np.array([[0.0, 5, 5], [5, 5, 1], [5, 0, 5]])[None, None]
    _, winner = ours.max_pool2d(x, 3)
    assert winner.item() == 1
    assert ours.max_pool2d_backward(np.ones((1, 1, 1, 1)), winner, (3, 3), 3)[0, 0].tolist() == [
        [0, 1, 0],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_a_pixel_that_wins_several_windows_collects_from_all():
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 2] = 1
    y, winner = ours.max_pool2d(x, 3, stride=2)
    assert y.tolist() == [[[[1, 1], [1, 1]]]]
    grad = ours.max_pool2d_backward(np.array([[[[1.0, 2], [3, 4]]]]), winner, (5, 5), 3, stride=2)
    assert grad[0, 0, 2, 2] == 10
    assert grad.sum() == 10


def test_winners_need_one_byte_and_large_windows_two():
    x = np.random.default_rng(0).normal(size=(2, 3, 20, 20))
    assert ours.max_pool2d(x, 2)[1].dtype == np.uint8
    y, winner = ours.max_pool2d(x, 20)
    assert winner.dtype == np.uint16
    np.testing.assert_array_equal(winner.ravel(), x.reshape(6, 400).argmax(1))
    np.testing.assert_array_equal(y, x.max((2, 3), keepdims=True))


def test_memory_order_is_kept_and_does_not_matter():
    x = np.random.default_rng(0).normal(size=(4, 3, 7, 6)).astype(np.float32)
    inner = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    for keywords in ({}, {"stride": 1, "padding": 1}):
        y, winner = ours.max_pool2d(x, 3, **keywords)
        y_inner, winner_inner = ours.max_pool2d(inner, 3, **keywords)
        np.testing.assert_array_equal(y, y_inner)
        assert y_inner.strides[0] == 4  # the batch is still innermost
        grad = ours.max_pool2d_backward(y_inner, winner_inner, (7, 6), 3, **keywords)
        assert grad.strides[0] == 4
        assert grad.dtype == np.float32
        np.testing.assert_allclose(
            grad, ours.max_pool2d_backward(y, winner, (7, 6), 3, **keywords), rtol=1e-6
        )


def test_an_integer_stands_for_both_sides():
    g = np.ones((1, 1, 3, 3))
    winner = np.zeros((1, 1, 3, 3), np.uint8)
    for size in (6, (6, 6)):
        assert ours.max_pool2d_backward(g, winner, size, 2).shape == (1, 1, 6, 6)
        assert ours.avg_pool2d_backward(g, size, 2).shape == (1, 1, 6, 6)
        assert ours.max_pool2d_indices(winner, size, 2)[0, 0, 1].tolist() == [12, 14, 16]


def test_nan_spreads():
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 0] = np.nan
    y, _ = ours.max_pool2d(x, 2)
    assert np.isnan(y).ravel().tolist() == [True, False]


def test_integers_are_pooled_as_integers():
    pixels = np.random.default_rng(0).integers(0, 255, size=(1, 2, 4, 4), dtype=np.uint8)
    assert ours.max_pool2d(pixels, 3, padding=1)[0].dtype == np.int64
    np.testing.assert_array_equal(ours.min_pool2d(pixels, 4)[0].ravel(), pixels.min((2, 3)).ravel())
    np.testing.assert_array_equal(ours.sum_pool2d(pixels, 4).ravel(), pixels.sum((2, 3)).ravel())


# --- sum, average, L_p -------------------------------------------------------------------------------


@examples(200)
@given(pools(dilated=False), st.booleans())
def test_average_pool_equals_pytorch(pool, count_include_pad):
    x, keywords = pool
    keywords["count_include_pad"] = count_include_pad
    expected, grad_output, grad = autograd(lambda x: F.avg_pool2d(x, **keywords), x)
    np.testing.assert_allclose(ours.avg_pool2d(x, **keywords), expected, **CLOSE)
    result = ours.avg_pool2d_backward(grad_output, x.shape[2:], **keywords)
    np.testing.assert_allclose(result, grad, **CLOSE)


@examples(80)
@given(pools(dilated=False))
def test_sum_pool_is_the_average_without_division(pool):
    x, keywords = pool
    expected, grad_output, grad = autograd(lambda x: F.avg_pool2d(x, **keywords, divisor_override=1), x)
    np.testing.assert_allclose(ours.sum_pool2d(x, **keywords), expected, **CLOSE)
    result = ours.sum_pool2d_backward(grad_output, x.shape[2:], **keywords)
    np.testing.assert_allclose(result, grad, **CLOSE)


def test_sum_pool_with_dilation_is_a_convolution_with_ones():
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 8))
    ones = np.ones((3, 1, 2, 3))
    expected = ours.conv2d(x, ones, stride=2, padding=1, dilation=(3, 1), groups=3)
    np.testing.assert_allclose(ours.sum_pool2d(x, (2, 3), 2, 1, (3, 1)), expected, **CLOSE)


@pytest.mark.parametrize("norm", [1, 2, 4, 2.5])
@examples(40)
@given(pools(dilated=False, padded=False))
def test_lp_pool_equals_pytorch(norm, pool):
    x, keywords = pool
    x = np.abs(x) + 0.01

    def reference(x):  # PyTorch divides and multiplies by unequal counts where a window reaches over the edge
        return (F.avg_pool2d(x**norm, **keywords, divisor_override=1)) ** (1 / norm)

    expected, grad_output, grad = autograd(reference, x)
    np.testing.assert_allclose(ours.lp_pool2d(x, norm, **keywords), expected, **CLOSE)
    result = ours.lp_pool2d_backward(grad_output, x, norm, **keywords)
    np.testing.assert_allclose(result, grad, **CLOSE)
    if not keywords["ceil_mode"]:
        theirs = F.lp_pool2d(torch.tensor(x), norm, keywords["kernel_size"], keywords["stride"]).numpy()
        np.testing.assert_allclose(ours.lp_pool2d(x, norm, **keywords), theirs, **CLOSE)


def test_lp_pool_of_negative_numbers_and_zeros():
    x = np.array([[-3.0, 0], [0, 4]])[None, None]
    assert ours.lp_pool2d(x, 2, 2).item() == pytest.approx(5)
    grad = ours.lp_pool2d_backward(np.ones((1, 1, 1, 1)), x, 2, 2)
    np.testing.assert_allclose(grad[0, 0], [[-0.6, 0], [0, 0.8]])
    np.testing.assert_array_equal(ours.lp_pool2d_backward(np.ones((1, 1, 1, 1)), 0 * x, 2, 2), 0)


# --- stochastic --------------------------------------------------------------------------------------


def test_stochastic_pool_draws_in_proportion():
    window = np.array([[1.0, 0], [3, 4]])
    x = np.broadcast_to(np.tile(window, (1, 2)), (20000, 1, 2, 4))
    y, winner = ours.stochastic_pool2d(x, 2, rng=np.random.default_rng(0))
    assert y.shape == winner.shape == (20000, 1, 1, 2)
    share = np.bincount(winner.ravel(), minlength=4) / winner.size
    np.testing.assert_allclose(share, [1 / 8, 0, 3 / 8, 4 / 8], atol=0.01)
    np.testing.assert_array_equal(y, window.ravel()[winner])
    assert y.mean() == pytest.approx(ours.stochastic_pool2d(x[:1], 2)[0].mean(), rel=0.01)  # 26 / 8


def test_stochastic_pool_backward_goes_to_the_drawn_pixel():
    x = np.random.default_rng(0).uniform(size=(2, 3, 6, 9)).astype(np.float32)
    y, winner = ours.stochastic_pool2d(x, 3, 2, rng=np.random.default_rng(1))
    grad_output = np.random.default_rng(2).normal(size=y.shape)
    grad = ours.stochastic_pool2d_backward(grad_output, winner, (6, 9), 3, 2)
    indices = ours.max_pool2d_indices(winner, (6, 9), 3, 2)
    np.testing.assert_array_equal(
        np.take_along_axis(x.reshape(2, 3, 54), indices.reshape(2, 3, -1), 2).ravel(), y.ravel()
    )
    expected = np.zeros((2, 3, 54))
    np.add.at(expected, (*np.ogrid[:2, :3, :1][:2], indices.reshape(2, 3, -1)), grad_output.reshape(2, 3, -1))
    np.testing.assert_allclose(grad, expected.reshape(2, 3, 6, 9), **CLOSE)


def test_stochastic_pool_of_zeros_and_of_one_pixel():
    for rng in (None, np.random.default_rng(0)):
        assert ours.stochastic_pool2d(np.zeros((1, 1, 2, 2)), 2, rng=rng)[0].item() == 0
    x = np.zeros((1, 1, 2, 2))
    x[0, 0, 1, 0] = 7
    assert ours.stochastic_pool2d(x, 2, rng=np.random.default_rng(0))[0].item() == 7


# --- global, adaptive, pyramid -----------------------------------------------------------------------


@examples(80)
@given(
    shape=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    output=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 2**16),
)
def test_adaptive_pools_equal_pytorch(shape, output, seed):
    x = np.random.default_rng(seed).integers(-3, 3, size=shape).astype(float)
    expected, grad_output, grad = autograd(lambda x: F.adaptive_avg_pool2d(x, output), x)
    np.testing.assert_allclose(ours.adaptive_avg_pool2d(x, output), expected, **CLOSE)
    np.testing.assert_allclose(ours.adaptive_avg_pool2d_backward(grad_output, shape[2:]), grad, **CLOSE)
    expected, grad_output, grad = autograd(lambda x: F.adaptive_max_pool2d(x, output), x)
    y, place = ours.adaptive_max_pool2d(x, output)
    np.testing.assert_array_equal(y, expected)
    result = ours.adaptive_max_pool2d_backward(grad_output, place, shape[2:])
    np.testing.assert_allclose(result, grad, **CLOSE)


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (0, 2, 3, 3), (3, 1, 1, 1)])
def test_global_pools(shape):
    x = np.random.default_rng(0).normal(size=shape)
    expected, grad_output, grad = autograd(lambda x: F.adaptive_avg_pool2d(x, 1), x)
    np.testing.assert_allclose(ours.global_avg_pool2d(x), expected, **CLOSE)
    np.testing.assert_allclose(ours.global_avg_pool2d_backward(grad_output, shape[2:]), grad, **CLOSE)
    expected, grad_output, grad = autograd(lambda x: F.adaptive_max_pool2d(x, 1), x)
    y, winner = ours.global_max_pool2d(x)
    np.testing.assert_allclose(y, expected, **CLOSE)
    np.testing.assert_allclose(ours.global_max_pool2d_backward(grad_output, winner, shape[2:]), grad, **CLOSE)


@pytest.mark.parametrize(
    ("size", "windows"), [((13, 13), "paper"), ((13, 13), "adaptive"), ((10, 7), "adaptive")]
)
def test_spatial_pyramid(size, windows):
    x = np.random.default_rng(0).normal(size=(2, 3, *size))

    def reference(x):
        levels = []
        for n in (3, 2, 1):
            if windows == "paper":  # 13: windows of 5 a step of 4, of 7 a step of 6, of 13
                pooled = F.max_pool2d(x, -(-size[0] // n), size[0] // n)
            else:
                pooled = F.adaptive_max_pool2d(x, n)
            levels.append(pooled.flatten(1))
        return torch.cat(levels, 1)

    expected, grad_output, grad = autograd(reference, x)
    y, winners = ours.spatial_pyramid_pool(x, (3, 2, 1), windows)
    assert y.shape == (2, 3 * 14)
    np.testing.assert_array_equal(y, expected)
    result = ours.spatial_pyramid_pool_backward(grad_output, winners, size, (3, 2, 1), windows)
    np.testing.assert_allclose(result, grad, **CLOSE)


# --- errors ------------------------------------------------------------------------------------------

x = np.ones((1, 2, 6, 7))
g = np.ones((1, 2, 3, 3))
ERRORS = [
    (lambda: ours.max_pool2d(x[0], 2), r"x must have the shape \(N, C, H, W\), got \(2, 6, 7\)"),
    (lambda: ours.max_pool2d(x, 2, padding=2), "padding must be at most half of the 2 pixels"),
    (lambda: ours.max_pool2d(x, 8), "kernel_size 8 with dilation 1 spans 8 pixels"),
    (lambda: ours.max_pool2d(x, 2, padding="same"), "padding must be an integer, a pair"),
    (lambda: ours.avg_pool2d(x, 2, stride=0), "stride must be an integer of at least 1, got 0"),
    (lambda: ours.max_pool2d(x[:, :0], 2), "x must have at least one channel"),
    (lambda: ours.max_pool2d_backward(g, g[:, :1], (6, 7), 2), "winner must have the shape of grad_output"),
    (lambda: ours.avg_pool2d_backward(g, (8, 8), 2), r"grad_output must have \(4, 4\) rows and columns"),
    (lambda: ours.lp_pool2d(x, 0, 2), "norm_type must be a number above 0, got 0"),
    (lambda: ours.stochastic_pool2d(-x, 2), "x must not be negative"),
    (lambda: ours.adaptive_avg_pool2d(x, 0), "output_size must be an integer of at least 1, got 0"),
    (lambda: ours.spatial_pyramid_pool(x, (4,)), 'windows "paper" must give 4 × 4 windows, got 5 × 6'),
    (lambda: ours.spatial_pyramid_pool(x, (1,), "best"), 'windows must be "paper" or "adaptive"'),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
