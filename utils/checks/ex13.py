"""Exercise 13, VGG: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. By hand ------------------------------------------------------------------------------------------

# VGG without adaptive pooling on 192×256 pictures: 512 maps of 6×8. A 512-to-512 layer of stage 4 on pictures
# of 224×224: 28×28 pixels. F has one 64-to-64 and one 256-to-256 layer more than E. A score map of a
# 384×512 picture: 12×16 pixels in front of the 7×7 kernel. 256 channels, deviation 0.01, ReLU.
_BY_HAND = {
    "first dense": 512 * 6 * 8 * 4096,
    "multiply-adds": 28 * 28 * 512 * 512 * 9,
    "F minus E": 9 * 64**2 + 64 + 9 * 256**2 + 256,
    "positions": (12 - 6) * (16 - 6),
    "factor": math.sqrt(9 * 256 * 1e-4 / 2),
}


def _hand(key: str, value: float) -> Callable[[str], float]:
    changed = _BY_HAND | {key: value}
    return changed.__getitem__


by_hand = Task(
    name="ex13.by_hand",
    title="1 · By hand",
    section="13.2 Five columns; 13.4 Where 138 million parameters go; 13.5 A dense layer is a convolution; "
    "13.6 Deep networks that would not start",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the first dense layer", 0.5, ("first dense",)),
        Case("the multiply-adds", 0.5, ("multiply-adds",)),
        Case("what F has more than E", 0.5, ("F minus E",)),
        Case("the positions of the score map", 0.5, ("positions",)),
        Case("the factor of the signal", 0.5, ("factor",)),
    ],
    misconceptions={
        "224×224": Misconception(
            _hand("first dense", 512 * 7 * 7 * 4096),
            "That is the layer for pictures of 224×224. What is left of 192×256 after five halvings?",
        ),
        "four poolings": Misconception(
            _hand("first dense", 512 * 12 * 16 * 4096), "Five poolings halve the sides, not four."
        ),
        "with biases": Misconception(
            _hand("first dense", 512 * 6 * 8 * 4096 + 4096),
            "Asked for are the weights: leave the 4096 biases out.",
        ),
        "no maps": Misconception(
            _hand("first dense", 6 * 8 * 4096), "There are 512 maps of that size, and the layer reads all."
        ),
        "stage 3": Misconception(
            _hand("multiply-adds", 56 * 56 * 512 * 512 * 9),
            "Those are the positions of stage 3. Before stage 4 stand three poolings.",
        ),
        "stage 5": Misconception(
            _hand("multiply-adds", 14 * 14 * 512 * 512 * 9),
            "Those are the positions of stage 5: the pooling of a stage stands behind its layers.",
        ),
        "first of stage 4": Misconception(
            _hand("multiply-adds", 28 * 28 * 256 * 512 * 9),
            "That is the first layer of the stage, which reads 256 channels. The third one reads 512.",
        ),
        "operations": Misconception(
            _hand("multiply-adds", 2 * 28 * 28 * 512 * 512 * 9),
            "Twice too many: those are operations. A product and its addition count once.",
        ),
        "one position": Misconception(
            _hand("multiply-adds", 512 * 512 * 9), "That is the work at one position. There are 28·28."
        ),
        "no biases": Misconception(
            _hand("F minus E", 9 * 64**2 + 9 * 256**2), "The two layers have biases, too."
        ),
        "first layers": Misconception(
            _hand("F minus E", 9 * 3 * 64 + 64 + 9 * 128 * 256 + 256),
            "Those are the first layers of the two stages. A layer behind them reads as many channels as it "
            "puts out.",
        ),
        "half as wide": Misconception(
            _hand("F minus E", 9 * 64**2 + 64 + 9 * 128**2 + 128),
            "That layer has the width of stage 2. Stage 3 has 256 channels.",
        ),
        "one layer": Misconception(
            _hand("F minus E", 9 * 256**2 + 256),
            "That is the layer of stage 3. Stage 1 gets one, too.",
        ),
        "no taps": Misconception(
            _hand("F minus E", 64**2 + 64 + 256**2 + 256), "Every kernel has 3·3 weights."
        ),
        "the total": Misconception(
            _hand("F minus E", 143_667_240 + 627_008),
            "That is all of F. How many parameters more than E has it?",
        ),
        "minus kernel": Misconception(
            _hand("positions", (12 - 7) * (16 - 7)),
            "One short on both axes: a kernel of 7 fits into 12 places at 12 - 7 + 1 positions.",
        ),
        "map size": Misconception(
            _hand("positions", 12 * 16),
            "That is the map in front of the 7×7 kernel, which has no padding.",
        ),
        "pixels": Misconception(
            _hand("positions", (384 - 223) * (512 - 223)),
            "The windows of 224×224 do not start at each pixel: five poolings make steps of 32.",
        ),
        "whole windows": Misconception(
            _hand("positions", 2),
            "The windows overlap: they start every 32 pixels, not every 224.",
        ),
        "no half": Misconception(
            _hand("factor", math.sqrt(9 * 256 * 1e-4)),
            "The ½ of (13.2) is missing: ReLU lets half of the second moment through.",
        ),
        "variance": Misconception(
            _hand("factor", 9 * 256 * 1e-4 / 2),
            "That is the growth of the second moment. The deviation is its root.",
        ),
        "variance 0.01": Misconception(
            _hand("factor", math.sqrt(9 * 256 * 1e-2 / 2)),
            "0.01 is the deviation here, so the variance is 0.0001.",
        ),
        "channels only": Misconception(
            _hand("factor", math.sqrt(256 * 1e-4 / 2)), "A unit has 3·3·256 inputs, not 256."
        ),
        "kernel only": Misconception(
            _hand("factor", math.sqrt(9 * 1e-4 / 2)), "A unit has 3·3·256 inputs, not 9."
        ),
    },
    rtol=2e-3,
)


# ---- 2. From a configuration to layers -------------------------------------------------------------------


def _layer_plan(configuration, in_channels, side):
    rows, C = [], in_channels
    for entry in configuration:
        if entry == "pool":
            side //= 2
            rows.append(("pool", C, side, 0))
        else:
            k, K = entry if isinstance(entry, tuple) else (3, entry)
            rows.append((f"{k}×{k}", K, side, K * (k * k * C + 1)))
            C = K
    return rows


def _plan_by_shapes(configuration, in_channels, side):
    """Another way: all channels first."""
    rows, channels = [], [in_channels]
    sides = [side >> list(configuration[: i + 1]).count("pool") for i in range(len(configuration))]
    for i, entry in enumerate(configuration):
        s = sides[i]
        if isinstance(entry, str):
            rows.append(["pool", channels[-1], s, 0])
            continue
        k = entry[0] if isinstance(entry, tuple) else 3
        channels.append(entry[1] if isinstance(entry, tuple) else entry)
        rows.append([f"{k}×{k}", channels[-1], s, channels[-1] * channels[-2] * k * k + channels[-1]])
    return rows


def _plan_with(
    parameters: Callable[[int, int, int], int] = lambda C, K, k: K * (k * k * C + 1),
    halve: Callable[[int], int] = lambda side: side // 2,
    shrink: bool = False,
    keep_channels: bool = False,
    ones: bool = True,
    before: bool = False,
    pool_parameters: bool = False,
) -> Callable:
    """A plan with one thing done differently."""

    def plan(configuration, in_channels, side):
        rows, C = [], in_channels
        for entry in configuration:
            if entry == "pool":
                old, side = side, halve(side)
                rows.append(("pool", C, old if before else side, 4 * C if pool_parameters else 0))
                continue
            k, K = entry if isinstance(entry, tuple) else (3, entry)
            k = k if ones else 3
            side -= k - 1 if shrink else 0
            rows.append((f"{k}×{k}", K, side, parameters(C, K, k)))
            C = in_channels if keep_channels else K
        return rows

    return plan


def _plan_cases(rng) -> list[Case]:
    a, b, c = (int(n) for n in rng.permutation(np.arange(5, 40))[:3])
    odd = 2 * int(rng.integers(16, 24)) + 1
    return [
        Case("one layer", 0.4, ((a,), 3, 24)),
        Case("a stage of two layers", 0.5, ((a, b, "pool"), 3, 30)),
        Case("two stages, an odd side", 0.6, ((a, "pool", b, c, "pool"), 2, odd)),
        Case("1×1 kernels, as in column C", 0.5, (("pool", a, b, (1, c), "pool", (1, a), b), 1, odd + 1)),
    ]


layer_plan = Task(
    name="ex13.layer_plan",
    title="2 · From a configuration to layers",
    section="13.2 Five columns; 13.3 Counting",
    reference=_layer_plan,
    cases=_plan_cases,
    misconceptions={
        "channels stay": Misconception(
            _plan_with(keep_channels=True),
            "Each layer reads in_channels. Behind a layer with K filters there are K channels.",
        ),
        "no biases": Misconception(
            _plan_with(lambda C, K, k: K * k * k * C), "The biases are missing: one for each filter."
        ),
        "one bias": Misconception(
            _plan_with(lambda C, K, k: K * k * k * C + 1), "One bias for a whole layer? Every filter has one."
        ),
        "bias a channel": Misconception(
            _plan_with(lambda C, K, k: K * k * k * C + C),
            "As many biases as there are filters, not as many as input channels.",
        ),
        "square of K": Misconception(
            _plan_with(lambda C, K, k: K * (k * k * K + 1)),
            "The depth of a filter is the number of channels that come in, not that of its own layer.",
        ),
        "one filter": Misconception(
            _plan_with(lambda C, K, k: k * k * C + 1), "Those are the parameters of one filter of the layer."
        ),
        "kernel side": Misconception(
            _plan_with(lambda C, K, k: K * (k * C + 1)), "A square kernel has k·k taps, not k."
        ),
        "1×1 as 3×3": Misconception(
            _plan_with(ones=False), "A pair (1, K) is a layer with 1×1 kernels: its first number is the side."
        ),
        "shrinking": Misconception(
            _plan_with(shrink=True), "The layers have padding: height and width stay. Only poolings halve."
        ),
        "round up": Misconception(
            _plan_with(halve=lambda side: (side + 1) // 2), "A pooling of an odd side rounds down."
        ),
        "no halving": Misconception(_plan_with(halve=lambda side: side), "A pooling halves the side."),
        "not whole": Misconception(
            _plan_with(halve=lambda side: side / 2), "There are no half pixels: a pooling rounds down."
        ),
        "side before": Misconception(
            _plan_with(before=True), "The row of a pooling holds the side behind it, not before it."
        ),
        "pooling learns": Misconception(_plan_with(pool_parameters=True), "A pooling has no parameters."),
        "letter x": Misconception(
            lambda configuration, in_channels, side: [
                (row[0].replace("×", "x"), *row[1:]) for row in _layer_plan(configuration, in_channels, side)
            ],
            "The names have the sign ×, not the letter x. Copy it from the docstring.",
        ),
        "no pooling rows": Misconception(
            lambda configuration, in_channels, side: [
                row for row in _layer_plan(configuration, in_channels, side) if row[0] != "pool"
            ],
            "The rows of the poolings are missing.",
        ),
    },
    alternatives={"channels first": _plan_by_shapes},
)


# ---- 3. A dense layer over a larger map ------------------------------------------------------------------


def _score_map(maps, weight, bias, height, width):
    import torch.nn.functional as F

    kernel = weight.reshape(len(weight), maps.shape[1], height, width)
    return F.conv2d(maps, kernel, bias)


def _by_windows(maps, weight, bias, height, width):
    """The dense layer on one window after the other."""
    import torch

    rows, columns = maps.shape[2] - height + 1, maps.shape[3] - width + 1
    out = maps.new_zeros(len(maps), len(weight), rows, columns)
    for i in range(rows):
        for j in range(columns):
            window = maps[:, :, i : i + height, j : j + width].flatten(1)
            out[:, :, i, j] = torch.addmm(bias, window, weight.T)
    return out


def _by_unfold(maps, weight, bias, height, width):
    import torch.nn.functional as F

    columns = F.unfold(maps, (height, width))
    shape = (maps.shape[2] - height + 1, maps.shape[3] - width + 1)
    return (weight @ columns + bias[:, None]).unflatten(2, shape)


def _other_kernel(kernel: Callable) -> Callable:
    """A score map whose kernel is made from (weight, C, height, width) by `kernel`."""

    def score_map(maps, weight, bias, height, width):
        import torch.nn.functional as F

        return F.conv2d(maps, kernel(weight, maps.shape[1], height, width), bias)

    return score_map


def _other_convolution(**options) -> Callable:
    def score_map(maps, weight, bias, height, width):
        import torch.nn.functional as F

        chosen = {key: value(height, width) for key, value in options.items()}
        kernel = weight.reshape(len(weight), maps.shape[1], height, width)
        return F.conv2d(maps, kernel, bias, **chosen)

    return score_map


def _map_cases(rng) -> list[Case]:
    def case(label: str, points: float, N: int, C: int, K: int, window: tuple, map_size: tuple) -> Case:
        weight, bias = rng.normal(size=(K, C * window[0] * window[1])), rng.normal(size=K)
        return Case(label, points, (rng.normal(size=(N, C, *map_size)), weight, bias, *window))

    return [
        case("a map of the size that it was made for", 0.5, 2, 3, 4, (4, 4), (4, 4)),
        case("a larger map", 0.5, 1, 4, 3, (3, 3), (5, 8)),
        case("a window that is not square", 0.6, 2, 3, 5, (2, 4), (6, 7)),
        case("a window of one pixel", 0.4, 2, 6, 4, (1, 1), (3, 5)),
    ]


score_map = Task(
    name="ex13.score_map",
    title="3 · A dense layer over a larger map",
    section="13.5 A dense layer is a convolution",
    reference=_score_map,
    cases=_map_cases,
    misconceptions={
        "channels last": Misconception(
            _other_kernel(lambda w, C, h, k: w.reshape(len(w), h, k, C).permute(0, 3, 1, 2)),
            "The order is wrong: a flattened map runs over channels first, then rows, then columns.",
        ),
        "transposed window": Misconception(
            _other_kernel(lambda w, C, h, k: w.reshape(len(w), C, k, h).transpose(2, 3)),
            "Rows and columns of the kernel are exchanged: reshape to (units, C, height, width).",
        ),
        "transposed kernel": Misconception(
            _other_kernel(lambda w, C, h, k: w.reshape(len(w), C, h, k).flip(1)),
            "The channels are in reverse order.",
        ),
        "flipped": Misconception(
            _other_kernel(lambda w, C, h, k: w.reshape(len(w), C, h, k).flip(2, 3)),
            "You flipped the kernel. The layer of PyTorch correlates, as the dense layer does: no flip.",
        ),
        "mixed axes": Misconception(
            _other_kernel(lambda w, C, h, k: w.T.reshape(len(w), C, h, k)),
            "The weight was transposed before the reshape: its rows, one a unit, must stay rows.",
        ),
        "no bias": Misconception(
            lambda maps, weight, bias, h, k: _score_map(maps, weight, 0 * bias, h, k),
            "The bias is missing: every unit adds its own at each position.",
        ),
        "padding": Misconception(
            _other_convolution(padding=lambda h, w: (h // 2, w // 2)),
            "No padding: the kernel stands only where all of its window lies in the map.",
        ),
        "stride": Misconception(
            _other_convolution(stride=lambda h, w: (h, w)),
            "The windows overlap: the kernel moves by one position, not by its own size.",
        ),
        "averaged": Misconception(
            lambda *args: _score_map(*args).mean((2, 3)),
            "Two axes are missing: asked for is the map over all positions, not one number for each unit.",
        ),
        "cropped": Misconception(
            lambda maps, weight, bias, h, k: _score_map(maps[:, :, :h, :k], weight, bias, h, k),
            "You looked at the first window only: there is one for each position.",
        ),
        "pooled first": Misconception(
            lambda maps, weight, bias, h, k: _pooled(maps, weight, bias, h, k),
            "You brought the map to the old size by pooling. Let the layer slide over it instead.",
        ),
        "flat": Misconception(
            lambda *args: _score_map(*args).flatten(2),
            "The numbers are right, the shape is flat: (N, units, rows, columns).",
        ),
    },
    alternatives={"by windows": _by_windows, "by unfold": _by_unfold},
    tensors=True,
)


def _pooled(maps, weight, bias, height, width):
    import torch.nn.functional as F

    small = F.adaptive_avg_pool2d(maps, (height, width))
    return F.linear(small.flatten(1), weight, bias)[:, :, None, None]


# ---- 4. Find the bug: a stage ----------------------------------------------------------------------------


def _stage_output(x, weights, biases):
    import torch.nn.functional as F

    for i in range(len(weights)):
        x = F.relu(F.conv2d(x, weights[i], biases[i], padding=1))
    return F.max_pool2d(x, 2)


def _stage_modules(x, weights, biases):
    from torch import nn

    layers = []
    for weight, bias in zip(weights, biases, strict=True):
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1).to(weight.dtype)
        conv.load_state_dict({"weight": weight, "bias": bias})
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))(x)


def _stage_with(
    order: Callable = lambda n: list(range(n)), relu: str = "all", padding: int = 1, pool: str = "max"
) -> Callable:
    """A stage with one thing done differently; `order` lists which weights the layers use."""

    def stage_output(x, weights, biases):
        import torch.nn.functional as F

        used = order(len(weights))
        if pool == "first":
            x = F.max_pool2d(x, 2)
        for i, k in enumerate(used):
            x = F.conv2d(x, weights[k], biases[k], padding=padding)
            last = i == len(used) - 1
            x = F.relu(x) if relu == "all" or (relu == "last") == last else x
        if pool == "mean":
            return F.avg_pool2d(x, 2)
        return F.max_pool2d(x, 2) if pool == "max" else x

    return stage_output


def _stage_cases(rng) -> list[Case]:
    def case(label: str, points: float, C: int, K: int, count: int, size: tuple) -> Case:
        shapes = [(K, C if i == 0 else K, 3, 3) for i in range(count)]
        weights = [rng.normal(size=shape) / np.sqrt(9 * shape[1] / 2) for shape in shapes]
        biases = [rng.normal(size=K) for _ in range(count)]
        return Case(label, points, (rng.normal(size=(2, C, *size)), weights, biases))

    return [
        case("one layer", 0.2, 3, 5, 1, (8, 10)),
        case("two layers", 0.4, 2, 4, 2, (6, 8)),
        case("three layers", 0.5, 3, 4, 3, (10, 8)),
        case("four layers, as in column E", 0.4, 4, 3, 4, (8, 12)),
    ]


stage_output = Task(
    name="ex13.stage_output",
    title="4 · Find the bug: a stage",
    section="13.2 Five columns",
    reference=_stage_output,
    cases=_stage_cases,
    misconceptions={
        "shared": Misconception(
            _stage_with(lambda n: [0] + [n - 1] * (n - 1)),
            "From the second layer on all are one and the same: [layer] * n repeats one object, with one "
            "weight. Make a new layer in each turn.",
        ),
        "first repeated": Misconception(
            _stage_with(lambda n: [0] + [1] * (n - 1)),
            "From the third layer on the weights of the second are used again.",
        ),
        "two layers": Misconception(
            _stage_with(lambda n: list(range(min(n, 2)))),
            "There are never more than two layers: as many as count says.",
        ),
        "one layer more": Misconception(
            _stage_with(lambda n: [*range(n), n - 1]),
            "One layer too many: the first one, which changes the channels, counts.",
        ),
        "ReLU only at the end": Misconception(
            _stage_with(relu="last"), "A ReLU stands behind every convolution, not only behind the last."
        ),
        "no ReLU at the end": Misconception(
            _stage_with(relu="others"), "The ReLU behind the last convolution is missing."
        ),
        "no padding": Misconception(
            _stage_with(padding=0), "The sides shrink: 3×3 with padding 1 keeps them."
        ),
        "no pooling": Misconception(_stage_with(pool="none"), "The pooling at the end is missing."),
        "pooling first": Misconception(
            _stage_with(pool="first"), "The pooling stands behind the convolutions, not before them."
        ),
        "mean pooling": Misconception(_stage_with(pool="mean"), "VGG takes the maximum, not the mean."),
    },
    alternatives={"modules": _stage_modules},
    tensors=True,
)


# ---- 5. Experiment: which start survives -----------------------------------------------------------------

# 16 layers of 64 channels, 3×3, ReLU between them: the root mean square of the sums, its factor a layer, as
# the cell of the exercise measures it with its seed. By (13.2) the factors are 1, √½ and 0.17. The starts
# draw the same numbers and scale them, so all are off by the same 1%.
_FACTORS = {
    "He": 0.99018,
    "Glorot": 0.99018 * math.sqrt(1 / 2),
    "0.01": 0.99018 * math.sqrt(9 * 64 * 1e-4 / 2),
}
_MEASURED = _FACTORS | {
    "layers": math.ceil(math.log(1e-6) / math.log(_FACTORS["0.01"])),
    "with batch norm": 1.0,
    "rule": "d",
}
_NAMED = {name.replace("0.01", "deviation"): factor for name, factor in _FACTORS.items()}


def _measured(**wrong) -> Callable[[str], float | str]:
    changed = _MEASURED | {key.replace("_", " ").replace("deviation", "0.01"): v for key, v in wrong.items()}
    return changed.__getitem__


through_depth = Task(
    name="ex13.through_depth",
    title="5 · Experiment: which start survives",
    section="13.6 Deep networks that would not start",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("He's factor a layer", 0.3, ("He",)),
        Case("Glorot's factor a layer", 0.4, ("Glorot",)),
        Case("the factor with deviation 0.01", 0.4, ("0.01",)),
        Case("the layers to a millionth", 0.3, ("layers",)),
        Case("the factor with batch normalization", 0.3, ("with batch norm",)),
        Case("the rule", 0.3, ("rule",)),
    ],
    misconceptions={
        "whole stack": Misconception(
            _measured(**{name: f**15 for name, f in _NAMED.items()}),
            "That is the factor of the whole stack, which is 15 steps of one layer each.",
        ),
        "squared": Misconception(
            _measured(**{name: f**2 for name, f in _NAMED.items()}),
            "That is the factor of the mean square. The cell returns roots of it.",
        ),
        "formula": Misconception(
            _measured(He=1.0, Glorot=math.sqrt(1 / 2), deviation=math.sqrt(9 * 64 * 1e-4 / 2)),
            "That is what (13.2) says on the average, or too few digits. Asked for is what the cell "
            "measures in this network, with three digits or more.",
        ),
        "16th root": Misconception(
            _measured(**{name: f ** (15 / 16) for name, f in _NAMED.items() if name != "He"}),
            "Between 16 layers lie 15 steps: take the 15th root of last / first.",
        ),
        "mean of factors": Misconception(
            _measured(He=0.99383, Glorot=0.70275, deviation=0.16866),
            "You averaged the 15 factors. Factors multiply: take the 15th root of last / first.",
        ),
        "first step": Misconception(
            _measured(He=1.03479, Glorot=0.73171, deviation=0.17561),
            "That is the factor from the first layer to the second. Take all 15 steps: one differs from the "
            "next.",
        ),
        "a fifteenth": Misconception(
            _measured(**{name: f**15 / 15 for name, f in _NAMED.items()}),
            "Factors multiply. Take a root of last / first; dividing it averages a sum.",
        ),
        "upside down": Misconception(
            _measured(**{name: 1 / f for name, f in _NAMED.items()}),
            "Upside down: the last layer divided by the first.",
        ),
        "no ReLU": Misconception(
            _measured(He=1.4165, Glorot=1.0016, deviation=0.24039),
            "Those would be the factors without ReLU between the layers. Run the cell as it is.",
        ),
        "one layer short": Misconception(
            _measured(layers=_MEASURED["layers"] - 1),
            "After so many factors the signal is still above a millionth of the first one.",
        ),
        "one layer more": Misconception(
            _measured(layers=_MEASURED["layers"] + 1), "It falls below a millionth before that."
        ),
        "layers to a thousandth": Misconception(
            _measured(layers=4),
            "After so many steps a thousandth is left. A millionth is a thousandth of that.",
        ),
        "Glorot's layers": Misconception(
            _measured(layers=40), "That is how far Glorot's start reaches. Asked for was deviation 0.01."
        ),
        "batch norm does nothing": Misconception(
            _measured(with_batch_norm=_FACTORS["0.01"]),
            "With batch normalization the sums are divided by their own deviation, before the next layer.",
        ),
        "rule a": Misconception(
            _measured(rule="a"),
            "Look at the gradients once more: with deviation 0.01 all layers get next to nothing, not only "
            "the first ones.",
        ),
        "rule b": Misconception(
            _measured(rule="b"),
            "Glorot's start loses a factor in each layer, too. It is a question of depth.",
        ),
        "rule c": Misconception(
            _measured(rule="c"),
            "The factor of a layer does not grow with the depth; that of the whole stack is its power.",
        ),
    },
    rtol=2e-3,
)


TASKS = (by_hand, layer_plan, score_map, stage_output, through_depth)
