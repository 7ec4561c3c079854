"""Exercise 8, what a layer costs: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. Costs by hand ------------------------------------------------------------------------------------

# AlexNet's second layer: 96 to 256 channels, 5×5, 2 groups, bias. The first of ResNet: 3 to 64 channels,
# 7×7, stride 2, 224×224 to 112×112. A separable 3×3 layer from 128 to 256 channels, no biases. A dense layer
# without bias from 2048 to 500, 16 pictures, float32.
_DENSE = {"input": 16 * 2048, "weights": 2048 * 500, "output": 16 * 500}
_BY_HAND = {
    "parameters": 256 * (96 // 2) * 5 * 5 + 256,
    "multiply-adds": 112 * 112 * 64 * 3 * 7 * 7,
    "bytes": 4 * 32 * 64 * 112 * 112,
    "separable": 3 * 3 * 128 + 128 * 256,
    "intensity": 16 * 2048 * 500 / (4 * sum(_DENSE.values())),
}


def _with(values: dict, **wrong) -> Callable[[str], float]:
    """The right numbers, but for those given (one underscore stands for a space, two for a hyphen)."""
    changed = values | {k.replace("__", "-").replace("_", " "): value for k, value in wrong.items()}
    return lambda key: changed[key]


def _hand(**wrong) -> Callable[[str], float]:
    return _with(_BY_HAND, **wrong)


def _dense_intensity(*parts: str) -> float:
    """Multiply-adds for each byte, if nothing but these parts moves."""
    return 16 * 2048 * 500 / (4 * sum(_DENSE[part] for part in parts))


by_hand = Task(
    name="ex08.by_hand",
    title="1 · Costs by hand",
    section="8.2 Counting; 8.6 Memory, and VGG-16; 8.7 Moving numbers; 8.8 Depthwise-separable convolutions",
    reference=_BY_HAND.__getitem__,
    cases=lambda rng: [
        Case("the parameters of the grouped layer", 0.5, ("parameters",)),
        Case("the multiply-adds with stride 2", 0.5, ("multiply-adds",)),
        Case("the bytes of its output", 0.5, ("bytes",)),
        Case("the separable layer", 0.5, ("separable",)),
        Case("the intensity of the dense layer", 0.5, ("intensity",)),
    ],
    misconceptions={
        "groups multiply": Misconception(
            _hand(parameters=256 * 96 * 2 * 25 + 256),
            "You multiplied by the groups. Each filter reads the channels of its own group alone: divide.",
        ),
        "groups ignored": Misconception(
            _hand(parameters=256 * 96 * 25 + 256),
            "Those are the parameters of a layer without groups: how many channels does one filter read?",
        ),
        "groups divide twice": Misconception(
            _hand(parameters=128 * 48 * 25 + 256),
            "That is one of the groups. All filters count; the groups divide only the depth of each.",
        ),
        "one group": Misconception(
            _hand(parameters=128 * 48 * 25 + 128), "Those are the parameters of one group. There are two."
        ),
        "bias forgotten": Misconception(
            _hand(parameters=256 * 48 * 25),
            "Those are the weights. The layer has a bias, and biases are parameters.",
        ),
        "one bias": Misconception(
            _hand(parameters=256 * 48 * 25 + 1), "One bias for the whole layer? Every filter has its own."
        ),
        "input positions": Misconception(
            _hand(multiply__adds=224 * 224 * 64 * 3 * 49),
            "You counted the positions of the input. A filter works once for each position of the output.",
        ),
        "FLOPs": Misconception(
            _hand(multiply__adds=2 * 112 * 112 * 64 * 3 * 49),
            "Twice too many. A multiplication and its addition count once, and stride 2 halves both sides.",
        ),
        "whole batch": Misconception(
            _hand(multiply__adds=32 * 112 * 112 * 64 * 3 * 49),
            "That is the work of 32 pictures. Asked for is that of one.",
        ),
        "rounded": Misconception(
            _hand(multiply__adds=118e6, bytes=102.8e6),
            "Rounded to millions? Write the product itself and let Python multiply.",
        ),
        "bias multiplied": Misconception(
            _hand(multiply__adds=112 * 112 * 64 * (3 * 49 + 1)),
            "A bias is added, not multiplied: it is no multiply-add, and this layer has none.",
        ),
        "one channel": Misconception(
            _hand(multiply__adds=112 * 112 * 64 * 49), "A filter is as deep as its input, here 3 channels."
        ),
        "one filter": Misconception(
            _hand(multiply__adds=112 * 112 * 3 * 49), "That is the work of one filter. How many are there?"
        ),
        "elements": Misconception(
            _hand(bytes=32 * 64 * 112 * 112),
            "That is how many numbers there are. A float32 takes 4 bytes.",
        ),
        "bits": Misconception(_hand(bytes=32 * 32 * 64 * 112 * 112), "That is in bits. 32 bits are 4 bytes."),
        "elements of one picture": Misconception(
            _hand(bytes=64 * 112 * 112),
            "Those are the numbers of one picture: the batch and the bytes of a number are missing.",
        ),
        "float64": Misconception(
            _hand(bytes=8 * 32 * 64 * 112 * 112), "That would be float64. A float32 takes 4 bytes."
        ),
        "MiB": Misconception(
            _hand(bytes=32 * 64 * 112 * 112 / 2**18), "That is in MiB, units of 1024 · 1024. Give bytes."
        ),
        "one picture": Misconception(
            _hand(bytes=4 * 64 * 112 * 112),
            "That is one picture. Activations are made for each picture of the batch.",
        ),
        "bytes of the input": Misconception(
            _hand(bytes=4 * 32 * 3 * 224 * 224), "That is the layer's input. Asked for was its output."
        ),
        "kernel for each output channel": Misconception(
            _hand(separable=9 * 256 + 128 * 256),
            "The depthwise part has one kernel for each input channel, not for each output channel.",
        ),
        "depthwise only": Misconception(
            _hand(separable=9 * 128),
            "That is the depthwise part. The 1×1 layer behind it is missing.",
        ),
        "pointwise only": Misconception(
            _hand(separable=128 * 256), "That is the 1×1 part. The depthwise layer before it is missing."
        ),
        "not separable": Misconception(
            _hand(separable=9 * 128 * 256), "That is the full 3×3 layer: every filter has a kernel a channel."
        ),
        "biases added": Misconception(
            _hand(separable=9 * 128 + 128 * 256 + 128 + 256), "These two layers have no biases."
        ),
        "biases of the 1×1": Misconception(
            _hand(separable=9 * 128 + 128 * 256 + 256), "Asked for are weights: leave the 256 biases out."
        ),
        "operations a byte": Misconception(
            _hand(intensity=2 * _BY_HAND["intensity"]),
            "That is in operations for each byte. The chapter counts multiply-adds, half as many.",
        ),
        "numbers, not bytes": Misconception(
            _hand(intensity=4 * _BY_HAND["intensity"]),
            "You divided by how many numbers move. Each of them takes four bytes.",
        ),
        "weights alone move": Misconception(
            _hand(intensity=_dense_intensity("weights")),
            "Near, but the weights are not all that moves: the input comes and the output goes.",
        ),
        "output does not move": Misconception(
            _hand(intensity=_dense_intensity("input", "weights")),
            "Near, but the output is missing: it has to be written to memory.",
        ),
        "input does not move": Misconception(
            _hand(intensity=_dense_intensity("weights", "output")),
            "Near, but the input is missing: it has to be read from memory.",
        ),
        "weights for each picture": Misconception(
            _hand(intensity=2048 * 500 / (4 * (2048 + 2048 * 500 + 500))),
            "That is the intensity for one picture. The weights are read once for the whole batch.",
        ),
        "bytes for each multiply-add": Misconception(
            _hand(intensity=1 / _BY_HAND["intensity"]), "Upside down: multiply-adds divided by bytes."
        ),
    },
    rtol=2e-3,
)


# ---- 2. The cost of a convolution layer ------------------------------------------------------------------


def _layer_cost(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
    C, H, W = in_shape
    OH = (H + 2 * padding - kernel_size) // stride + 1
    OW = (W + 2 * padding - kernel_size) // stride + 1
    weights = out_channels * (C // groups) * kernel_size**2
    parameters = weights + out_channels * bias
    return parameters, OH * OW * weights, out_channels * OH * OW


def _by_windows(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
    """Counting where windows start."""
    C, H, W = in_shape
    rows = len(range(-padding, H + padding - kernel_size + 1, stride))
    columns = len(range(-padding, W + padding - kernel_size + 1, stride))
    one_filter = kernel_size * kernel_size * len(range(0, C, groups))
    parameters = out_channels * (one_filter + 1 if bias else one_filter)
    outputs = rows * columns * out_channels
    return np.array([parameters, outputs * one_filter, outputs])


def _changed(change: Callable) -> Callable:
    """The right costs (parameters, work, outputs), rearranged by `change`, which gets the arguments too."""

    def cost(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
        right = _layer_cost(in_shape, out_channels, kernel_size, stride, padding, groups, bias)
        return change(*right, in_shape, out_channels, kernel_size, groups, bias)

    return cost


def _ignoring(**fixed) -> Callable:
    """Costs that do not look at some of the arguments."""
    return lambda in_shape, out_channels, kernel_size, **options: _layer_cost(
        in_shape, out_channels, kernel_size, **(options | fixed)
    )


def _groups_wrong(depth: Callable[[int, int], int]) -> Callable:
    """Costs where a filter reads `depth(C, groups)` channels."""

    def cost(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
        C, H, W = in_shape
        shape = (depth(C, groups), H, W)
        return _layer_cost(shape, out_channels, kernel_size, stride, padding, 1, bias)

    return cost


def _steps(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
    """The steps between windows counted instead of the windows."""
    C, H, W = in_shape
    shape = (C, H - stride, W - stride)
    return _layer_cost(shape, out_channels, kernel_size, stride, padding, groups, bias)


def _rounded_up(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
    C, H, W = in_shape
    shape = (C, H + stride - 1, W + stride - 1)
    return _layer_cost(shape, out_channels, kernel_size, stride, padding, groups, bias)


def _one_side_padded(in_shape, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True):
    C, H, W = in_shape
    return _layer_cost(
        (C, H - padding, W - padding), out_channels, kernel_size, stride, padding, groups, bias
    )


def _square(in_shape, *args, **options):
    C, H, _ = in_shape
    return _layer_cost((C, H, H), *args, **options)


def _cost_cases(rng) -> list[Case]:
    h, w = int(rng.integers(17, 25)), int(rng.integers(29, 41))  # never equal
    even = 2 * int(rng.integers(9, 13))
    return [
        Case("a plain 3×3 layer", 0.5, ((5, h, w), 7, 3)),
        Case("padding", 0.5, ((4, h, w), 6, 5), {"padding": 2}),
        Case("stride and padding", 0.5, ((3, even, w), 8, 3), {"stride": 2, "padding": 1}),
        Case("groups, no bias", 0.5, ((12, h, w), 8, 2), {"groups": 4, "bias": False, "stride": 3}),
        Case("depthwise with bias", 0.5, ((6, h, even + 9), 6, 3), {"groups": 6, "padding": 1}),
    ]


layer_cost = Task(
    name="ex08.layer_cost",
    title="2 · The cost of a convolution layer",
    section="8.2 Counting; 8.6 Memory, and VGG-16",
    reference=_layer_cost,
    cases=_cost_cases,
    misconceptions={
        "groups multiply": Misconception(
            _groups_wrong(lambda C, groups: C * groups),
            "You multiply by the groups. A filter reads C / groups channels: groups make a layer cheaper.",
        ),
        "groups ignored": Misconception(
            _ignoring(groups=1), "The argument groups has no effect: a filter reads C / groups channels."
        ),
        "groups divide twice": Misconception(
            _changed(
                lambda p, work, out, shape, K, k, g, bias: (
                    p // g if not bias else (p - K) // g + K,
                    work // g,
                    out,
                )
            ),
            "Divided by the groups twice: the depth of a filter is C / groups, but all filters remain.",
        ),
        "bias forgotten": Misconception(
            _ignoring(bias=False), "The biases are missing: out_channels of them where bias is true."
        ),
        "bias always": Misconception(_ignoring(bias=True), "With bias=False there are no biases to count."),
        "one bias": Misconception(
            _changed(lambda p, work, out, shape, K, k, g, bias: (p - (K - 1) * bias, work, out)),
            "One bias for the whole layer? Every filter has its own.",
        ),
        "bias for each channel": Misconception(
            _changed(lambda p, work, out, shape, K, k, g, bias: (p + (shape[0] - K) * bias, work, out)),
            "As many biases as there are filters, out_channels, not as many as input channels.",
        ),
        "bias is work": Misconception(
            _changed(lambda p, work, out, shape, K, k, g, bias: (p, work + out * bias, out)),
            "You counted the biases among the multiply-adds. They are added, not multiplied.",
        ),
        "input positions": Misconception(
            _changed(
                lambda p, work, out, shape, K, k, g, bias: (p, work // out * K * shape[1] * shape[2], out)
            ),
            "The multiply-adds take the positions of the input. A filter works once an output position.",
        ),
        "FLOPs": Misconception(
            _changed(lambda p, work, out, *_: (p, 2 * work, out)),
            "Twice the multiply-adds: those are operations. A multiplication and its addition count once.",
        ),
        "order": Misconception(
            _changed(lambda p, work, out, *_: (work, p, out)),
            "The order is wrong: return parameters, multiply-adds, outputs.",
        ),
        "same size": Misconception(
            _changed(
                lambda p, work, out, shape, K, k, g, bias: (
                    p,
                    work * K // out * shape[1] * shape[2],
                    K * shape[1] * shape[2],
                )
            ),
            "Your output is as large as the input. Its sides follow from kernel, stride and padding.",
        ),
        "work of one position": Misconception(
            _changed(lambda p, work, out, shape, K, k, g, bias: (p, work * K // out, out)),
            "The second number is the work at one position. Multiply it by the output positions.",
        ),
        "one map": Misconception(
            _changed(lambda p, work, out, shape, K, *_: (p, work, out // K)),
            "The third number counts one map. The output has out_channels of them.",
        ),
        "bytes": Misconception(
            _changed(lambda p, work, out, *_: (p, work, 4 * out)),
            "The third number looks like bytes. Return how many numbers the output holds.",
        ),
        "input counted": Misconception(
            _changed(lambda p, work, out, shape, *_: (p, work, shape[0] * shape[1] * shape[2])),
            "The third number counts the input. Asked for is how many numbers the output holds.",
        ),
        "padding ignored": Misconception(
            _ignoring(padding=0), "The argument padding has no effect: the windows slide over the zeros too."
        ),
        "one side padded": Misconception(
            _one_side_padded, "Padding p puts p zeros on each side, so each axis grows by 2p."
        ),
        "stride ignored": Misconception(
            _ignoring(stride=1), "The argument stride has no effect: it thins out the output positions."
        ),
        "no plus one": Misconception(
            _steps, "The fraction counts the steps between windows. There is one window more."
        ),
        "rounded up": Misconception(
            _rounded_up, "A window that would stick out at the end is left out: round down."
        ),
        "square": Misconception(_square, "Height and width differ: use both of them."),
        "kernel side": Misconception(
            _changed(
                lambda p, work, out, shape, K, k, g, bias: ((p - K * bias) // k + K * bias, work // k, out)
            ),
            "A square kernel has kernel_size² taps, not kernel_size.",
        ),
    },
    alternatives={"by windows": _by_windows},
)


# ---- 3. The widest bottleneck ----------------------------------------------------------------------------


def _widest(in_channels, out_channels, kernel_size):
    r = np.arange(1, in_channels + out_channels)
    weights = r * (in_channels + out_channels) + (kernel_size * r) ** 2
    return int((weights < kernel_size**2 * in_channels * out_channels).sum())


def _widest_by_trying(in_channels, out_channels, kernel_size):
    taps = kernel_size * kernel_size
    full = in_channels * taps * out_channels
    widths = range(1, in_channels + out_channels)
    return sum(in_channels * r + r * taps * r + r * out_channels < full for r in widths)


def _widest_with(weights: Callable[[int, int, int, int], int], tie: bool = False) -> Callable:
    """The widest r with `weights(C, K, k, r)` below those of the full layer."""

    def widest(in_channels, out_channels, kernel_size):
        full = kernel_size**2 * in_channels * out_channels
        below = (lambda n: n <= full) if tie else (lambda n: n < full)
        r = 0
        while below(weights(in_channels, out_channels, kernel_size, r + 1)) and r < 10 * full:
            r += 1
        return r

    return widest


def _bottleneck(C, K, k, r):
    return C * r + k * k * r * r + r * K


def _widest_cases(rng) -> list[Case]:
    C = int(rng.integers(40, 60))
    return [
        Case("3×3, more channels out than in", 0.5, (C, 7 * C + 3, 3)),
        Case("5×5, fewer channels out than in", 0.25, (7 * C + 1, C, 5)),
        Case("1×1", 0.25, (C, 4 * C + 5, 1)),
        Case("3×3, where one r saves exactly nothing", 0.25, (16, 35, 3)),
        Case("very few channels", 0.25, (4, 6, 1)),
    ]


widest_bottleneck = Task(
    name="ex08.widest_bottleneck",
    title="3 · The widest bottleneck that pays",
    section="8.3 Squeeze, work, restore",
    reference=_widest,
    cases=_widest_cases,
    misconceptions={
        "a tie pays": Misconception(
            _widest_with(_bottleneck, tie=True),
            "One too wide where the weights are equal: the bottleneck is to have fewer than the full layer.",
        ),
        "first that does not pay": Misconception(
            lambda *a: _widest(*a) + 1,
            "That is the first width that does not pay. Asked for is the last that does.",
        ),
        "1×1 layers forgotten": Misconception(
            _widest_with(lambda C, K, k, r: k * k * r * r),
            "The layers that reduce and restore are missing: they have weights too.",
        ),
        "restoring forgotten": Misconception(
            _widest_with(lambda C, K, k, r: C * r + k * k * r * r),
            "The 1×1 layer that restores the channels, r to out_channels, is missing.",
        ),
        "reducing forgotten": Misconception(
            _widest_with(lambda C, K, k, r: r * K + k * k * r * r),
            "The 1×1 layer that reduces the channels, in_channels to r, is missing.",
        ),
        "inside linear": Misconception(
            _widest_with(lambda C, K, k, r: C * r + k * k * r + r * K),
            "The layer inside goes from r to r channels: k² r² weights, not k² r.",
        ),
        "inside 1×1": Misconception(
            _widest_with(lambda C, K, k, r: C * r + r * r + r * K),
            "The layer inside has kernels of k×k: k² r² weights.",
        ),
        "no layer inside": Misconception(
            _widest_with(lambda C, K, k, r: k * k * C * r + r * K),
            "That is a k×k layer to r channels and a 1×1 layer, as in (8.11): no bottleneck.",
        ),
        "restores to in_channels": Misconception(
            _widest_with(lambda C, K, k, r: 2 * C * r + k * k * r * r),
            "You count in_channels twice. The bottleneck ends with out_channels.",
        ),
        "both of out_channels": Misconception(
            _widest_with(lambda C, K, k, r: 2 * K * r + k * k * r * r),
            "You count out_channels twice. The bottleneck begins with in_channels.",
        ),
        "square layer": Misconception(
            lambda C, K, k: _widest(C, C, k),
            "out_channels has no effect: (8.4) is the case in which as many channels go in as come out.",
        ),
        "kernel side": Misconception(
            lambda C, K, k: max(
                (r for r in range(1, C + K) if r * (C + K) + k * k * r * r < k * C * K), default=0
            ),
            "The full layer has k² in_channels out_channels weights: the kernel is square.",
        ),
        "search ends at in_channels": Misconception(
            lambda C, K, k: min(_widest(C, K, k), C - 1),
            "The search ends too early: r may exceed in_channels where out_channels is larger.",
        ),
        "not whole": Misconception(
            lambda C, K, k: (np.sqrt((C + K) ** 2 + 4 * k**4 * C * K) - C - K) / (2 * k * k),
            "That is where both sides are equal. Asked for is the last whole number before it.",
        ),
    },
    alternatives={"by trying": _widest_by_trying},
)


# ---- 4. Find the bug: the roofline of a network ----------------------------------------------------------


def _network_seconds(multiply_adds, moved, peak, bandwidth):
    arithmetic = multiply_adds / peak
    memory = moved / bandwidth
    return np.maximum(arithmetic, memory).sum()


def _seconds_loop(multiply_adds, moved, peak, bandwidth):
    return sum(max(multiply_adds[i] / peak, moved[i] / bandwidth) for i in range(len(moved)))


def _seconds_cases(rng) -> list[Case]:
    def layers(count: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        moved = rng.uniform(1e6, 9e6, count)
        return moved * np.exp(rng.uniform(np.log(low), np.log(high), count)), moved

    work, moved = layers(6, 0.3, 60)
    work[:2], work[2:4] = 0.4 * moved[:2], 50 * moved[2:4]  # some on each side of the ridge
    slow, fast = layers(3, 0.2, 0.4), layers(3, 20, 40)
    slow[1][1] = slow[1][0]
    slow[0][1], fast[0][1] = 4 * slow[1][1], 0.3 * fast[1][1]  # one on the other side of the ridge
    return [
        Case("six layers, some limited by memory", 1.0, (work, moved, 3e10, 1e10)),
        Case("three layers, two limited by memory", 0.25, (*slow, 2e10, 7e9)),
        Case("three layers, two limited by arithmetic", 0.25, (*fast, 2e10, 7e9)),
    ]


network_seconds = Task(
    name="ex08.network_seconds",
    title="4 · Find the bug: the least time of a network",
    section="8.7 Moving numbers",
    reference=_network_seconds,
    cases=_seconds_cases,
    misconceptions={
        "maximum of the sums": Misconception(
            lambda m, b, P, B: max(m.sum() / P, b.sum() / B),
            "The bug is still there: the layers run one after another, and each has its own limit.",
        ),
        "both times added": Misconception(
            lambda m, b, P, B: (m / P + b / B).sum(),
            "You add both times. The machine computes while it fetches: the longer of the two counts.",
        ),
        "minimum": Misconception(
            lambda m, b, P, B: np.minimum(m / P, b / B).sum(),
            "You take the shorter of the two times. A layer is done when both are over.",
        ),
        "slowest layer": Misconception(
            lambda m, b, P, B: np.maximum(m / P, b / B).max(),
            "That is the slowest layer. The layers run one after another: add their times.",
        ),
        "a time for each layer": Misconception(
            lambda m, b, P, B: np.maximum(m / P, b / B),
            "Those are the times of the layers. The network takes their sum.",
        ),
        "mean": Misconception(
            lambda m, b, P, B: np.maximum(m / P, b / B).mean(),
            "That is the mean of the layers: add them up.",
        ),
        "limits swapped": Misconception(
            lambda m, b, P, B: np.maximum(m / B, b / P).sum(),
            "The limits are swapped: multiply-adds go with the peak, bytes with the bandwidth.",
        ),
        "operations": Misconception(
            lambda m, b, P, B: np.maximum(2 * m / P, b / B).sum(),
            "The work is doubled. Work and peak are both given in multiply-adds.",
        ),
        "milliseconds": Misconception(
            lambda m, b, P, B: 1e3 * np.maximum(m / P, b / B).sum(),
            "A thousand times too many: return seconds, not milliseconds.",
        ),
        "numbers, not bytes": Misconception(
            lambda m, b, P, B: np.maximum(m / P, 4 * b / B).sum(),
            "The traffic is taken four times. It is given in bytes already.",
        ),
        "arithmetic alone": Misconception(
            lambda m, b, P, B: m.sum() / P, "The memory has no part in this: bytes take time too."
        ),
        "memory alone": Misconception(
            lambda m, b, P, B: b.sum() / B, "The arithmetic has no part in this: multiply-adds take time too."
        ),
    },
    alternatives={"loop": _seconds_loop},
)


# ---- 5. VGG-16 made separable ----------------------------------------------------------------------------

_PLAN = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool"]
_PLAN += [512, 512, 512, "pool", 512, 512, 512, "pool"]


def _features(separable: bool, side: int = 224) -> dict[str, int]:
    """Parameters, multiply-adds and outputs of the thirteen convolutions and five poolings of VGG-16."""
    sums = {"parameters": 0, "depthwise": 0, "1×1": 0, "full": 0, "activations": 0}
    C = 3
    for K in _PLAN:
        if K == "pool":
            side //= 2
            sums["activations"] += C * side * side
            continue
        if separable:
            sums["parameters"] += 9 * C + C * K + K
            sums["depthwise"] += side * side * 9 * C
            sums["1×1"] += side * side * C * K
            sums["activations"] += side * side * (C + K)
        else:
            sums["parameters"] += 9 * C * K + K
            sums["full"] += side * side * 9 * C * K
            sums["activations"] += side * side * K
        C = K
    return sums | {"multiply-adds": sums["depthwise"] + sums["1×1"] + sums["full"]}


_FULL, _SEPARABLE, _TALL = _features(False), _features(True), _features(True, 448)
_MEASURED = {
    "parameters": _FULL["parameters"] / _SEPARABLE["parameters"],
    "multiply-adds": _FULL["multiply-adds"] / _SEPARABLE["multiply-adds"],
    "activations": _SEPARABLE["activations"] / _FULL["activations"],
    "share of 1×1": _SEPARABLE["1×1"] / _SEPARABLE["multiply-adds"],
    "448": _TALL["multiply-adds"] / _SEPARABLE["multiply-adds"],
    "rule": "c",
}


def _measured(**wrong) -> Callable[[str], float | str]:
    return _with(_MEASURED, **wrong)


def _upside_down(*keys: str) -> Callable[[str], float | str]:
    return lambda key: 1 / _MEASURED[key] if key in keys else _MEASURED[key]


_WITH_DENSE = 123_642_856  # parameters of VGG-16's dense layers

separable_vgg = Task(
    name="ex08.separable_vgg",
    title="5 · Experiment: VGG-16 made separable",
    section="8.8 Depthwise-separable convolutions; 8.6 Memory, and VGG-16",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("parameters", 0.3, ("parameters",)),
        Case("multiply-adds", 0.3, ("multiply-adds",)),
        Case("activations", 0.4, ("activations",)),
        Case("the share of the 1×1 layers", 0.4, ("share of 1×1",)),
        Case("a larger picture", 0.2, ("448",)),
        Case("the rule", 0.4, ("rule",)),
    ],
    misconceptions={
        "two upside down": Misconception(
            _upside_down("parameters", "multiply-adds"),
            "How many times fewer: the full network divided by the separable one.",
        ),
        "activations upside down": Misconception(
            _upside_down("activations"),
            "The activations do not get fewer. How many times more has the separable network?",
        ),
        "activations unchanged": Misconception(
            _measured(activations=1.0),
            "The outputs have the same shape, but there are twice as many layers, each with an output.",
        ),
        "growth of the activations": Misconception(
            lambda key: _MEASURED[key] - 1 if key == "activations" else _MEASURED[key],
            "That is what came on top. How many times as many are there in all?",
        ),
        "counts": Misconception(
            _measured(parameters=_SEPARABLE["parameters"], multiply__adds=_SEPARABLE["multiply-adds"]),
            "That is the count itself. Divide that of the full network by it.",
        ),
        "activations doubled": Misconception(
            _measured(activations=2.0),
            "Not quite twice: the depthwise layer makes as many maps as go in, often fewer than come out, "
            "and the poolings remain. Measure.",
        ),
        "dense layers counted": Misconception(
            _measured(
                parameters=(_FULL["parameters"] + _WITH_DENSE) / (_SEPARABLE["parameters"] + _WITH_DENSE)
            ),
            "That is the whole of VGG-16. Compare the convolutional part, without the dense layers.",
        ),
        "nine times": Misconception(
            _measured(parameters=9.0, multiply__adds=9.0),
            "A factor of 9 is the limit for many filters. Measure what it is here.",
        ),
        "share of depthwise": Misconception(
            lambda key: 1 - _MEASURED[key] if key == "share of 1×1" else _MEASURED[key],
            "That is the share of the depthwise layers. Asked for was that of the 1×1 layers.",
        ),
        "share of parameters": Misconception(
            lambda key: (
                sum(C * K for C, K in _pairs()) / _SEPARABLE["parameters"]
                if key == "share of 1×1"
                else _MEASURED[key]
            ),
            "That is their share of the parameters. Asked for was their share of the multiply-adds.",
        ),
        "share of all": Misconception(
            lambda key: 1.0 if key == "share of 1×1" else _MEASURED[key],
            "Nearly, but the depthwise layers do some of the work. Two digits after the point will do.",
        ),
        "percent": Misconception(
            lambda key: 100 * _MEASURED[key] if key == "share of 1×1" else _MEASURED[key],
            "A share lies between 0 and 1; this looks like percent.",
        ),
        "side doubles": Misconception(
            lambda key: 2.0 if key == "448" else _MEASURED[key],
            "Twice the height and twice the width: how many times the positions?",
        ),
        "448 against the full network": Misconception(
            lambda key: _TALL["multiply-adds"] / _FULL["multiply-adds"] if key == "448" else _MEASURED[key],
            "You divided by the full network. Compare the separable network with itself at 224 pixels.",
        ),
        "picture does not count": Misconception(
            lambda key: 1.0 if key == "448" else _MEASURED[key],
            "The parameters stay. The multiply-adds are made at each output position.",
        ),
        "rule a": Misconception(
            _measured(rule="a"), "Look at the activations again: do they fall together with the rest?"
        ),
        "rule b": Misconception(
            _measured(rule="b"), "Look at your share of the 1×1 layers: where is the work that remains?"
        ),
        "rule d": Misconception(
            _measured(rule="d"), "Compare both networks at 448 pixels as well: does the ratio change much?"
        ),
    },
    rtol=5e-3,
)


def _pairs() -> list[tuple[int, int]]:
    """Channels in and out of the thirteen convolutions."""
    return list(pairwise([3, *(K for K in _PLAN if K != "pool")]))


TASKS = (by_hand, layer_cost, widest_bottleneck, network_seconds, separable_vgg)
