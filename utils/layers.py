"""Small NumPy modules: layers that keep their parameters, and the gradients that flow back through them.

A module has a `forward` and a `backward`. Forward remembers what backward needs; backward takes the gradient
at the output, adds to the gradients of the parameters, and returns the gradient at the input:

    logits = model(x)
    grad_x = model.backward(cross_entropy_backward(1.0, logits, labels))
    optimizer.step(); model.zero_grad()

There is no tape: `Sequential` calls the backwards of its layers in reverse order, which is all that
backpropagation is for a chain: chapter 4, (4.19). Names of parameters and buffers are those of `torch.nn`, so
that a state can go from here to PyTorch and back. Parameters are float32, as in PyTorch; `to(np.float64)` is
for gradient checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from utils import functional as F
from utils import init
from utils.functional.shapes import Padding, Pair, as_integer, as_pair

__all__ = [
    "GELU",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "LeNet5",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
]

Initializer = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


class Parameter:
    """An array that is learned: `value`, and `grad`, its gradient, or None where no backward has been."""

    def __init__(self, value: np.ndarray):
        self.value, self.grad = value, None

    def add_grad(self, grad: np.ndarray) -> None:
        """Gradients of several backwards add up until `zero_grad`, as in PyTorch."""
        self.grad = grad if self.grad is None else self.grad + grad

    def __repr__(self) -> str:
        return f"Parameter{self.value.shape}"


class Module:
    """What all layers have in common.

    A subclass sets its parameters (`Parameter`), its parts (`Module`) and its buffers (arrays whose names
    stand in `buffers`) as attributes, and defines `forward` and `backward`. What forward remembers for
    backward goes into `self.saved`.
    """

    buffers: tuple[str, ...] = ()
    training = True
    needs_input_grad = True  # False: backward returns None in place of the gradient at the input
    saved = None

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The output for x, (N, ...)."""
        raise NotImplementedError

    def backward(self, grad_output: np.ndarray) -> np.ndarray | None:
        """The gradient at the input of the last forward; adds those at the parameters to their `grad`."""
        raise NotImplementedError

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)

    # --- parts and parameters

    def children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct parts."""
        return ((name, part) for name, part in vars(self).items() if isinstance(part, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(name, module) of this module, its parts, their parts, ...; names are joined by dots."""
        yield prefix, self
        for name, part in self.children():
            yield from part.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """("conv1.weight", Parameter), ... of this module and all its parts."""
        for prefix, module in self.named_modules():
            for name, part in vars(module).items():
                if isinstance(part, Parameter):
                    yield f"{prefix}.{name}" if prefix else name, part

    def parameters(self) -> list[Parameter]:
        """All parameters, for the optimizer."""
        return [parameter for _, parameter in self.named_parameters()]

    def gradients(self) -> dict[str, np.ndarray | None]:
        """The gradient of each parameter by name."""
        return {name: parameter.grad for name, parameter in self.named_parameters()}

    def count(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.value.size for parameter in self.parameters())

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    # --- modes

    def train(self, mode: bool = True) -> Module:
        """Dropout drops and batch normalization uses the batch; `eval` ends that. Returns the module."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """The opposite of `train`."""
        return self.train(False)

    def to(self, dtype: type) -> Module:
        """Convert parameters and buffers of floats, for instance to np.float64. Returns the module."""
        for parameter in self.parameters():
            parameter.value, parameter.grad = parameter.value.astype(dtype), None
        for _, module in self.named_modules():
            for name in module.buffers:
                buffer = getattr(module, name)
                setattr(module, name, buffer.astype(dtype) if buffer.dtype.kind == "f" else buffer)
        return self

    # --- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers by name, in the order and with the names of PyTorch."""
        state = {}
        for prefix, module in self.named_modules():
            own = {name: p.value for name, p in vars(module).items() if isinstance(p, Parameter)}
            own |= {name: getattr(module, name) for name in module.buffers}
            state |= {f"{prefix}.{name}" if prefix else name: array.copy() for name, array in own.items()}
        return state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> Module:
        """Take over the arrays of `state`, by name; tensors of a PyTorch state on the CPU will do too.

        Raises ValueError that names what is missing, what is left over, or whose shape is another.
        """
        own = self.state_dict()
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unknown:
            raise ValueError(
                "state must have the names of the model, "
                f"got none for {sorted(missing)} and did not expect {sorted(unknown)}"
            )
        for name, array in own.items():
            if np.shape(state[name]) != array.shape:
                raise ValueError(
                    f"state[{name!r}] must have the shape {array.shape}, got {np.shape(state[name])}"
                )
        for prefix, module in self.named_modules():
            for name, part in list(vars(module).items()):
                key = f"{prefix}.{name}" if prefix else name
                if isinstance(part, Parameter):
                    part.value[...] = np.asarray(state[key])
                elif name in module.buffers:
                    part[...] = np.asarray(state[key])
        return self

    def save(self, path: str | Path) -> None:
        """Write the state to a file .npz."""
        with open(path, "wb") as file:  # a file, because np.savez would append .npz to another name
            np.savez(file, **self.state_dict())

    def load(self, path: str | Path) -> Module:
        """Read the state from a file that `save` wrote. Returns the module."""
        with np.load(path, allow_pickle=False) as state:
            return self.load_state_dict(dict(state))

    def __repr__(self) -> str:
        parts = [f"  ({name}): " + repr(part).replace("\n", "\n  ") for name, part in self.children()]
        return (
            "\n".join([f"{type(self).__name__}(", *parts, ")"])
            if parts
            else f"{type(self).__name__}({self.extra()})"
        )

    def extra(self) -> str:
        """What stands between the brackets of the repr."""
        return ""


# --- layers with weights -----------------------------------------------------------------------------


class Conv2d(Module):
    """The convolution layer: `functional.conv2d` with weight (K, C/groups, kh, kw) and bias (K,).

    Chapter 3, (3.7), with as many parameters as (3.2) says; backward chapter 4, (4.16) to (4.18).

    rng         draws the initial weights; without it they differ from run to run
    initialize  a function (shape, rng) of `utils.init`; the default is PyTorch's, and so is that of the bias
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: Padding = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        rng: np.random.Generator | None = None,
        initialize: Initializer = init.pytorch_default,
    ):
        C, K, g = (
            as_integer(in_channels, "in_channels"),
            as_integer(out_channels, "out_channels"),
            as_integer(groups, "groups"),
        )
        if C % g or K % g:
            raise ValueError(f"groups must divide in_channels {C} and out_channels {K}, got {g}")
        shape = K, C // g, *as_pair(kernel_size, "kernel_size")
        self.layer = stride, padding, dilation, groups
        _add_weights(self, shape, bias, rng, initialize)

    def forward(self, x):
        self.saved = x
        return F.conv2d(x, self.weight.value, _value(self.bias), *self.layer)

    def backward(self, grad_output):
        need = self.needs_input_grad, True, True
        grads = F.conv2d_backward(
            grad_output, self.saved, self.weight.value, *self.layer, bias=self.bias is not None, need=need
        )
        return _collect(self, grads)

    def extra(self):
        K, C, kh, kw = self.weight.value.shape
        names = zip(("stride", "padding", "dilation", "groups"), self.layer, (1, 0, 1, 1), strict=True)
        options = [f"{name}={value}" for name, value, usual in names if value != usual]
        return ", ".join([str(C * self.layer[3]), str(K), f"kernel_size=({kh}, {kw})", *options])


class Linear(Module):
    """The dense layer y = x w^T + b: `functional.linear` with weight (O, I) and bias (O,).

    Chapter 4, (4.4), backward (4.5) to (4.7). rng and initialize as for `Conv2d`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        rng: np.random.Generator | None = None,
        initialize: Initializer = init.pytorch_default,
    ):
        shape = as_integer(out_features, "out_features"), as_integer(in_features, "in_features")
        _add_weights(self, shape, bias, rng, initialize)

    def forward(self, x):
        self.saved = x
        return F.linear(x, self.weight.value, _value(self.bias))

    def backward(self, grad_output):
        need = self.needs_input_grad, True, True
        grads = F.linear_backward(grad_output, self.saved, self.weight.value, self.bias is not None, need)
        return _collect(self, grads)

    def extra(self):
        O, I = self.weight.value.shape  # noqa: E741
        return f"{I}, {O}"


class BatchNorm2d(Module):
    """Batch normalization of every channel: `functional.batch_norm` with its running averages.

    weight begins at 1 and bias at 0. The buffers are running_mean, running_var and num_batches_tracked.
    """

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        C = as_integer(num_features, "num_features")
        self.weight, self.bias = Parameter(np.ones(C, np.float32)), Parameter(np.zeros(C, np.float32))
        self.running_mean, self.running_var = np.zeros(C, np.float32), np.ones(C, np.float32)
        self.num_batches_tracked = np.array(0)
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        self.saved = x
        self.num_batches_tracked += self.training
        running, weights = (self.running_mean, self.running_var), (self.weight.value, self.bias.value)
        return F.batch_norm(x, *running, *weights, self.training, self.momentum, self.eps)

    def backward(self, grad_output):
        running = self.running_mean, self.running_var
        return _collect(
            self,
            F.batch_norm_backward(
                grad_output, self.saved, *running, self.weight.value, self.training, self.eps
            ),
        )

    def extra(self):
        return str(len(self.weight.value))


def _add_weights(module, shape, bias, rng, initialize):
    rng = np.random.default_rng() if rng is None else rng
    module.weight = Parameter(initialize(shape, rng))
    module.bias = Parameter(init.pytorch_bias(shape, rng)) if bias else None


def _value(parameter):
    return None if parameter is None else parameter.value


def _collect(module, grads):
    """Hand the gradients of (x, weight, bias) on: the first is returned, the others are added."""
    grad_x, grad_weight, grad_bias = grads
    module.weight.add_grad(grad_weight)
    if module.bias is not None:
        module.bias.add_grad(grad_bias)
    return grad_x


# --- layers without weights --------------------------------------------------------------------------


class Elementwise(Module):
    """A layer that applies a function and its backward, both of x and the same options: chapter 5, (5.2)."""

    function: Callable
    derivative: Callable

    def __init__(self, **options):
        self.options = options

    def forward(self, x):
        self.saved = x
        return type(self).function(x, **self.options)

    def backward(self, grad_output):
        return type(self).derivative(grad_output, self.saved, **self.options)

    def extra(self):
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class ReLU(Elementwise):
    """max(x, 0)."""

    function, derivative = F.relu, F.relu_backward


class LeakyReLU(Elementwise):
    """x where it is positive, negative_slope x elsewhere."""

    function, derivative = F.leaky_relu, F.leaky_relu_backward

    def __init__(self, negative_slope: float = 0.01):
        super().__init__(negative_slope=negative_slope)


class Sigmoid(Elementwise):
    """1 / (1 + e^-x)."""

    function, derivative = F.sigmoid, F.sigmoid_backward


class Tanh(Elementwise):
    """The hyperbolic tangent."""

    function, derivative = F.tanh, F.tanh_backward


class GELU(Elementwise):
    """x Phi(x); approximate="tanh" is the faster form."""

    function, derivative = F.gelu, F.gelu_backward

    def __init__(self, approximate: str = "none"):
        super().__init__(approximate=approximate)


class MaxPool2d(Module):
    """The largest pixel of every window: `functional.max_pool2d`."""

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: Padding = 0,
        dilation: int | Pair = 1,
        ceil_mode: bool = False,
    ):
        self.layer = kernel_size, stride, padding, dilation, ceil_mode

    def forward(self, x):
        y, winner = F.max_pool2d(x, *self.layer)
        self.saved = winner, x.shape[2:]
        return y

    def backward(self, grad_output):
        return F.max_pool2d_backward(grad_output, *self.saved, *self.layer)

    def extra(self):
        return _pool_options(*self.layer[:3])


class AvgPool2d(Module):
    """The mean of every window: `functional.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self.layer = kernel_size, stride, padding, ceil_mode, count_include_pad

    def forward(self, x):
        self.saved = x.shape[2:]
        return F.avg_pool2d(x, *self.layer)

    def backward(self, grad_output):
        return F.avg_pool2d_backward(grad_output, self.saved, *self.layer)

    def extra(self):
        return _pool_options(*self.layer[:3])


def _pool_options(kernel_size, stride, padding):
    stride = kernel_size if stride is None else stride
    return f"kernel_size={kernel_size}, stride={stride}, padding={padding}"


class Dropout(Module):
    """While training, each activation is left out with probability p; `rng` draws them."""

    def __init__(self, p: float = 0.5, rng: np.random.Generator | None = None):
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and less than 1, got {p}")
        self.p, self.rng = p, np.random.default_rng() if rng is None else rng

    def forward(self, x):
        y, self.saved = F.dropout(x, self.p, self.rng, self.training)
        return y

    def backward(self, grad_output):
        return F.dropout_backward(grad_output, self.saved)

    def extra(self):
        return f"p={self.p}"


class Flatten(Module):
    """(N, C, H, W) to (N, C H W), channel after channel, row after row.

    The batch is the fastest axis in the memory of what convolutions return, and stays so.
    """

    def forward(self, x):
        self.saved = x.shape
        N, features = len(x), math.prod(x.shape[1:])
        return np.moveaxis(x, 0, -1).reshape(features, N).T

    def backward(self, grad_output):
        N, *rest = self.saved
        return np.moveaxis(np.ascontiguousarray(grad_output.T).reshape(*rest, N), -1, 0)


# --- networks ----------------------------------------------------------------------------------------


class Sequential(Module):
    """Layers one after the other: `Sequential(Conv2d(...), ReLU())` or with names, `Sequential(conv1=...,
    ...)`.

    The names appear in the state, "0.weight" or "conv1.weight", as in `torch.nn.Sequential`. Layers are
    reached by name, `model.conv1`, or number, `model[0]`.
    """

    def __init__(self, *layers: Module, **named: Module):
        for name, layer in [*((str(i), layer) for i, layer in enumerate(layers)), *named.items()]:
            if not isinstance(layer, Module):
                raise ValueError(f"layers must be modules, got {layer!r} as {name}")
            setattr(self, name, layer)

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, index: int) -> Module:
        return [layer for _, layer in self.children()][index]

    def __iter__(self) -> Iterator[Module]:
        return (layer for _, layer in self.children())

    def forward(self, x):
        for layer in self:
            x = layer(x)
        return x

    def backward(self, grad_output):
        for layer in reversed(list(self)):
            grad_output = layer.backward(grad_output)
            if grad_output is None:  # nothing before this layer learns
                break
        return grad_output


class LeNet5(Sequential):
    """LeNet-5 as it is read today: (N, 1, 28, 28) to 10 scores, with ReLU and max pooling by default.

        28×28 ─ 5×5, 6, padding 2 ─ pool ─ 14×14×6 ─ 5×5, 16 ─ pool ─ 5×5×16 ─ 120 ─ 84 ─ classes

    activation, pool    layer classes without arguments but the window of the pool, for instance Tanh,
                AvgPool2d. The pool comes first, as in 1998: with max pooling and a rising activation the
                other order gives the same numbers, for four times the activation's work
    rng         draws the initial weights; default_rng() when not given
    initialize  as for `Conv2d`

    The state has conv1, conv2, fc1, fc2, fc3. The gradient at the pixels is not computed, unless
    `model.conv1.needs_input_grad = True`. The layers of 1998, with trainable subsampling, a partial
    connection table and radial basis functions at the end, are another network. Source: Y. LeCun et al.,
    "Gradient-based learning applied to document recognition", 1998.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        activation: type[Module] = ReLU,
        pool: type[Module] = MaxPool2d,
        rng: np.random.Generator | None = None,
        initialize: Initializer = init.pytorch_default,
    ):
        options = {"rng": np.random.default_rng() if rng is None else rng, "initialize": initialize}
        super().__init__(
            conv1=Conv2d(in_channels, 6, 5, padding=2, **options),  # (N, 6, 28, 28)
            pool1=pool(2),  # (N, 6, 14, 14)
            act1=activation(),
            conv2=Conv2d(6, 16, 5, **options),  # (N, 16, 10, 10)
            pool2=pool(2),  # (N, 16, 5, 5)
            act2=activation(),
            flatten=Flatten(),  # (N, 400)
            fc1=Linear(400, 120, **options),
            act3=activation(),
            fc2=Linear(120, 84, **options),
            act4=activation(),
            fc3=Linear(84, classes, **options),  # (N, classes)
        )
        self.conv1.needs_input_grad = False
