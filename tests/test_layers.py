"""The NumPy modules: same outputs, gradients and states as PyTorch's, and gradients that pass the check."""

import numpy as np
import pytest
import torch
from torch import nn

from utils import init
from utils.functional import cross_entropy_backward
from utils.gradcheck import gradcheck
from utils.layers import (
    GELU,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    LeNet5,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)


class TorchLeNet5(nn.Sequential):
    """The same network in PyTorch, with the same names, and ReLU before the pooling: the numbers are the same."""

    def __init__(self):
        super().__init__()
        for name, layer in {
            "conv1": nn.Conv2d(1, 6, 5, padding=2),
            "act1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(6, 16, 5),
            "act2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(400, 120),
            "act3": nn.ReLU(),
            "fc2": nn.Linear(120, 84),
            "act4": nn.ReLU(),
            "fc3": nn.Linear(84, 10),
        }.items():
            self.add_module(name, layer)


def to_torch(state):
    return {name: torch.from_numpy(array) for name, array in state.items()}


PAIRS = {
    "conv": (
        lambda: Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
        lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=2),
    ),
    "conv without bias": (lambda: Conv2d(4, 6, 3, bias=False), lambda: nn.Conv2d(4, 6, 3, bias=False)),
    "linear": (
        lambda: Sequential(Flatten(), Linear(4 * 7 * 8, 5)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(4 * 7 * 8, 5)),
    ),
    "linear without bias": (lambda: Linear(8, 5, bias=False), lambda: nn.Linear(8, 5, bias=False)),
    "batch norm": (lambda: BatchNorm2d(4), lambda: nn.BatchNorm2d(4)),
    "max pool": (lambda: MaxPool2d(3, 2, 1, ceil_mode=True), lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    "average pool": (lambda: AvgPool2d(2), lambda: nn.AvgPool2d(2)),
    "relu": (ReLU, nn.ReLU),
    "leaky relu": (lambda: LeakyReLU(0.3), lambda: nn.LeakyReLU(0.3)),
    "sigmoid": (Sigmoid, nn.Sigmoid),
    "tanh": (Tanh, nn.Tanh),
    "gelu": (GELU, nn.GELU),
    "gelu by tanh": (lambda: GELU("tanh"), lambda: nn.GELU("tanh")),
    "network": (
        lambda: Sequential(
            Sequential(Conv2d(4, 6, 3, padding=1), BatchNorm2d(6), ReLU(), MaxPool2d(2)),
            Sequential(Conv2d(6, 3, 2), Tanh(), AvgPool2d(2), Flatten(), Linear(3, 5)),
        ),
        lambda: nn.Sequential(
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(6, 3, 2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, 5)),
        ),
    ),
}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", PAIRS)
def test_modules_equal_pytorch(name, mode):
    ours, theirs = (make() for make in PAIRS[name])
    ours.to(np.float64)
    theirs.double()
    theirs.load_state_dict(to_torch(ours.state_dict()))  # strict: the same names and shapes
    assert list(ours.state_dict()) == list(theirs.state_dict())  # in the same order
    getattr(ours, mode)()
    getattr(theirs, mode)()
    rng = np.random.default_rng(0)
    for _ in range(2):  # gradients add up, running averages go on
        x = rng.normal(size=(3, 4, 7, 8))
        tensor = torch.tensor(x, requires_grad=True)
        y, expected = ours(x), theirs(tensor)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-10)
        grad_output = rng.normal(size=y.shape)
        expected.backward(torch.tensor(grad_output))
        np.testing.assert_allclose(ours.backward(grad_output), tensor.grad.numpy(), rtol=1e-9, atol=1e-10)
    gradients = ours.gradients()
    for key, parameter in theirs.named_parameters():
        np.testing.assert_allclose(gradients[key], parameter.grad.numpy(), rtol=1e-9, atol=1e-10)
    for key, array in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], array.numpy(), rtol=1e-10)
    ours.zero_grad()
    assert set(ours.gradients().values()) <= {None}
    assert str(ours)


def test_weights_of_lenet_go_to_pytorch_and_give_the_same_logits_and_gradients():
    ours, theirs = LeNet5(rng=np.random.default_rng(1)), TorchLeNet5()
    theirs.load_state_dict(to_torch(ours.state_dict()))
    rng = np.random.default_rng(2)
    x, labels = rng.normal(size=(32, 1, 28, 28)).astype(np.float32), rng.integers(10, size=32)
    logits = ours(x)
    expected = theirs(torch.tensor(x))
    np.testing.assert_allclose(logits, expected.detach().numpy(), atol=1e-5)
    ours.backward(cross_entropy_backward(1.0, logits, labels))
    nn.functional.cross_entropy(expected, torch.tensor(labels)).backward()
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.gradients()[name], parameter.grad.numpy(), atol=1e-6)
        assert ours.gradients()[name].dtype == np.float32
    ours_again = LeNet5().load_state_dict(theirs.state_dict())  # and back
    np.testing.assert_array_equal(ours_again(x), logits)


def test_lenet_has_61706_parameters():
    model = LeNet5()
    assert model.count() == 61_706
    assert model(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)
    assert "(conv1): Conv2d(1, 6, kernel_size=(5, 5), padding=2)" in repr(model)


def test_lenet_of_tanh_and_average_pooling():
    model = LeNet5(activation=Tanh, pool=AvgPool2d, rng=np.random.default_rng(0))
    assert isinstance(model.act1, Tanh)
    assert isinstance(model.pool2, AvgPool2d)
    assert model(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)


def test_a_network_passes_the_gradient_check():
    rng = np.random.default_rng(0)
    model = Sequential(
        Conv2d(2, 3, 3, padding=1, rng=rng),
        BatchNorm2d(3),
        GELU(),
        MaxPool2d(2),
        Flatten(),
        Linear(12, 4, rng=rng),
    ).to(np.float64)
    names = [name for name, _ in model.named_parameters()]

    def put(arrays):
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.value = array

    def forward(x, *arrays):
        put(arrays)
        return model(x)

    def backward(g, x, *arrays):
        put(arrays)
        model.zero_grad()
        model(x)
        return model.backward(g), *model.gradients().values()

    inputs = rng.normal(size=(3, 2, 4, 5)), *(p.value.copy() for p in model.parameters())
    # The batch norm behind it takes conv's bias away: its gradient is 0, its difference is rounding
    report = gradcheck(forward, backward, *inputs, names=["x", *names])
    assert [c.error < 1e-6 for c in report.checks if c.name != "0.bias"] == [True] * len(names)
    assert abs(report.checks[2].analytic) < 1e-12


def test_the_first_layer_need_not_compute_the_gradient_at_the_pixels():
    model = LeNet5()
    x = np.random.default_rng(0).normal(size=(2, 1, 28, 28)).astype(np.float32)
    assert model.backward(np.ones_like(model(x))) is None
    model.conv1.needs_input_grad = True
    assert model.backward(np.ones_like(model(x))).shape == x.shape


def test_dropout_follows_the_mode_and_its_rng():
    x = np.ones((50, 60))
    layer = Dropout(0.5, np.random.default_rng(0))
    y = layer(x)
    assert 0.4 < (y == 0).mean() < 0.6
    np.testing.assert_array_equal(layer.backward(x), y)
    np.testing.assert_array_equal(Dropout(0.5, np.random.default_rng(0))(x), y)
    np.testing.assert_array_equal(layer.eval()(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_flatten_orders_as_pytorch_whatever_the_memory():
    x = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    inner = np.ascontiguousarray(x.transpose(2, 1, 3, 0)).transpose(3, 1, 0, 2)
    layer = Flatten()
    for picture in (x, inner):
        y = layer(picture)
        np.testing.assert_array_equal(y, x.reshape(2, 60))
        np.testing.assert_array_equal(layer.backward(y), x)


def test_save_and_load(tmp_path):
    first, second = (Sequential(Conv2d(2, 3, 3), BatchNorm2d(3)) for _ in range(2))
    first(np.random.default_rng(0).normal(size=(2, 2, 5, 5)).astype(np.float32))
    first.save(tmp_path / "model.npz")
    second.load(tmp_path / "model.npz")
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name], array)
    assert second.state_dict()["1.num_batches_tracked"] == 1


def test_state_dict_is_a_copy_and_loading_keeps_the_arrays():
    model = Linear(3, 2)
    state, value = model.state_dict(), model.weight.value
    state["weight"][:] = 7
    assert not (model.weight.value == 7).any()
    model.load_state_dict(state)
    assert model.weight.value is value  # the optimizer's parameter is still the same
    assert (value == 7).all()


def test_errors_name_the_argument():
    model = Linear(3, 2)
    with pytest.raises(ValueError, match=r"got none for \['bias'\] and did not expect \['scale'\]"):
        model.load_state_dict({"weight": np.ones((2, 3)), "scale": np.ones(3)})
    with pytest.raises(ValueError, match=r"state\['bias'\] must have the shape \(2,\), got \(3,\)"):
        model.load_state_dict({"weight": np.ones((2, 3)), "bias": np.ones(3)})
    with pytest.raises(ValueError, match="groups must divide in_channels 3 and out_channels 4, got 2"):
        Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="p must be at least 0 and less than 1"):
        Dropout(1)
    with pytest.raises(ValueError, match="layers must be modules, got 3 as 1"):
        Sequential(ReLU(), 3)
    with pytest.raises(NotImplementedError):
        Module()(np.ones(3))


def test_parts_can_be_reached():
    model = Sequential(Conv2d(1, 2, 3), ReLU())
    assert len(model) == 2
    assert isinstance(model[0], Conv2d)
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]
    assert repr(Parameter(np.ones((2, 3)))) == "Parameter(2, 3)"


# --- initialization ----------------------------------------------------------------------------------

VARIANCES = {  # of a weight with fan_in 200 * 9 and fan_out 100 * 9
    "glorot_normal": 2 / 2700,
    "glorot_uniform": 2 / 2700,
    "he_normal": 2 / 1800,
    "he_uniform": 2 / 1800,
    "pytorch_default": 1 / (3 * 1800),
    "normal": 1e-4,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_initial_weights_have_the_variance_of_the_paper(name):
    weight = getattr(init, name)((100, 200, 3, 3), np.random.default_rng(0))
    assert weight.dtype == np.float32
    assert weight.shape == (100, 200, 3, 3)
    assert weight.var() == pytest.approx(VARIANCES[name], rel=0.02)
    assert abs(weight.mean()) < 0.01 * weight.std()


def test_pytorch_default_has_the_bounds_of_pytorch():
    theirs = nn.Conv2d(20, 50, 3)
    weight = init.pytorch_default((50, 20, 3, 3), np.random.default_rng(0))
    bias = init.pytorch_bias((5000, 20, 3, 3), np.random.default_rng(0))
    for ours in (weight, bias):
        assert np.abs(ours).max() == pytest.approx(theirs.weight.abs().max().item(), rel=0.01)
    with pytest.raises(ValueError, match=r"shape must have at least two axes"):
        init.fans((3,))


def test_layers_take_an_initializer():
    layer = Linear(500, 300, rng=np.random.default_rng(0), initialize=init.he_normal)
    assert layer.weight.value.std() == pytest.approx(np.sqrt(2 / 500), rel=0.02)
