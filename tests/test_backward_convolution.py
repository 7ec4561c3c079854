"""The gradients of convolution and transposed convolution, against PyTorch's autograd and by definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import fancy_index
from benchmarks.conv_backward import lenet_fancy
from utils.functional import (
    conv2d,
    conv2d_backward,
    conv2d_backward_naive,
    conv2d_grad_input,
    conv2d_grad_weight,
    conv_matrix,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose_output_size,
    cross_entropy_backward,
    max_pool2d,
    max_pool2d_backward,
)
from utils.functional.convolution_backward import meetings
from utils.functional.shapes import conv_geometry
from utils.layers import LeNet5

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def examples(number):
    return settings(max_examples=number, deadline=None, derandomize=True)


@st.composite
def axes(draw):
    """One axis: (size, kernel, stride, dilation, (before, after)), with pixels unseen at the border or not."""
    kernel, stride, dilation = (draw(st.integers(1, top)) for top in (4, 4, 3))
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    smallest = max(1, dilation * (kernel - 1) + 1 - before - after)
    return draw(st.integers(smallest, smallest + 6)), kernel, stride, dilation, (before, after)


@st.composite
def layers(draw):
    """(x, weight, keywords of conv2d, zeros for F.pad): batch 0 to 3, groups, one-pixel pictures."""
    (H, kh, sh, dh, rows), (W, kw, sw, dw, columns) = draw(axes()), draw(axes())
    groups, channels, multiplier = (draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.normal(size=(draw(st.integers(0, 3)), groups * channels, H, W))
    weight = rng.normal(size=(groups * multiplier, channels, kh, kw))
    keywords = {"stride": (sh, sw), "padding": (rows, columns), "dilation": (dh, dw), "groups": groups}
    return x, weight, keywords, (*columns, *rows)


def autograd(function, arrays, seed=0):
    """A random upstream gradient, and PyTorch's gradients of `function` at the arrays."""
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    grad_output = np.random.default_rng(seed).normal(size=y.shape)
    y.backward(torch.tensor(grad_output))
    return y.detach().numpy(), grad_output, [t.grad.numpy() for t in tensors]


@examples(200)
@given(layers())
def test_gradients_equal_autograd(layer):
    x, weight, keywords, zeros = layer
    theirs = {**keywords, "padding": 0}
    bias = np.linspace(-1, 1, len(weight))
    _, grad_output, expected = autograd(
        lambda x, w, b: F.conv2d(F.pad(x, zeros), w, b, **theirs), (x, weight, bias)
    )
    grads = conv2d_backward(grad_output, x, weight, **keywords)
    for grad, right in zip(grads, expected, strict=True):
        np.testing.assert_allclose(grad, right, **CLOSE)
        assert grad.shape == right.shape
        assert grad.dtype == np.float64


@examples(25)
@given(layers())
def test_the_loops_give_the_same(layer):
    x, weight, keywords, _ = layer
    x, weight = x[:1], weight[..., :2]
    g = np.random.default_rng(1).normal(size=conv2d(x, weight, **keywords).shape)
    for slow, fast in zip(
        conv2d_backward_naive(g, x, weight, **keywords),
        conv2d_backward(g, x, weight, **keywords),
        strict=True,
    ):
        np.testing.assert_allclose(slow, fast, **CLOSE)


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
def test_words_for_padding(padding):
    rng = np.random.default_rng(1)
    x, weight = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 3, 2))
    zeros = {"valid": (0, 0, 0, 0), "same": (0, 1, 1, 1), "full": (1, 1, 2, 2)}[padding]
    _, grad_output, expected = autograd(lambda x, w: F.conv2d(F.pad(x, zeros), w), (x, weight))
    grads = conv2d_backward(grad_output, x, weight, padding=padding)
    np.testing.assert_allclose(grads[0], expected[0], **CLOSE)
    np.testing.assert_allclose(grads[1], expected[1], **CLOSE)


@examples(60)
@given(layers())
def test_gradients_are_the_transpose_of_the_layer(layer):
    # <conv(x, w), g> = <x, grad_input(g, w)> = <w, grad_weight(g, x)>: the layer is linear in each
    x, weight, keywords, _ = layer
    y = conv2d(x, weight, **keywords)
    g = np.random.default_rng(2).normal(size=y.shape)
    expected = np.sum(y * g)
    geometry = keywords.values()
    np.testing.assert_allclose(
        np.sum(x * conv2d_grad_input(g, weight, x.shape[2:], *geometry)), expected, **CLOSE
    )
    np.testing.assert_allclose(
        np.sum(weight * conv2d_grad_weight(g, x, weight.shape[2:], *geometry)), expected, **CLOSE
    )


def test_gradient_at_the_input_is_the_transposed_matrix():
    rng = np.random.default_rng(3)
    kernel, delta = rng.normal(size=(3, 2)), rng.normal(size=(1, 1, 3, 4))
    matrix = conv_matrix(kernel, (6, 7), stride=2, padding=(1, 0), dilation=(1, 1))
    grad = conv2d_grad_input(delta[:, :, :, :3], kernel[None, None], (6, 7), stride=2, padding=(1, 0))
    np.testing.assert_allclose(grad.ravel(), matrix.T @ delta[:, :, :, :3].ravel(), **CLOSE)


def test_gradient_at_the_input_is_a_convolution_with_the_rotated_kernel():
    rng = np.random.default_rng(4)
    weight, delta = rng.normal(size=(5, 3, 3, 4)), rng.normal(size=(2, 5, 6, 7))
    rotated = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    grad = conv2d_grad_input(delta, weight, (8, 10))
    np.testing.assert_allclose(grad, conv2d(delta, rotated, padding="full"), **CLOSE)


def test_gradient_at_the_input_with_stride_is_that_of_the_dilated_delta():
    rng = np.random.default_rng(5)
    weight, delta = rng.normal(size=(5, 3, 3, 3)), rng.normal(size=(2, 5, 3, 4))
    spread = np.zeros((2, 5, 5, 7))
    spread[:, :, ::2, ::2] = delta
    grad = conv2d_grad_input(delta, weight, (7, 9), stride=2)
    np.testing.assert_allclose(grad, conv2d_grad_input(spread, weight, (7, 9)), **CLOSE)


def test_meetings_are_all_pairs_of_output_and_kernel_rows():
    for n, k, s, d, p in [
        (7, 3, 1, 1, 1),
        (9, 3, 2, 1, 0),
        (9, 4, 2, 3, 2),
        (12, 3, 4, 2, 0),
        (5, 1, 3, 1, 0),
    ]:
        geometry = conv_geometry(n, k, s, p, d)
        OH = geometry.output_size[0]
        for a in range(n + 2 * p):
            outputs, rows = meetings(a, geometry)
            found = list(zip(np.arange(OH)[outputs], np.arange(k)[::-1][rows], strict=True))
            assert found == [(r, i) for r in range(OH) for i in range(k) if r * s + i * d == a]


def test_the_competitor_of_the_benchmark_is_right():
    rng = np.random.default_rng(8)
    x, weight, bias = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
    y = conv2d(x, weight, bias, 2, 1)
    np.testing.assert_allclose(fancy_index.conv2d(x, weight, bias, 2, 1), y, **CLOSE)
    g = rng.normal(size=y.shape)
    expected = conv2d_backward(g, x, weight, 2, 1)
    np.testing.assert_allclose(fancy_index.grad_input(g, weight, (7, 6), 2, 1), expected[0], **CLOSE)
    np.testing.assert_allclose(fancy_index.grad_weight(g, x, (3, 2), 2, 1), expected[1], **CLOSE)


def test_the_competitor_pools_as_we_do():
    rng = np.random.default_rng(9)
    x = rng.integers(5, size=(2, 3, 6, 4)).astype(float)  # with ties
    y, where = fancy_index.max_pool2d(x, 2)
    expected, winner = max_pool2d(x, 2)
    np.testing.assert_array_equal(y, expected)
    g = rng.normal(size=y.shape)
    found = fancy_index.max_pool2d_backward(g, where, x.shape[2:], 2)
    np.testing.assert_array_equal(found, max_pool2d_backward(g, winner, x.shape[2:], 2))


def test_the_lenet_of_the_benchmark_learns_the_same():
    x, labels = np.random.default_rng(10).normal(size=(4, 1, 28, 28)), np.array([3, 1, 4, 1])
    gradients = []
    for model in (LeNet5(rng=np.random.default_rng(0)), lenet_fancy(False), lenet_fancy(True)):
        score = model(x)
        model.backward(cross_entropy_backward(1.0, score, labels))
        gradients.append([score, *(p.grad for _, p in sorted(model.named_parameters()))])
    for found in gradients[1:]:
        for ours, theirs in zip(gradients[0], found, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


def test_only_what_is_needed_is_computed():
    x, weight = np.ones((2, 3, 5, 5)), np.ones((4, 3, 3, 3))
    g = np.ones((2, 4, 3, 3))
    assert [a is None for a in conv2d_backward(g, x, weight, need=(False, True, True))] == [
        True,
        False,
        False,
    ]
    assert [a is None for a in conv2d_backward(g, x, weight, need=(True, False, False))] == [
        False,
        True,
        True,
    ]
    assert conv2d_backward(g, x, weight, bias=False)[2] is None


def test_dtypes_and_memory_orders():
    rng = np.random.default_rng(6)
    x, weight = rng.normal(size=(3, 2, 6, 5)), rng.normal(size=(4, 2, 3, 3))
    g = rng.normal(size=(3, 4, 4, 3))
    expected = conv2d_backward(g, x, weight)
    half = conv2d_backward(*(a.astype(np.float32) for a in (g, x, weight)))
    inner = [np.ascontiguousarray(a.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2) for a in (g, x)]
    for a, b, c in zip(expected, half, conv2d_backward(*inner, weight), strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(c, a, **CLOSE)
    pixels = rng.integers(0, 255, size=x.shape, dtype=np.uint8)
    grad = conv2d_backward(g.astype(np.float32), pixels, weight.astype(np.float32))[1]
    assert grad.dtype == np.float32


def test_inputs_are_not_changed():
    rng = np.random.default_rng(7)
    arrays = rng.normal(size=(2, 4, 4, 4)), rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(4, 3, 3, 3))
    copies = [a.copy() for a in arrays]
    conv2d_backward(*arrays)
    for a, b in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grad_output": np.ones((2, 4, 3, 4))}, r"grad_output must have the output's shape \(2, 4, 3, 3\)"),
        ({"grad_output": np.ones((2, 4, 3))}, r"grad_output must have the shape \(N, K, OH, OW\)"),
        ({"grad_output": np.ones((2, 4, 3, 3), bool)}, "grad_output must hold integers or floats"),
        ({"x": np.ones((2, 2, 5, 5))}, "weight must have 2 input channels"),
        ({"groups": 2}, "groups must divide the 3 channels of x"),
        ({"stride": 0}, "stride must be an integer of at least 1"),
        ({"padding": -1}, "padding must be an integer of at least 0"),
    ],
)
def test_errors_name_the_argument(change, message):
    arguments = {
        "grad_output": np.ones((2, 4, 3, 3)),
        "x": np.ones((2, 3, 5, 5)),
        "weight": np.ones((4, 3, 3, 3)),
    }
    with pytest.raises(ValueError, match=message):
        conv2d_backward(**{**arguments, **change})


# --- transposed --------------------------------------------------------------------------------------


@st.composite
def transposed_layers(draw):
    """(x, weight, bias, keywords) that PyTorch accepts."""
    stride, dilation, padding, extra, kernel, size = ([], [], [], [], [], [])
    for _ in range(2):
        s, d, k, n = (draw(st.integers(1, top)) for top in (3, 2, 4, 4))
        e = draw(st.integers(0, max(s, d) - 1))
        full = (n - 1) * s + d * (k - 1) + 1 + e
        p = draw(st.integers(0, min(2, (full - 1) // 2)))
        for numbers, number in zip(
            (stride, dilation, padding, extra, kernel, size), (s, d, p, e, k, n), strict=True
        ):
            numbers.append(number)
    groups, channels, multiplier = (draw(st.integers(1, 2)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.normal(size=(draw(st.integers(1, 2)), groups * channels, *size))
    weight = rng.normal(size=(groups * channels, multiplier, *kernel))
    bias = rng.normal(size=groups * multiplier)
    keywords = {"stride": tuple(stride), "padding": tuple(padding), "output_padding": tuple(extra)}
    return x, weight, bias, {**keywords, "groups": groups, "dilation": tuple(dilation)}


@examples(150)
@given(transposed_layers())
def test_transposed_convolution_equals_pytorch(layer):
    x, weight, bias, keywords = layer
    y, grad_output, expected = autograd(lambda *a: F.conv_transpose2d(*a, **keywords), (x, weight, bias))
    np.testing.assert_allclose(conv_transpose2d(x, weight, bias, **keywords), y, **CLOSE)
    for grad, right in zip(
        conv_transpose2d_backward(grad_output, x, weight, **keywords), expected, strict=True
    ):
        np.testing.assert_allclose(grad, right, **CLOSE)


def test_two_pixels_with_a_kernel_of_four_and_stride_three_give_seven():
    assert conv_transpose_output_size(2, 4, stride=3) == 7
    y = conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 4, 4)), stride=3)
    assert y[0, 0, 3].tolist() == [2, 2, 2, 4, 2, 2, 2]  # the stamps overlap in the middle


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.ones((2, 3, 3, 3))}, "weight must have 3 filters"),
        ({"output_padding": 1}, "output_padding must be less than stride 1 or dilation 1"),
        ({"padding": 4}, "padding must leave at least one pixel"),
        ({"bias": np.ones(3)}, r"bias must have the shape \(2,\)"),
    ],
)
def test_transposed_errors_name_the_argument(change, message):
    arguments = {"x": np.ones((1, 3, 4, 4)), "weight": np.ones((3, 2, 3, 3)), **change}
    with pytest.raises(ValueError, match=message):
        conv_transpose2d(**arguments)
