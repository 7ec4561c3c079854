"""The convolutions of chapter 9 against PyTorch and torchvision, and against what they promise to be."""

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import deform_conv2d as torch_deform

from utils import functional as F
from utils.gradcheck import gradcheck


def examples(number):
    return settings(max_examples=number, deadline=None, derandomize=True)


seeds, few = st.integers(0, 2**16), st.integers(1, 3)


def same(actual, expected):
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10, strict=True)


def same_gradients(function, backward, *arrays):
    """`backward` against autograd through `function`, which takes and returns tensors."""
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    g = np.random.default_rng(1).normal(size=y.shape)
    y.backward(torch.from_numpy(g))
    for gradient, tensor in zip(backward(g), tensors, strict=True):
        same(gradient, tensor.grad)


@st.composite
def axes(draw, dilated=True):
    """One axis: (size, kernel, stride, padding, dilation) with at least one output."""
    k, s, p = draw(few), draw(few), draw(st.integers(0, 2))
    d = draw(few) if dilated else 1
    smallest = max(1, d * (k - 1) + 1 - 2 * p)
    return draw(st.integers(smallest, smallest + 4)), k, s, p, d


# --- conv3d ------------------------------------------------------------------------------------------


@examples(150)
@given(axes(), axes(), axes(), few, few, few, seeds)
def test_conv3d_equals_torch(depth, rows, columns, groups, channels, multiplier, seed):
    size, k, s, p, d = zip(depth, rows, columns, strict=True)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, groups * channels, *size))
    weight, bias = (
        rng.normal(size=(groups * multiplier, channels, *k)),
        rng.normal(size=groups * multiplier),
    )

    def layer(x, weight, bias):
        return T.conv3d(x, weight, bias, s, p, d, groups)

    same(F.conv3d(x, weight, bias, s, p, d, groups), layer(*map(torch.from_numpy, (x, weight, bias))))
    same_gradients(
        layer, lambda g: F.conv3d_backward(g, x, weight, s, p, d, groups), x, weight, bias
    )  # fmt: skip


def test_conv3d_with_one_integer_and_integers():
    x, weight = np.arange(2 * 27).reshape(1, 2, 3, 3, 3), np.ones((1, 2, 2, 2, 2), int)
    y = F.conv3d(x, weight, padding=1, stride=2)
    assert y.dtype == np.int64
    same(y.astype(float), T.conv3d(torch.tensor(x * 1.0), torch.tensor(weight * 1.0), stride=2, padding=1))


# --- locally connected and tiled ----------------------------------------------------------------------


def unfolded_layer(x, weight, bias, stride, padding):
    """A locally connected layer from torch.nn.functional.unfold: windows (N, C kh kw, positions)."""
    OH, OW, K, _, kh, kw = weight.shape
    columns = T.unfold(x, (kh, kw), padding=padding, stride=stride)
    y = torch.einsum("pmt,ntp->nmp", weight.reshape(OH * OW, K, -1), columns)
    return y.reshape(len(x), K, OH, OW) + bias


@examples(100)
@given(axes(dilated=False), axes(dilated=False), few, few, seeds)
def test_locally_connected_equals_torch(rows, columns, C, K, seed):
    size, k, s, p, _ = zip(rows, columns, strict=True)
    OH, OW = map(F.conv_output_size, size, k, s, p)
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(2, C, *size)), rng.normal(size=(OH, OW, K, C, *k))
    bias = rng.normal(size=(K, OH, OW))
    expected = unfolded_layer(*map(torch.from_numpy, (x, weight, bias)), s, p)
    same(F.locally_connected2d(x, weight, bias, s, p), expected)
    same_gradients(
        lambda *a: unfolded_layer(*a, s, p),
        lambda g: F.locally_connected2d_backward(g, x, weight, s, p), x, weight, bias,
    )  # fmt: skip


@examples(100)
@given(axes(dilated=False), axes(dilated=False), few, few, few, few, seeds)
def test_tiled_is_locally_connected_with_repeated_weights(rows, columns, C, K, th, tw, seed):
    size, k, s, p, _ = zip(rows, columns, strict=True)
    OH, OW = map(F.conv_output_size, size, k, s, p)
    th, tw = min(th, OH), min(tw, OW)
    rng = np.random.default_rng(seed)
    x, weight, bias = (
        rng.normal(size=(2, C, *size)),
        rng.normal(size=(th, tw, K, C, *k)),
        rng.normal(size=(th, tw, K)),
    )
    i, j = np.arange(OH)[:, None] % th, np.arange(OW) % tw

    def layer(x, weight, bias):
        return unfolded_layer(x, weight[i, j], bias[i, j].movedim(2, 0), s, p)

    same(F.tiled_conv2d(x, weight, bias, s, p), layer(*map(torch.from_numpy, (x, weight, bias))))
    same_gradients(layer, lambda g: F.tiled_conv2d_backward(g, x, weight, s, p), x, weight, bias)


def test_one_tile_is_a_convolution_and_a_tile_each_is_locally_connected():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 3, 2))
    expected = F.conv2d(x, weight)
    same(F.tiled_conv2d(x, weight[None, None]), expected)
    same(F.locally_connected2d(x, np.broadcast_to(weight, (4, 6, *weight.shape))), expected)
    own = rng.normal(size=(4, 6, 4, 3, 3, 2))
    same(F.tiled_conv2d(x, own), F.locally_connected2d(x, own))


# --- channels ----------------------------------------------------------------------------------------


@examples(60)
@given(axes(), axes(), few, few, few, seeds)
def test_separable_is_one_convolution_with_a_product_of_weights(rows, columns, C, M, K, seed):
    size, k, s, p, d = zip(rows, columns, strict=True)
    rng = np.random.default_rng(seed)
    x, depthwise = rng.normal(size=(2, C, *size)), rng.normal(size=(C * M, 1, *k))
    pointwise, bias = rng.normal(size=(K, C * M, 1, 1)), rng.normal(size=K)

    def layer(x, depthwise, pointwise, bias):
        product = pointwise.reshape(K, C, M, 1, 1) * depthwise.reshape(1, C, M, *k)
        return T.conv2d(x, product.sum(2), bias, s, p, d)

    arrays = x, depthwise, pointwise, bias
    same(F.separable_conv2d(*arrays, s, p, d), layer(*map(torch.from_numpy, arrays)))
    same_gradients(layer, lambda g: F.separable_conv2d_backward(g, x, depthwise, pointwise, s, p, d), *arrays)


@examples(40)
@given(few, few, seeds)
def test_shuffles_equal_torch(groups, size, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, groups * size, 2, 3))
    same(F.channel_shuffle(x, groups), T.channel_shuffle(torch.from_numpy(x), groups))
    same(F.channel_shuffle_backward(F.channel_shuffle(x, groups), groups), x)  # a permutation
    r, x = groups, rng.normal(size=(2, size * groups**2, 3, 2))
    same(F.pixel_shuffle(x, r), T.pixel_shuffle(torch.from_numpy(x), r))
    same(F.pixel_shuffle_backward(F.pixel_shuffle(x, r), r), x)


# --- enlarging ---------------------------------------------------------------------------------------


@examples(200)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30), seeds)
def test_interpolate_equals_torch(H, W, OH, OW, seed):
    x = np.random.default_rng(seed).normal(size=(2, 1, H, W))
    for mode, options in {"bilinear": {"align_corners": False}, "nearest": {}}.items():

        def layer(x, mode=mode, options=options):
            return T.interpolate(x, (OH, OW), mode=mode, **options)

        same(F.interpolate(x, (OH, OW), mode=mode), layer(torch.from_numpy(x)))
        same_gradients(layer, lambda g, mode=mode: [F.interpolate_backward(g, (H, W), mode)], x)


@examples(30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), seeds)
def test_interpolate_by_a_factor_equals_torch(H, W, factor, seed):
    x = np.random.default_rng(seed).normal(size=(1, 2, H, W))
    for mode, options in {"bilinear": {"align_corners": False}, "nearest": {}}.items():
        expected = T.interpolate(torch.from_numpy(x), scale_factor=factor, mode=mode, **options)
        same(F.interpolate(x, scale_factor=factor, mode=mode), expected)


# --- deformable --------------------------------------------------------------------------------------


@examples(150)
@given(axes(), axes(), few, few, st.sampled_from([0.3, 2.0, 10.0]), seeds)
def test_deformable_equals_torchvision(rows, columns, C, K, reach, seed):
    size, k, s, p, d = zip(rows, columns, strict=True)
    out = tuple(map(F.conv_output_size, size, k, s, p, d))
    rng = np.random.default_rng(seed)
    x, weight, bias = rng.normal(size=(2, C, *size)), rng.normal(size=(K, C, *k)), rng.normal(size=K)
    offset = reach * rng.normal(size=(2, 2 * k[0] * k[1], *out))

    def layer(x, offset, weight, bias):
        return torch_deform(x, offset, weight, bias, s, p, d)

    arrays = x, offset, weight, bias
    same(F.deform_conv2d(*arrays, s, p, d), layer(*map(torch.from_numpy, arrays)))
    same_gradients(layer, lambda g: F.deform_conv2d_backward(g, x, offset, weight, s, p, d), *arrays)


def test_deformable_without_offsets_is_a_convolution_and_with_whole_ones_a_shift():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 8, 9)), rng.normal(size=(4, 3, 3, 3))
    offset = np.zeros((2, 18, 6, 7))
    same(F.deform_conv2d(x, offset, weight), F.conv2d(x, weight))
    offset[:, 1::2] = 1  # all taps one pixel to the right
    shifted = F.conv2d(np.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))), weight)
    same(F.deform_conv2d(x, offset, weight), np.ascontiguousarray(shifted[..., 1:]))


def test_deformable_gradient_by_differences():
    rng = np.random.default_rng(2)
    x, weight, bias = rng.normal(size=(1, 2, 5, 4)), rng.normal(size=(2, 2, 2, 2)), rng.normal(size=2)
    offset = rng.uniform(0.1, 0.9, size=(1, 8, 4, 3))
    report = gradcheck(
        F.deform_conv2d, lambda g, x, o, w, b: F.deform_conv2d_backward(g, x, o, w), x, offset, weight, bias
    )
    assert report.passed, report


# --- errors ------------------------------------------------------------------------------------------

X, W = np.zeros((2, 4, 6, 7)), np.zeros((4, 4, 3, 3))
ERRORS = [
    (lambda: F.conv3d(X, W), "x must have the shape"),
    (lambda: F.conv3d(X[:, :, None], np.zeros((4, 3, 1, 3, 3))), "weight must have 4 input channels"),
    (lambda: F.conv3d(X[:, :, None], np.zeros((4, 4, 1, 3, 3)), groups=3), "groups must divide"),
    (lambda: F.conv3d(X[:, :, None], np.zeros((4, 4, 1, 3, 3)), stride=(1, 2)), "stride must be an integer"),
    (lambda: F.conv3d(X[:, :, None], np.zeros((4, 4, 1, 3, 3)), np.zeros(3)), "bias must have the shape"),
    (lambda: F.conv3d(X[:, :, None], np.zeros((4, 4, 2, 3, 3))), "kernel_size 2"),
    (lambda: F.locally_connected2d(X, W), "weight must have the shape"),
    (lambda: F.locally_connected2d(X, np.zeros((4, 4, 2, 4, 3, 3))), "weight must have filters for"),
    (lambda: F.locally_connected2d(X, np.zeros((4, 5, 2, 3, 3, 3))), "weight must have 4 input channels"),
    (lambda: F.locally_connected2d(X, np.zeros((4, 5, 2, 4, 3, 3)), np.zeros(2)), "bias must"),
    (lambda: F.tiled_conv2d(X, np.zeros((5, 1, 2, 4, 3, 3))), "weight must have at most"),
    (lambda: F.tiled_conv2d(X, np.zeros((2, 1, 2, 4, 3, 3)), np.zeros(2)), "bias must"),
    (lambda: F.tiled_conv2d(X, np.zeros((2, 1, 2, 3, 3, 3))), "weight must have 4 input channels"),
    (lambda: F.channel_shuffle(X, 3), "groups must divide"),
    (lambda: F.pixel_shuffle(X, 3), "upscale_factor must"),
    (lambda: F.interpolate(X), "size or scale_factor must"),
    (lambda: F.interpolate(X, 3, 2), "size or scale_factor must"),
    (lambda: F.interpolate(X, 3, mode="cubic"), "mode must be"),
    (lambda: F.deform_conv2d(X, np.zeros((2, 9, 4, 5)), W), "offset must have the shape"),
    (lambda: F.deform_conv2d(X, np.zeros((2, 18, 4, 5)), W[:, :3]), "weight must have 4 input channels"),
    (lambda: F.conv3d_backward(X[:, :, None], X[:, :, None], W[:, :, None]), "grad_output must"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
