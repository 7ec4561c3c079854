"""Exercise 3, the convolution layer: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. A layer by hand ----------------------------------------------------------------------------------

# AlexNet's first layer: 96 filters of 11×11 with bias, stride 4, no padding, on 227×227 RGB pictures.
# A dilated layer: 3×3, dilation 5, padding 6, stride 2, on 32×32. A grouped one: 64 to 128 filters, 4 groups.
_LAYER = {
    "side": (227 - 11) // 4 + 1,
    "parameters": 96 * (11 * 11 * 3 + 1),
    "products": 55 * 55 * 96 * 11 * 11 * 3,
    "dilated side": (32 + 2 * 6 - 5 * (3 - 1) - 1) // 2 + 1,
    "grouped weights": 128 * (64 // 4) * 3 * 3,
}


def _layer_with(**wrong: int) -> Callable[[str], int]:
    """The right numbers, but for those given (underscores stand for spaces)."""
    values = _LAYER | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


layer = Task(
    name="ex03.layer",
    title="1 · Layers by hand",
    section="3.1 One filter, many channels; 3.3 Many filters, and a bias; 3.5 Stride: count the windows; "
    "3.7 Dilation, and the whole formula; 3.9 Groups",
    reference=_LAYER.__getitem__,
    cases=lambda rng: [
        Case("the side of AlexNet's first output", 0.4, ("side",)),
        Case("its parameters", 0.4, ("parameters",)),
        Case("its products for one picture", 0.4, ("products",)),
        Case("the dilated layer", 0.4, ("dilated side",)),
        Case("the grouped layer", 0.4, ("grouped weights",)),
    ],
    misconceptions={
        "no plus one": Misconception(
            _layer_with(side=54, products=54 * 54 * 96 * 363, dilated_side=16),
            "The fraction counts the steps between windows. There is one window more than there are steps.",
        ),
        "stride ignored": Misconception(
            _layer_with(side=217, products=217 * 217 * 96 * 363, dilated_side=34),
            "That many windows fit at stride 1. With stride s, only every s-th of them is taken.",
        ),
        "rounded up": Misconception(
            _layer_with(dilated_side=18),
            "You rounded up. A window that would stick out at the end is left out: round down.",
        ),
        "one side padded": Misconception(
            _layer_with(dilated_side=14),
            "Padding p puts p zeros on each side, so the row grows by 2p.",
        ),
        "padding ignored": Misconception(
            _layer_with(dilated_side=11), "The padding is missing: the window slides over the zeros as well."
        ),
        "dilation ignored": Misconception(
            _layer_with(dilated_side=21),
            "The taps are 5 pixels apart, so the window spans more than 3 pixels.",
        ),
        "span d times k": Misconception(
            _layer_with(dilated_side=15),
            "The window spans less than dilation times kernel size: k taps have k - 1 gaps.",
        ),
        "no bias": Misconception(
            _layer_with(parameters=96 * 363), "Those are the weights. The biases are parameters too."
        ),
        "one bias": Misconception(
            _layer_with(parameters=96 * 363 + 1), "One bias for the whole layer? Every filter has its own."
        ),
        "bias for each channel": Misconception(
            _layer_with(parameters=96 * 3 * 122),
            "You gave every slice of a filter a bias. A filter adds up all its slices and has one bias.",
        ),
        "bias at each position": Misconception(
            _layer_with(parameters=96 * 363 + 96 * 55 * 55),
            "The bias is shared like the weights: a filter adds the same number at every position.",
        ),
        "one channel deep": Misconception(
            _layer_with(parameters=96 * 122, products=55 * 55 * 96 * 121, grouped_weights=128 * 9),
            "You counted filters one channel deep. A filter is as deep as the channels that it reads.",
        ),
        "one filter": Misconception(
            _layer_with(parameters=364, products=55 * 55 * 363, grouped_weights=16 * 9),
            "That is one filter. How many are there?",
        ),
        "one position": Misconception(
            _layer_with(products=96 * 363),
            "That is the work at one position. The filters stop at every output position.",
        ),
        "every pixel a position": Misconception(
            _layer_with(products=227 * 227 * 96 * 363),
            "The filters do not stop at every pixel of the input: there are as many positions as outputs.",
        ),
        "sums counted too": Misconception(
            _layer_with(products=2 * 55 * 55 * 96 * 363),
            "You counted the additions as well. Asked for are the multiplications alone.",
        ),
        "parameters instead of products": Misconception(
            _layer_with(products=55 * 55 * 96 * 364),
            "The bias is added, not multiplied: it costs no product.",
        ),
        "grouped with bias": Misconception(
            _layer_with(grouped_weights=128 * 16 * 9 + 128),
            "This layer has no bias: count the weights alone.",
        ),
        "groups ignored": Misconception(
            _layer_with(grouped_weights=128 * 64 * 9), "Each filter reads only the channels of its own group."
        ),
        "groups divide twice": Misconception(
            _layer_with(grouped_weights=32 * 16 * 9),
            "That is one group. All 128 filters count; the groups divide only the depth of each.",
        ),
    },
)


# ---- 2. The SAME rule ------------------------------------------------------------------------------------


def _same(size, kernel_size, stride=1):
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel_size - size, 0)
    return outputs, total // 2, total - total // 2


def _same_with_total(total: Callable[[int, int, int, int], int]) -> Callable:
    """The rule with another number of zeros: `total(outputs, size, kernel_size, stride)`."""

    def rule(size, kernel_size, stride=1):
        outputs = -(-size // stride)
        zeros = total(outputs, size, kernel_size, stride)
        return outputs, zeros // 2, zeros - zeros // 2

    return rule


def _same_rounded_down(size, kernel_size, stride=1):
    outputs = size // stride
    total = max((outputs - 1) * stride + kernel_size - size, 0)
    return outputs, total // 2, total - total // 2


def _split(how: Callable[[int, int], tuple[int, int]]) -> Callable:
    """The right rule, with the zeros (before, after) rearranged by `how`."""

    def rule(size, kernel_size, stride=1):
        outputs, before, after = _same(size, kernel_size, stride)
        return outputs, *how(before, after)

    return rule


def _same_as_half_the_kernel(size, kernel_size, stride=1):
    """(k - 1) // 2 zeros on each side, and as many outputs as the stride allows then: padding of PyTorch."""
    half = (kernel_size - 1) // 2
    return (size + 2 * half - kernel_size) // stride + 1, half, half


def _same_cases(rng) -> list[Case]:
    n = 4 * int(rng.integers(3, 8))  # a multiple of 4
    return [
        Case("stride 1, odd kernel", 0.25, (n, 5)),
        Case("stride 1, even kernel", 0.25, (n + 1, 4)),
        Case("stride 2, a size it divides", 0.25, (n, 3, 2)),
        Case("stride 2, one pixel over", 0.25, (n + 1, 6, 2)),
        Case("stride 4, three pixels over", 0.25, (n + 3, 8, 4)),
        Case("stride wider than the kernel", 0.25, (n, 2, 4)),
    ]


def _same_by_trying(size, kernel_size, stride=1):
    outputs = len(range(0, size, stride))
    last, zeros = (outputs - 1) * stride, [0, 0]
    while last + kernel_size > size + sum(zeros):
        zeros[1 if zeros[0] == zeros[1] else 0] += 1
    return np.array([outputs, *zeros])


def _same_with_floats(size, kernel_size, stride=1):
    outputs = np.ceil(size / stride)
    total = np.maximum(0, (outputs - 1) * stride + kernel_size - size)
    return [outputs, np.floor(total / 2), np.ceil(total / 2)]


same_padding = Task(
    name="ex03.same_padding",
    title="2 · The SAME rule",
    section="3.8 Two conventions, and where they differ",
    reference=_same,
    cases=_same_cases,
    misconceptions={
        "padding=(k-1)//2": Misconception(
            _same_as_half_the_kernel,
            "That is padding=(k-1)//2. SAME promises size / stride outputs, rounded up, and pads for those.",
        ),
        "outputs of SAME, padding=(k-1)//2": Misconception(
            lambda size, kernel_size, stride=1: (-(-size // stride), *[(kernel_size - 1) // 2] * 2),
            "The number of outputs is right. The zeros are those of padding=(k-1)//2: how far does the last "
            "window reach?",
        ),
        "extra zero before": Misconception(
            _split(lambda before, after: (after, before)),
            "Right numbers, wrong order: where the zeros cannot be halved, the extra one stands after.",
        ),
        "same on both sides": Misconception(
            _split(lambda before, after: (before, before)),
            "Both sides got the same number of zeros. An odd total leaves one more for the side after.",
        ),
        "rounded up on both sides": Misconception(
            _split(lambda before, after: (after, after)),
            "Both sides got the larger half, one zero too many when the total is odd.",
        ),
        "total on both sides": Misconception(
            _split(lambda before, after: (before + after, before + after)),
            "You put the total on each side. It is to be split between them.",
        ),
        "all after": Misconception(
            _split(lambda before, after: (0, before + after)),
            "All zeros stand after. Half of them belong before.",
        ),
        "stride ignored": Misconception(
            _same_with_total(lambda outputs, size, kernel_size, stride: kernel_size - 1),
            "With stride 1, k - 1 zeros are right. With a larger stride, where does the last window start?",
        ),
        "not clipped": Misconception(
            _same_with_total(
                lambda outputs, size, kernel_size, stride: (outputs - 1) * stride + kernel_size - size
            ),
            "A negative number of zeros. Where the windows end inside the picture anyway, nothing is added.",
        ),
        "off by one": Misconception(
            _same_with_total(
                lambda outputs, size, kernel_size, stride: outputs * stride + kernel_size - size
            ),
            "The last of W' windows starts at (W' - 1) s: the first starts at 0.",
        ),
        "rounded down": Misconception(
            _same_rounded_down, "SAME rounds up: one pixel left over at the end starts one more window."
        ),
        "size kept": Misconception(
            lambda size, kernel_size, stride=1: (size, (kernel_size - 1) // 2, kernel_size // 2),
            "SAME keeps the size at stride 1 only. At stride s the output has about size / s columns.",
        ),
    },
    alternatives={"by trying": _same_by_trying, "with floats": _same_with_floats},
)


# ---- 3. The layer from scratch ---------------------------------------------------------------------------


def _conv2d(x, weight, bias, stride=1, padding=0):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    return np.einsum("ncijuv,mcuv->nmij", windows[:, :, ::stride, ::stride], weight) + bias[:, None, None]


def _conv2d_loops(x, weight, bias, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, _, H, W), (K, _, kh, kw) = x.shape, weight.shape
    y = np.empty((N, K, (H - kh) // stride + 1, (W - kw) // stride + 1))
    for n, m, i, j in np.ndindex(y.shape):
        top, left = i * stride, j * stride
        y[n, m, i, j] = (x[n, :, top : top + kh, left : left + kw] * weight[m]).sum() + bias[m]
    return y


def _conv2d_im2col(x, weight, bias, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (K, _, kh, kw) = x.shape, weight.shape
    columns = []
    for top in range(0, H - kh + 1, stride):
        for left in range(0, W - kw + 1, stride):
            columns.append(x[:, :, top : top + kh, left : left + kw].reshape(N, C * kh * kw))
    y = weight.reshape(K, C * kh * kw) @ np.stack(columns, axis=2) + bias[:, None]
    return y.reshape(N, K, -1, (W - kw) // stride + 1)


def _conv2d_float32(x, weight, bias, stride=1, padding=0):
    return _conv2d(x.astype("f4"), weight.astype("f4"), bias.astype("f4"), stride, padding)


def _padded(pads: Callable[[int], tuple[int, int]], mode: str = "constant") -> Callable:
    """A layer that lays `pads(padding)` = (before, after) around rows and columns."""

    def layer(x, weight, bias, stride=1, padding=0):
        padded = np.pad(x, ((0, 0), (0, 0), pads(padding), pads(padding)), mode=mode)
        return _conv2d(padded, weight, bias, stride)

    return layer


def _bias_times(count: Callable[[tuple], int]) -> Callable:
    """The bias added several times: once for each item that the sum runs over."""
    return lambda x, weight, bias, *a, **k: _conv2d(x, weight, bias * count(weight.shape), *a, **k)


def _stride_of_rows_only(x, weight, bias, stride=1, padding=0):
    y = _conv2d(x, weight, bias, 1, padding)
    return y[:, :, ::stride]


def _windows_at_i(x, weight, bias, stride=1, padding=0):
    """As many windows as the stride allows, but at 0, 1, 2, ... instead of 0, s, 2s, ..."""
    y = _conv2d(x, weight, bias, 1, padding)
    OH, OW = -(-y.shape[2] // stride), -(-y.shape[3] // stride)
    return y[:, :, :OH, :OW]


def _all_axes_padded(x, weight, bias, stride=1, padding=0):
    """np.pad(x, padding), which adds pictures and channels of zeros as well."""
    return _conv2d(np.pad(x, padding), weight, bias, stride)


def _not_padded(x, weight, bias, stride=1, padding=0):
    """x[n, c, i * stride + u - padding, ...] without padding: an index below 0 counts from the end."""
    (N, _, H, W), (K, _, kh, kw) = x.shape, weight.shape
    y = np.empty((N, K, (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1))
    for i, j in np.ndindex(y.shape[2:]):
        rows, columns = np.arange(kh) + i * stride - padding, np.arange(kw) + j * stride - padding
        y[:, :, i, j] = np.einsum("ncuv,mcuv->nm", x[:, :, rows[:, None], columns], weight) + bias
    return y


def _width_from(count: Callable[[tuple, tuple], int]) -> Callable:
    """A layer whose output has a width computed from the wrong sizes: `count(padded, kernel)` at stride 1."""

    def layer(x, weight, bias, stride=1, padding=0):
        padded = x.shape[2] + 2 * padding, x.shape[3] + 2 * padding
        OW = (count(padded, weight.shape[2:]) - 1) // stride + 1
        return _conv2d(x, weight, bias, stride, padding)[:, :, :, :OW]

    return layer


def _swapped_output(*args, **kwargs):
    return _conv2d(*args, **kwargs).swapaxes(2, 3)


def _swapped_kernel(x, weight, bias, *args, **kwargs):
    return _conv2d(x, weight.swapaxes(2, 3), bias, *args, **kwargs)


def _swapped_kernel_same_shape(x, weight, bias, *args, **kwargs):
    return _conv2d(x, weight.swapaxes(2, 3).reshape(weight.shape), bias, *args, **kwargs)


def _last_window_missing(x, weight, bias, stride=1, padding=0):
    """(H + 2p - k) // s positions, without the + 1."""
    return _conv2d(x, weight, bias, stride, padding)[:, :, :-1, :-1]


def _conv2d_cases(rng) -> list[Case]:
    x, w, b = rng.normal(size=(2, 3, 7, 10)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
    return [
        Case("one channel, one filter", 0.5, (x[:1, :1], w[:1, :1], b[:1])),
        Case("channels, filters, a batch", 0.5, (x, w, b)),
        Case("stride", 0.5, (x, w, b), {"stride": 3}),
        # One channel: with padded channels, too, most answers still run, and the hint can say what is wrong.
        Case("padding", 0.5, (x[:, :1], w[:, :1], b), {"padding": 1}),
        Case("stride and padding", 0.25, (x, w, b), {"stride": 2, "padding": 3}),
        # No window reaches the end: indices below 0 give numbers, those behind the end would raise.
        Case("a wide stride and padding", 0.25, (x, w, b), {"stride": 5, "padding": 2}),
    ]


conv2d = Task(
    name="ex03.conv2d",
    title="3 · A convolution layer from scratch",
    section="3.4 The layer, with all its indices; 3.5 Stride: count the windows; 3.6 Padding",
    reference=_conv2d,
    cases=_conv2d_cases,
    misconceptions={
        "kernel flipped": Misconception(
            lambda x, weight, *a, **k: _conv2d(x, weight[:, :, ::-1, ::-1], *a, **k),
            "You flipped the kernel: that is the true convolution of chapter 2. A layer does not flip.",
        ),
        "no bias": Misconception(
            lambda x, weight, bias, *a, **k: _conv2d(x, weight, 0 * bias, *a, **k),
            "The bias is missing: add bias[m] once to every number of map m.",
        ),
        "bias for each channel": Misconception(
            _bias_times(lambda shape: shape[1]),
            "The bias is added once for each channel: it belongs outside of the sum over channels.",
        ),
        "bias for each product": Misconception(
            _bias_times(lambda shape: shape[1] * shape[2] * shape[3]),
            "The bias is added with every product: it belongs outside of the sum, once per output number.",
        ),
        "bias for each tap": Misconception(
            _bias_times(lambda shape: shape[2] * shape[3]),
            "The bias is added once for each tap of the kernel: it belongs outside of that loop.",
        ),
        "bias subtracted": Misconception(
            lambda x, weight, bias, *a, **k: _conv2d(x, weight, -bias, *a, **k),
            "The bias is added, not subtracted.",
        ),
        "first bias only": Misconception(
            lambda x, weight, bias, *a, **k: _conv2d(x, weight, 0 * bias + bias[0], *a, **k),
            "Every filter got bias[0]: filter m has its own bias[m].",
        ),
        "first channel only": Misconception(
            lambda x, weight, *a, **k: _conv2d(x[:, :1], weight[:, :1], *a, **k),
            "Only channel 0 arrives in the output: sum over all channels.",
        ),
        "last channel only": Misconception(
            lambda x, weight, *a, **k: _conv2d(x[:, -1:], weight[:, -1:], *a, **k),
            "Only the last channel arrives in the output: add the channels up with +=, do not overwrite.",
        ),
        "channels averaged": Misconception(
            lambda x, weight, bias, *a, **k: _conv2d(x, weight / x.shape[1], bias, *a, **k),
            "You averaged over the channels: a layer adds them up.",
        ),
        "one slice for all channels": Misconception(
            lambda x, weight, *a, **k: _conv2d(x, np.repeat(weight[:, :1], x.shape[1], axis=1), *a, **k),
            "Every channel met the same slice of the filter: channel c meets weight[m, c].",
        ),
        "first filter only": Misconception(
            lambda x, weight, *a, **k: _conv2d(x, np.repeat(weight[:1], len(weight), axis=0), *a, **k),
            "All maps come from filter 0: map m needs weight[m].",
        ),
        "first picture only": Misconception(
            lambda x, *a, **k: _conv2d(np.repeat(x[:1], len(x), axis=0), *a, **k),
            "Every picture of the batch got the output of picture 0.",
        ),
        "kernel transposed": Misconception(
            _swapped_kernel,
            "Rows and columns of the kernel are swapped: weight[m, c, u, v] has its row u first.",
        ),
        "kernel reshaped": Misconception(
            _swapped_kernel_same_shape,
            "The numbers inside a kernel changed places: a filter as a row keeps the order (C, kh, kw).",
        ),
        "padding ignored": Misconception(
            lambda x, weight, bias, stride=1, padding=0: _conv2d(x, weight, bias, stride, 0),
            "The argument padding has no effect: lay that many zeros around each picture first.",
        ),
        "all axes padded": Misconception(
            _all_axes_padded,
            "The batch and the channels are padded as well: give np.pad a pair of numbers for each axis.",
        ),
        "not padded": Misconception(
            _not_padded,
            "An index below 0 reads from the other end of the picture: lay zeros around the pictures first.",
        ),
        "width from height": Misconception(
            _width_from(lambda padded, kernel: padded[0] - kernel[0] + 1),
            "The output is as wide as it is high: compute W' from W and kw.",
        ),
        "width with the kernel's height": Misconception(
            _width_from(lambda padded, kernel: padded[1] - kernel[0] + 1),
            "Columns are missing on the right: W' is computed with kw, the width of the kernel, not with kh.",
        ),
        "padding before only": Misconception(
            _padded(lambda p: (2 * p, 0)),
            "All zeros stand on the top and on the left: `padding` of them belong on each side.",
        ),
        "padding after only": Misconception(
            _padded(lambda p: (0, 2 * p)),
            "All zeros stand at the bottom and on the right: `padding` of them belong on each side.",
        ),
        "padding once, before": Misconception(
            _padded(lambda p: (p, 0)),
            "Only the top and the left are padded; the bottom and the right need zeros too.",
        ),
        "padding once, after": Misconception(
            _padded(lambda p: (0, p)),
            "Only the bottom and the right are padded; the top and the left need zeros too.",
        ),
        "padding repeats the edge": Misconception(
            _padded(lambda p: (p, p), mode="edge"),
            "You padded with copies of the edge: this layer pads with zeros.",
        ),
        "stride ignored": Misconception(
            lambda x, weight, bias, stride=1, padding=0: _conv2d(x, weight, bias, 1, padding),
            "The argument stride has no effect: window i starts at row i * stride.",
        ),
        "stride of rows only": Misconception(
            _stride_of_rows_only, "The stride acts on the rows but not on the columns."
        ),
        "windows not moved": Misconception(
            _windows_at_i,
            "The size is right, but the windows are those of stride 1: window i starts at row i * stride.",
        ),
        "last window missing": Misconception(
            _last_window_missing,
            "The last row and the last column of windows are missing: count the windows, not the steps.",
        ),
        "channels last": Misconception(
            lambda *a, **k: _conv2d(*a, **k).transpose(0, 2, 3, 1),
            "The numbers are right, in the order (N, H', W', K): return (N, K, H', W').",
        ),
        "output transposed": Misconception(
            _swapped_output, "Rows and columns of the output are swapped: return (N, K, H', W')."
        ),
        "filters before pictures": Misconception(
            lambda *a, **k: _conv2d(*a, **k).swapaxes(0, 1),
            "The numbers are right, in the order (K, N, H', W'): return (N, K, H', W').",
        ),
    },
    alternatives={"loops": _conv2d_loops, "im2col": _conv2d_im2col, "float32": _conv2d_float32},
)


# ---- 4. Find the bug: groups -----------------------------------------------------------------------------


def _block(q: int, groups: int, size: int) -> slice:
    """Where group q lies among `size` channels or filters: consecutive ones."""
    return slice(q * (size // groups), (q + 1) * (size // groups))


def _every(q: int, groups: int, size: int) -> slice:
    return slice(q, None, groups)


def _side_by_side(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts, axis=1)


def _grouped(x, weight, groups, *, channels=_block, filters=_block, join=_side_by_side):
    """Each group of filters on its group of channels. `channels` and `filters` pick them, `join` ends."""
    parts = []
    for q in range(groups):
        part = x[:, channels(q, groups, x.shape[1])]
        parts.append(_conv2d(part, weight[filters(q, groups, len(weight))], np.zeros(1)))
    return join(parts)


def _interleaved(parts: list[np.ndarray]) -> np.ndarray:
    stacked = np.stack(parts, axis=2)  # (N, K/g, g, H', W')
    return stacked.reshape(len(stacked), -1, *stacked.shape[3:])


def _grouped_cases(rng) -> list[Case]:
    # Groups, channels a group, and the sides of the kernel all differ, so that none can stand for another.
    x, w2 = rng.normal(size=(2, 6, 8, 11)), rng.normal(size=(8, 3, 5, 4))
    w3 = rng.normal(size=(9, 2, 4, 5))
    return [
        Case("2 groups of 3 channels and 4 filters", 0.75, (x, w2, 2)),
        Case("3 groups of 2 channels and 3 filters", 0.75, (x, w3, 3)),
    ]


def _grouped_as_dense(x, weight, groups):
    """One ordinary layer whose filters are zero outside of their group."""
    K, depth, kh, kw = weight.shape
    full = np.zeros((K, x.shape[1], kh, kw))
    for m in range(K):
        first = m // (K // groups) * depth
        full[m, first : first + depth] = weight[m]
    return _conv2d(x, full, np.zeros(K))


def _grouped_einsum(x, weight, groups):
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    windows = windows.reshape(len(x), groups, -1, *windows.shape[2:])
    filters = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.einsum("ngcijuv,gmcuv->ngmij", windows, filters)
    return y.reshape(-1, len(weight), *y.shape[3:])


grouped = Task(
    name="ex03.grouped",
    title="4 · Find the bug: a grouped convolution",
    section="3.9 Groups",
    reference=_grouped,
    cases=_grouped_cases,
    misconceptions={
        "channels interleaved": Misconception(
            lambda *a: _grouped(*a, channels=_every),
            "The bug is still there: group q reads the channels q, q + g, q + 2g, ... Which should it read?",
        ),
        "channels and filters interleaved": Misconception(
            lambda *a: _grouped(*a, channels=_every, filters=_every),
            "Channels and filters are now both picked every g-th: the groups are blocks of consecutive ones.",
        ),
        "filters interleaved": Misconception(
            lambda *a: _grouped(*a, filters=_every),
            "The channels are right. The filters of a group stand next to each other as well.",
        ),
        "always the first group": Misconception(
            lambda *a: _grouped(*a, channels=lambda q, groups, size: _block(0, groups, size)),
            "Every group reads the first block of channels: move on with q.",
        ),
        "last group first": Misconception(
            lambda *a: _grouped(*a, channels=lambda q, groups, size: _block(groups - 1 - q, groups, size)),
            "The blocks of channels are taken in reverse order: group 0 reads the first one.",
        ),
        "outputs interleaved": Misconception(
            lambda *a: _grouped(*a, join=_interleaved),
            "The right maps in the wrong order: all maps of group 0 come first, then those of group 1.",
        ),
        "groups added": Misconception(
            lambda *a: _grouped(*a, join=sum),
            "You added the outputs of the groups up. They stand side by side, as channels.",
        ),
        "groups joined as pictures": Misconception(
            lambda *a: _grouped(*a, join=np.concatenate),
            "The outputs are joined along axis 0, as if they were more pictures. Channels are axis 1.",
        ),
    },
    alternatives={"one masked layer": _grouped_as_dense, "einsum": _grouped_einsum},
)


# ---- 5. An instrument ------------------------------------------------------------------------------------


def _unread(size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> float:
    """The share of a square picture's pixels that no window reads."""
    starts = range(-padding, size + padding - dilation * (kernel_size - 1), stride)
    columns = {start + dilation * tap for start in starts for tap in range(kernel_size)}
    return 1 - (len(columns & set(range(size))) / size) ** 2


def _one_axis(share: float) -> float:
    """The share of unread columns, from that of unread pixels."""
    return 1 - (1 - share) ** 0.5


def _share(change: Callable[[float, int], float]) -> Callable:
    """The right share and the size of the picture, changed into another number."""
    return lambda size, *args, **options: change(_unread(size, *args, **options), size)


def _without(option: str) -> Callable:
    """`share_unread` that takes an argument and does not use it."""

    def share(size, kernel_size, **options):
        return _unread(size, kernel_size, **{key: value for key, value in options.items() if key != option})

    return share


def _reads_zeros(size, kernel_size, stride=1, padding=0, dilation=1):
    """The zeros of the padding counted as one pixel that is read."""
    share = _unread(size, kernel_size, stride, padding, dilation)
    return share - (1 / size**2 if padding else 0)


def _counts_last_row(size, kernel_size, stride=1, padding=0, dilation=1):
    """Windows may stick out at the end, as with a range that does not stop early enough."""
    starts = range(-padding, size + padding, stride)
    columns = {start + dilation * tap for start in starts for tap in range(kernel_size)}
    return 1 - (len(columns & set(range(size))) / size) ** 2


def _share_cases(rng) -> list[Case]:
    n = 12 * int(rng.integers(2, 4))  # a multiple of 3 and 4
    return [
        Case("a stride wider than the kernel", 0.2, (n + 2, 3), {"stride": 5}),
        Case("a stride that leaves a border", 0.2, (n + 2, 4), {"stride": 4}),
        Case("stride and padding", 0.2, (n + 3, 2), {"stride": 4, "padding": 2}),
        Case("stride, padding and dilation", 0.2, (n + 1, 3), {"stride": 4, "padding": 4, "dilation": 3}),
        Case("stride 1 and a wide dilation", 0.2, (n, 2), {"dilation": n - 4}),
    ]


def _share_by_marking(size, kernel_size, stride=1, padding=0, dilation=1):
    """Along one axis, every window marks what it reads."""
    read, span = np.zeros(size + 2 * padding, bool), dilation * (kernel_size - 1) + 1
    for start in range(0, len(read) - span + 1, stride):
        read[start : start + span : dilation] = True
    return 1 - np.mean(read[padding : padding + size]) ** 2


share_unread = Task(
    name="ex03.share_unread",
    title="5 · An instrument: which pixels are never read?",
    section="3.5 Stride: count the windows; 3.11 From loops to one matrix product",
    reference=_unread,
    cases=_share_cases,
    misconceptions={
        "share that is read": Misconception(
            _share(lambda share, size: 1 - share),
            "That is the share of pixels that are read. Return the share of the others.",
        ),
        "one axis": Misconception(
            _share(lambda share, size: _one_axis(share)),
            "That is the share of unread columns. A pixel is lost if its column or its row is unread.",
        ),
        "both axes missed": Misconception(
            _share(lambda share, size: _one_axis(share) ** 2),
            "That is the share whose row and column are both unread. One of the two is enough.",
        ),
        "corner counted twice": Misconception(
            _share(lambda share, size: 2 * _one_axis(share)),
            "Unread rows plus unread columns: the pixels where they cross are counted twice.",
        ),
        "percent": Misconception(
            _share(lambda share, size: 100 * share), "A share lies between 0 and 1; this looks like percent."
        ),
        "number of pixels": Misconception(
            _share(lambda share, size: share * size**2),
            "That is how many pixels are unread. Divide by how many there are.",
        ),
        "padding is a pixel": Misconception(
            _reads_zeros,
            "One pixel too many counts as read: the padding's 0 is among the numbers. Leave it out.",
        ),
        "padding ignored": Misconception(
            _without("padding"), "The argument padding has no effect: pass it on to F.im2col."
        ),
        "dilation ignored": Misconception(
            _without("dilation"), "The argument dilation has no effect: pass it on to F.im2col."
        ),
        "stride ignored": Misconception(
            _without("stride"), "The argument stride has no effect: pass it on to F.im2col."
        ),
        "windows stick out": Misconception(
            _counts_last_row,
            "Windows that stick out at the end are left out: the last one ends inside the padded picture.",
        ),
    },
    alternatives={"by marking": _share_by_marking},
)


# ---- 6. What layers never read ---------------------------------------------------------------------------

_UNREAD = {
    "shortcut": _unread(56, 1, stride=2),
    "alexnet 224": _unread(224, 11, stride=4),
    "dilated": _unread(32, 3, stride=3, padding=3, dilation=3),
    "smallest kernel": next(k for k in range(1, 228) if _unread(227, k, stride=4) == 0),
    "rule": "c",
}
_SHARES = ("shortcut", "alexnet 224", "dilated")


def _unread_with(**wrong) -> Callable[[str], float | str]:
    values = _UNREAD | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


def _shares(change: Callable[[float], float]) -> Callable[[str], float | str]:
    """The right conclusions, but every share changed."""
    return lambda key: change(_UNREAD[key]) if key in _SHARES else _UNREAD[key]


unread = Task(
    name="ex03.unread",
    title="6 · Experiment: what a layer never reads",
    section="3.5 Stride: count the windows; 3.7 Dilation, and the whole formula",
    reference=_UNREAD.__getitem__,
    cases=lambda rng: [
        Case("a shortcut of a residual network", 0.3, ("shortcut",)),
        Case("AlexNet's first layer on 224×224", 0.3, ("alexnet 224",)),
        Case("stride and dilation 3", 0.3, ("dilated",)),
        Case("the smallest kernel", 0.3, ("smallest kernel",)),
        Case("the rule", 0.3, ("rule",)),
    ],
    misconceptions={
        "share that is read": Misconception(
            _shares(lambda share: 1 - share),
            "That is the share of pixels that are read. The others were asked for.",
        ),
        "one axis": Misconception(
            _shares(_one_axis),
            "That is the share of unread columns. A pixel is lost if its column or its row is unread.",
        ),
        "both axes missed": Misconception(
            _shares(lambda share: _one_axis(share) ** 2),
            "That is the share whose row and column are both unread. One of the two is enough.",
        ),
        "corner counted twice": Misconception(
            _shares(lambda share: 2 * _one_axis(share)),
            "Unread rows plus unread columns: the pixels where they cross are counted twice.",
        ),
        "percent": Misconception(
            _shares(lambda share: 100 * share), "A share lies between 0 and 1; this looks like percent."
        ),
        "number of pixels": Misconception(
            lambda key: (
                round(_UNREAD[key] * {"shortcut": 56, "alexnet 224": 224, "dilated": 32}[key] ** 2)
                if key in _SHARES
                else _UNREAD[key]
            ),
            "That is how many pixels are unread. Divide by how many there are.",
        ),
        "border ignored": Misconception(
            _unread_with(dilated=8 / 9),
            "So it is far from the border. But 3 does not divide 32: count for this picture, border and all.",
        ),
        "padding is a pixel": Misconception(
            _unread_with(dilated=_reads_zeros(32, 3, 3, 3, 3)),
            "One pixel too many counts as read: the padding's 0 is not a pixel of the picture.",
        ),
        "dilation without holes": Misconception(
            _unread_with(dilated=_unread(32, 7, stride=3, padding=3)),
            "A dilated window spans seven pixels but reads three of them. Pass the dilation on.",
        ),
        "kernel reaches the next window": Misconception(
            _unread_with(smallest_kernel=4),
            "4 leaves no gaps between the windows, but does the last window reach the border of 227 pixels?",
        ),
        "kernel fits": Misconception(
            _unread_with(smallest_kernel=3),
            "With 3 the last window ends at the border, but are there no gaps between the windows?",
        ),
        "AlexNet's kernel": Misconception(
            _unread_with(smallest_kernel=11), "11 reads every pixel. Is there a smaller one?"
        ),
        "rule a": Misconception(
            _unread_with(rule="a"),
            "Try 224 pixels with stride 4 and an 11×11 kernel: 4 divides 224. Is all of it read?",
        ),
        "rule b": Misconception(
            _unread_with(rule="b"),
            "That closes the gaps between the windows. What about the border after the last one?",
        ),
        "rule d": Misconception(
            _unread_with(rule="d"), "Try a 3×3 kernel with stride 4 in your function: 3 is odd."
        ),
    },
    rtol=1e-3,
    atol=1e-6,
)


TASKS = (layer, same_padding, conv2d, grouped, share_unread, unread)
