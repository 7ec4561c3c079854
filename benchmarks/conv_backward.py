"""How fast are the gradients of a convolution layer in NumPy? Beside PyTorch, in one process, on one thread.

    python -m benchmarks.conv_backward              measure and print
    python -m benchmarks.conv_backward --record     and write benchmarks/results/conv_backward.json

All competitors take turns, round after round; a number is the median of the CPU time, as in `conv_forward`.
The forward is measured again in the same run, so that forward, gradient at the input and gradient at the
weight stand side by side. The last line is one training step of LeNet-5 on 128 pictures: forward, loss,
backward and Adam; with fancy indexing in the convolutions alone, and as the assignments write the whole
network: their pooling, and ReLU before it.
"""

import argparse
import json
import math
import statistics
import time
import tracemalloc

from benchmarks.conv_forward import CASES as FORWARD_CASES  # sets one thread before NumPy is imported
from benchmarks.conv_forward import RESULTS as FORWARD_RESULTS
from benchmarks.conv_forward import ROOT, processor, provenance, repeats_for

# isort: split
import numpy as np
import torch
from torch import nn

from benchmarks import fancy_index
from utils.functional import conv2d, conv2d_backward
from utils.layers import Conv2d, LeNet5, MaxPool2d, Sequential
from utils.loop import train_step
from utils.optim import Adam

RESULTS = FORWARD_RESULTS.with_name("conv_backward.json")
CASES = {name: case for name, case in FORWARD_CASES.items() if "tiny" not in name}
PARTS = ("forward", "input", "weight")
COLUMNS = {
    "torch": "PyTorch's convolution, or its convolution_backward with only that gradient asked for",
    "ours": "conv2d, conv2d_backward with only that gradient asked for; arrays as inside a network",
    "matmul": "one NumPy matrix product with as many multiplications, operands and result ready in memory",
    "fancy": "im2col by fancy indexing, as in many course assignments (benchmarks/fancy_index.py)",
}


# --- one layer ---------------------------------------------------------------------------------------


def competitors(part: str, x_shape: tuple, weight_shape: tuple, keywords: dict) -> dict:
    """Name -> function of no arguments, all for the same float32 layer and the same part of the work."""
    rng = np.random.default_rng(0)
    stride, padding, groups = (keywords.get(k, v) for k, v in (("stride", 1), ("padding", 0), ("groups", 1)))
    (N, _, H, W), (K, C, kh, kw) = x_shape, weight_shape
    OH, OW = output_size(x_shape, weight_shape, keywords)
    shapes = x_shape, weight_shape, (K,), (N, K, OH, OW)
    x, weight, bias, delta = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    tensors = [torch.from_numpy(array) for array in (delta, x, weight, bias)]
    x_inner, delta_inner = inner(x), inner(delta)
    need = tuple(name == part for name in ("input", "weight", "bias"))
    layer = [K], [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups

    def torch_part():
        with torch.inference_mode():
            if part == "forward":
                return torch.nn.functional.conv2d(*tensors[1:], **keywords).numpy()
            grads = torch.ops.aten.convolution_backward(*tensors[:3], *layer, need)
            return grads[need.index(True)].numpy()

    def ours():
        if part == "forward":
            return conv2d(x_inner, weight, bias, **keywords)
        return conv2d_backward(delta_inner, x_inner, weight, **keywords, need=need)[need.index(True)]

    def fancy():
        if part == "forward":
            return fancy_index.conv2d(x, weight, bias, stride, padding)
        if part == "weight":
            return fancy_index.grad_weight(delta, x, (kh, kw), stride, padding)
        return fancy_index.grad_input(delta, weight, (H, W), stride, padding)

    rows, size, count = K // groups, C * kh * kw, N * OH * OW
    a, b, c = {
        "forward": (rows, size, count),
        "input": (size, rows, count),
        "weight": (rows, count, size),
    }[part]  # (a, b) times (b, c) in each group
    left = rng.standard_normal((groups, a, b), dtype=np.float32)
    right = rng.standard_normal((groups, b, c), dtype=np.float32)
    result = np.matmul(left, right)
    functions = {"torch": torch_part, "ours": ours, "matmul": lambda: np.matmul(left, right, out=result)}
    return functions if groups > 1 else {**functions, "fancy": fancy}


def output_size(x_shape, weight_shape, keywords) -> tuple[int, int]:
    """(OH, OW) of a case."""
    stride, padding = keywords.get("stride", 1), keywords.get("padding", 0)
    return tuple(
        (n + 2 * padding - k) // stride + 1 for n, k in zip(x_shape[2:], weight_shape[2:], strict=True)
    )


def inner(array: np.ndarray) -> np.ndarray:
    """The same numbers in the memory order that our layers return: (H, C, W, N), indexed as (N, C, H, W)."""
    return np.ascontiguousarray(array.transpose(2, 1, 3, 0)).transpose(3, 1, 0, 2)


def check(functions: dict) -> None:
    """All compute the same numbers."""
    expected = functions["torch"]()
    for name in functions.keys() - {"torch", "matmul"}:
        error = np.abs(functions[name]() - expected).max() / np.abs(expected).max()
        assert error < 1e-5, f"{name} differs from PyTorch by {error:.1e} of the largest number"


def interleaved(functions: dict, rounds: int) -> dict:
    """Name -> median CPU milliseconds of a call; the functions take turns."""
    repeats = {name: repeats_for(function) for name, function in functions.items()}
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                function()
            times[name].append((time.process_time() - start) / repeats[name] * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def extra_memory(function) -> int:
    """The peak of what NumPy allocates during a call beyond its result, in bytes."""
    result = function().nbytes
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - result


# --- one training step -------------------------------------------------------------------------------


class FancyConv2d(Conv2d):
    """The layer of `utils.layers` with the convolution of `fancy_index`."""

    def forward(self, x):
        self.saved = np.ascontiguousarray(x)
        return fancy_index.conv2d(self.saved, self.weight.value, self.bias.value, *self.layer[:2])

    def backward(self, grad_output):
        stride, padding, x = *self.layer[:2], self.saved
        self.weight.add_grad(
            fancy_index.grad_weight(grad_output, x, self.weight.value.shape[2:], stride, padding)
        )
        self.bias.add_grad(grad_output.sum((0, 2, 3)))
        if self.needs_input_grad:
            return fancy_index.grad_input(grad_output, self.weight.value, x.shape[2:], stride, padding)
        return None


class FancyMaxPool2d(MaxPool2d):
    """The layer of `utils.layers` with the pooling of `fancy_index`."""

    def forward(self, x):
        y, where = fancy_index.max_pool2d(np.ascontiguousarray(x), 2)
        self.saved = where, x.shape[2:]
        return y

    def backward(self, grad_output):
        return fancy_index.max_pool2d_backward(grad_output, *self.saved, 2)


def lenet_fancy(pooling_too: bool) -> Sequential:
    """Our LeNet-5 with the convolutions of `fancy_index`; or with its pooling, too, and ReLU before it."""
    model = LeNet5(rng=np.random.default_rng(0))
    for layer in (model.conv1, model.conv2):
        layer.__class__ = FancyConv2d
    if not pooling_too:
        return model
    for layer in (model.pool1, model.pool2):
        layer.__class__ = FancyMaxPool2d
    order = (
        "conv1",
        "act1",
        "pool1",
        "conv2",
        "act2",
        "pool2",
        "flatten",
        "fc1",
        "act3",
        "fc2",
        "act4",
        "fc3",
    )
    return Sequential(**{name: getattr(model, name) for name in order})


def lenet_torch(pool_first: bool) -> nn.Sequential:
    """LeNet-5 in PyTorch: ReLU before the pooling, as it is usually written, or after it, as in ours."""

    def rest() -> tuple[nn.Module, nn.Module]:
        return (nn.MaxPool2d(2), nn.ReLU()) if pool_first else (nn.ReLU(), nn.MaxPool2d(2))

    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), *rest(), nn.Conv2d(6, 16, 5), *rest(), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def lenet_steps() -> dict:
    """Name -> one training step of LeNet-5: in PyTorch, ours, and with the layers of `fancy_index`."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((128, 1, 28, 28), dtype=np.float32), rng.integers(10, size=128)
    numpy_models = {
        "ours": LeNet5(rng=np.random.default_rng(0)),
        "fancy": lenet_fancy(pooling_too=False),
        "fancy, pooling too": lenet_fancy(pooling_too=True),
    }
    tensors = torch.from_numpy(x), torch.from_numpy(labels)

    def torch_step(model):
        optimizer = torch.optim.Adam(model.parameters())

        def step():
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(tensors[0]), tensors[1]).backward()
            optimizer.step()

        return step

    def numpy_step(model):
        optimizer = Adam(model.parameters())
        return lambda: train_step(model, optimizer, x, labels)

    return {
        "torch": torch_step(lenet_torch(pool_first=False)),
        "torch, pooling first": torch_step(lenet_torch(pool_first=True)),
        **{name: numpy_step(model) for name, model in numpy_models.items()},
    }


# --- the table ---------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each competitor has its turn")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    command = f"python -m benchmarks.conv_backward --rounds {arguments.rounds} --record"
    record = provenance(arguments.rounds) | {"command": command, "columns": COLUMNS, "cases": {}}
    print(f"{processor()}, one thread, float32. Ratios to PyTorch: 2.00 takes twice its time.")
    print("memory: what ours needs beyond its result, as a share of the columns of im2col.\n")
    names = list(COLUMNS)[1:]
    print(f"{'layer':<20}{'part':<9}{'torch ms':>9}" + "".join(f"{name:>9}" for name in (*names, "memory")))
    dense = []
    for case, (x_shape, weight_shape, keywords) in CASES.items():
        record["cases"][case] = {}
        im2col = math.prod(
            (x_shape[0], x_shape[1], *weight_shape[2:], *output_size(x_shape, weight_shape, keywords))
        )
        for part in PARTS:
            functions = competitors(part, x_shape, weight_shape, keywords)
            check(functions)
            times = interleaved(functions, arguments.rounds)
            memory = extra_memory(functions["ours"]) / (4 * im2col)
            ratios = {name: value / times["torch"] for name, value in times.items()}
            if "groups" not in keywords:
                dense.append(ratios["ours"])
            cells = [f"{ratios[name]:9.2f}" if name in ratios else f"{'':>9}" for name in names]
            print(f"{case:<20}{part:<9}{times['torch']:9.3f}" + "".join(cells) + f"{memory:9.0%}", flush=True)
            record["cases"][case][part] = {
                "milliseconds": {name: round(value, 4) for name, value in times.items()},
                "ratio to torch": {name: round(value, 3) for name, value in ratios.items()},
                "extra memory as a share of im2col's columns": round(memory, 3),
            }
    mean = statistics.geometric_mean(dense)
    print(f"\nours, dense layers: geometric mean {mean:.2f}, worst {max(dense):.2f}")

    times = interleaved(lenet_steps(), arguments.rounds)
    ratios = {name: value / times["torch"] for name, value in times.items()}
    print(
        f"LeNet-5, one step of 128: PyTorch {times['torch']:.1f} ms, with the pooling before ReLU "
        f"{ratios['torch, pooling first']:.2f} of it, ours {ratios['ours']:.2f}, "
        f"with fancy indexing {ratios['fancy']:.2f} ({ratios['fancy'] / ratios['ours']:.1f} times ours), "
        f"in the pooling, too, {ratios['fancy, pooling too']:.2f} "
        f"({ratios['fancy, pooling too'] / ratios['ours']:.1f} times ours)"
    )
    record |= {
        "dense layers": {"geometric mean": round(mean, 3), "worst": round(max(dense), 3)},
        "LeNet-5 step": {
            "milliseconds": {name: round(value, 3) for name, value in times.items()},
            "ratio to torch": {name: round(value, 3) for name, value in ratios.items()},
        },
    }
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\nwritten to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
