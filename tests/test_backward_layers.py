"""Activations, dense layer, losses, batch normalization, dropout and NetVLAD: against PyTorch."""

import math

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


def autograd(function, *arrays, seed=0):
    """Output, a random upstream gradient, and PyTorch's gradients of `function` at the arrays."""
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    grad_output = np.random.default_rng(seed).normal(size=tuple(y.shape))
    y.backward(torch.tensor(grad_output))
    return y.detach().numpy(), grad_output, [t.grad.numpy() for t in tensors]


shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
seeds = st.integers(0, 2**16)


# --- activations -------------------------------------------------------------------------------------

ACTIVATIONS = {
    "relu": (ours.relu, ours.relu_backward, F.relu, {}),
    "leaky_relu": (ours.leaky_relu, ours.leaky_relu_backward, F.leaky_relu, {"negative_slope": 0.2}),
    "elu": (ours.elu, ours.elu_backward, F.elu, {"alpha": 1.3}),
    "sigmoid": (ours.sigmoid, ours.sigmoid_backward, torch.sigmoid, {}),
    "tanh": (ours.tanh, ours.tanh_backward, torch.tanh, {}),
    "gelu": (ours.gelu, ours.gelu_backward, F.gelu, {}),
    "gelu by tanh": (ours.gelu, ours.gelu_backward, F.gelu, {"approximate": "tanh"}),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@examples(25)
@given(shape=shapes, seed=seeds, scale=st.sampled_from([1.0, 30.0]))
def test_activations_equal_pytorch(name, shape, seed, scale):
    forward, backward, theirs, keywords = ACTIVATIONS[name]
    x = np.random.default_rng(seed).normal(size=shape) * scale
    y, grad_output, (grad,) = autograd(lambda x: theirs(x, **keywords), x, seed=seed + 1)
    np.testing.assert_allclose(forward(x, **keywords), y, **CLOSE)
    np.testing.assert_allclose(backward(grad_output, x, **keywords), grad, **CLOSE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_zero_and_far_out(name):
    forward, backward, theirs, keywords = ACTIVATIONS[name]
    x = np.array([0.0, 1e3, -1e3, 700.0, -750.0])
    with np.errstate(all="raise", under="ignore"):
        y, slope = forward(x, **keywords), backward(np.ones(5), x, **keywords)
    tensor = torch.tensor(x, requires_grad=True)
    theirs(tensor, **keywords).sum().backward()
    np.testing.assert_allclose(y, theirs(tensor, **keywords).detach().numpy(), **CLOSE)
    np.testing.assert_allclose(slope, tensor.grad.numpy(), **CLOSE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_keep_float32(name):
    forward, backward, _, keywords = ACTIVATIONS[name]
    x = np.linspace(-2, 2, 6, dtype=np.float32)
    assert forward(x, **keywords).dtype == np.float32
    assert backward(x, x, **keywords).dtype == np.float32


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@examples(40)
@given(data=st.data(), seed=seeds, scale=st.sampled_from([1.0, 500.0]))
def test_softmax_equals_pytorch(name, data, seed, scale):
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(seed).normal(size=shape) * scale
    y, grad_output, (grad,) = autograd(lambda x: getattr(F, name)(x, axis), x, seed=seed + 1)
    np.testing.assert_allclose(getattr(ours, name)(x, axis), y, **CLOSE)
    np.testing.assert_allclose(getattr(ours, f"{name}_backward")(grad_output, x, axis), grad, **CLOSE)


def test_softmax_does_not_overflow():
    y = ours.softmax(np.array([[1e4, 0.0, -1e4]]))
    assert y.tolist() == [[1, 0, 0]]
    assert ours.log_softmax(np.array([1e4, 0.0])).tolist() == [0, -1e4]


# --- dense -------------------------------------------------------------------------------------------


@examples(60)
@given(
    leading=st.lists(st.integers(0, 3), min_size=0, max_size=3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    seed=seeds,
)
def test_linear_equals_pytorch(leading, inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(*leading, inputs)), rng.normal(size=(outputs, inputs))
    bias = rng.normal(size=outputs)
    y, grad_output, expected = autograd(F.linear, x, weight, bias, seed=seed + 1)
    np.testing.assert_allclose(ours.linear(x, weight, bias), y, **CLOSE)
    np.testing.assert_allclose(ours.linear(x, weight), y - bias, **CLOSE)
    for grad, right in zip(ours.linear_backward(grad_output, x, weight), expected, strict=True):
        assert grad.shape == right.shape
        np.testing.assert_allclose(grad, right, **CLOSE)


# --- losses ------------------------------------------------------------------------------------------


@examples(60)
@given(
    N=st.integers(1, 6),
    classes=st.integers(1, 6),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    scale=st.sampled_from([1.0, 1000.0]),
    seed=seeds,
)
def test_cross_entropy_equals_pytorch(N, classes, smoothing, scale, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(N, classes)) * scale, rng.integers(classes, size=N)
    y, upstream, (grad,) = autograd(
        lambda x: F.cross_entropy(x, torch.tensor(labels), label_smoothing=smoothing), logits
    )
    assert ours.cross_entropy(logits, labels, smoothing) == pytest.approx(float(y), rel=1e-10)
    result = ours.cross_entropy_backward(float(upstream), logits, labels, smoothing)
    np.testing.assert_allclose(result, grad, **CLOSE)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_with_probabilities_equals_pytorch(smoothing):
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(5, 4)), rng.dirichlet(np.ones(4), size=5)
    y, upstream, (grad,) = autograd(
        lambda x: F.cross_entropy(x, torch.tensor(targets), label_smoothing=smoothing), logits
    )
    assert ours.cross_entropy(logits, targets, smoothing) == pytest.approx(float(y), rel=1e-10)
    result = ours.cross_entropy_backward(float(upstream), logits, targets, smoothing)
    np.testing.assert_allclose(result, grad, **CLOSE)
    one_hot = np.eye(4)[[1, 0, 3, 2, 1]]
    assert ours.cross_entropy(logits, one_hot) == ours.cross_entropy(logits, one_hot.argmax(1))
    with pytest.raises(ValueError, match="probabilities that add up to 1"):
        ours.cross_entropy(logits, 2 * targets)
    with pytest.raises(ValueError, match=r"labels must be \(5, 4\) probabilities"):
        ours.cross_entropy(logits, targets[:, :3])


def test_an_untrained_network_of_ten_classes_loses_log_ten():
    assert ours.cross_entropy(np.zeros((4, 10)), np.arange(4)) == pytest.approx(math.log(10))


@examples(30)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), seed=seeds)
def test_squared_error_equals_pytorch(shape, seed):
    rng = np.random.default_rng(seed)
    prediction, target = rng.normal(size=shape), rng.normal(size=shape)
    y, upstream, (grad,) = autograd(
        lambda x: F.mse_loss(x, torch.tensor(target), reduction="sum") / 2 / len(x), prediction
    )
    assert ours.squared_error(prediction, target) == pytest.approx(float(y), rel=1e-10)
    np.testing.assert_allclose(
        ours.squared_error_backward(float(upstream), prediction, target), grad, **CLOSE
    )


# --- batch normalization -----------------------------------------------------------------------------


@st.composite
def batches(draw):
    """An input of (N, C), (N, C, L) or (N, C, H, W) with at least two values a channel."""
    shape = [draw(st.integers(1, 4)) for _ in range(draw(st.integers(2, 4)))]
    if math.prod(shape) // shape[1] < 2:
        shape[0] = 2
    return tuple(shape)


@pytest.mark.parametrize("training", [True, False])
@examples(50)
@given(shape=batches(), seed=seeds, eps=st.sampled_from([1e-5, 0.1]))
def test_batch_norm_equals_pytorch(training, shape, seed, eps):
    rng = np.random.default_rng(seed)
    x, (weight, bias, mean) = rng.normal(2, 3, size=shape), rng.normal(size=(3, shape[1]))
    var = rng.uniform(0.5, 2, size=shape[1])
    their_mean, their_var = torch.tensor(mean), torch.tensor(var)
    y, grad_output, expected = autograd(
        lambda x, w, b: F.batch_norm(x, their_mean, their_var, w, b, training, 0.3, eps), x, weight, bias
    )
    grads = ours.batch_norm_backward(grad_output, x, mean, var, weight, training, eps)
    np.testing.assert_allclose(ours.batch_norm(x, mean, var, weight, bias, training, 0.3, eps), y, **CLOSE)
    np.testing.assert_allclose(mean, their_mean.numpy(), **CLOSE)  # changed in place, only in training
    np.testing.assert_allclose(var, their_var.numpy(), **CLOSE)
    for grad, right in zip(grads, expected, strict=True):
        np.testing.assert_allclose(grad, right, rtol=1e-9, atol=1e-10)


def test_batch_norm_without_weights_and_running_averages():
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    y = ours.batch_norm(x, training=True)
    np.testing.assert_allclose(y, F.batch_norm(torch.tensor(x), None, None, training=True).numpy(), **CLOSE)


def test_batch_norm_keeps_float32():
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    assert ours.batch_norm(x, training=True).dtype == np.float32
    assert {g.dtype for g in ours.batch_norm_backward(x, x, training=True)} == {np.dtype(np.float32)}


# --- dropout -----------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_uses_one_mask():
    x = np.random.default_rng(0).normal(1, 1, size=(400, 500))
    y, mask = ours.dropout(x, 0.3, np.random.default_rng(1))
    assert set(np.unique(mask)) == {0, 1 / 0.7}
    assert (mask == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert y.mean() == pytest.approx(x.mean(), rel=0.02)
    np.testing.assert_array_equal(y, x * mask)
    np.testing.assert_array_equal(ours.dropout_backward(x, mask), x * mask)


def test_dropout_does_nothing_in_evaluation():
    x = np.ones((2, 3), np.float32)
    for y, mask in (ours.dropout(x, 0.5, training=False), ours.dropout(x, 0.0)):
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(mask, 1)


# --- NetVLAD -----------------------------------------------------------------------------------------


def torch_netvlad(x, weight, bias, centers):
    """The paper's equations, one by one."""
    vectors = x.flatten(2).transpose(1, 2)  # (N, I, C)
    share = torch.softmax(vectors @ weight.T + bias, 2)
    residuals = (share[..., None] * (vectors[:, :, None] - centers)).sum(1)
    return F.normalize(F.normalize(residuals, dim=2).flatten(1), dim=1)


@examples(40)
@given(sizes=st.tuples(*[st.integers(1, 4)] * 5), seed=seeds)
def test_netvlad_equals_pytorch(sizes, seed):
    N, C, H, W, K = sizes
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for shape in [(N, C, H, W), (K, C), (K,), (K, C)]]
    y, grad_output, expected = autograd(torch_netvlad, *arrays)
    np.testing.assert_allclose(ours.netvlad(*arrays), y, **CLOSE)
    for grad, right in zip(ours.netvlad_backward(grad_output, *arrays), expected, strict=True):
        np.testing.assert_allclose(grad, right, rtol=1e-8, atol=1e-10)


# --- errors ------------------------------------------------------------------------------------------

x43 = np.ones((4, 3))
ERRORS = {
    "relu_backward": ((np.ones(3), np.ones(4)), r"grad_output must have the shape of x, \(4,\), got \(3,\)"),
    "gelu": ((np.ones(3), "erf"), 'approximate must be "none" or "tanh", got \'erf\''),
    "linear": ((np.ones((2, 4)), np.ones((5, 3))), r"x must have the shape \(\.\.\., 3\)"),
    "linear_backward": (
        (np.ones((2, 4)), np.ones((2, 3)), np.ones((5, 3))),
        "grad_output must have the output's",
    ),
    "cross_entropy": ((x43, np.array([0, 1, 2, 3])), "labels must be from 0 to 2, got values from 0 to 3"),
    "cross_entropy_backward": ((1, x43, np.zeros(4)), "labels must be 4 integers, one a row, got float64"),
    "squared_error": ((x43, np.ones((3, 4))), r"target must have the shape of prediction, \(4, 3\)"),
    "batch_norm": ((x43,), "running_mean and running_var must be given when training is False"),
    "batch_norm_backward": ((x43[:3], x43), "grad_output must have the shape of x"),
    "dropout": ((x43, 1.0), "p must be at least 0 and less than 1, got 1.0"),
    "netvlad": (
        (np.ones((1, 2, 3, 3)), np.ones((4, 3)), np.ones(4), np.ones((4, 2))),
        r"weight must have the shape",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_argument(name):
    arguments, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        getattr(ours, name)(*arguments)


def test_more_errors():
    with pytest.raises(ValueError, match="logits must hold at least one row"):
        ours.cross_entropy(np.ones((0, 3)), np.zeros(0, int))
    with pytest.raises(ValueError, match="label_smoothing must be from 0 to 1, got 2"):
        ours.cross_entropy(x43, np.zeros(4, int), 2)
    with pytest.raises(ValueError, match="x must hold more than one value a channel"):
        ours.batch_norm(np.ones((1, 3)), training=True)
    with pytest.raises(ValueError, match="both be arrays or both None"):
        ours.batch_norm(x43, np.ones(3), training=True)
    with pytest.raises(ValueError, match=r"weight must have the shape \(3,\), one number a channel"):
        ours.batch_norm(x43, weight=np.ones(4), training=True)
    with pytest.raises(ValueError, match="rng must be a numpy"):
        ours.dropout(x43)
