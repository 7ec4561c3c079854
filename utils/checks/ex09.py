"""Exercise 9, other convolutions: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. Sizes and costs by hand --------------------------------------------------------------------------

# Transposed: 6 pixels, kernel 8, stride 3, padding 2. A stack of 3×3 with rates 1, 3, 9. Locally connected:
# 16 filters of 5×5 on 8 channels of 20×24 pixels. Depthwise-separable: 5×5, 48 to 96 channels. 3-D: 8 filters
# of 3×3×3 on 4 channels, 10 frames of 12×14 pixels.
_SIZES = {
    "transposed side": (6 - 1) * 3 + 8 - 2 * 2,
    "dilated stack": 1 + 2 * (1 + 3 + 9),
    "local parameters": 16 * 20 * 16 * (8 * 5 * 5 + 1),
    "separable weights": 5 * 5 * 48 + 48 * 96,
    "3-D products": (8 * 10 * 12) * 8 * 4 * 27,
}


def _sizes_with(**wrong: int) -> Callable[[str], int]:
    """The right numbers, but for those given (underscores stand for spaces; `volume` for the 3-D layer)."""
    values = dict(_SIZES)
    for key, value in wrong.items():
        values["3-D products" if key == "volume" else key.replace("_", " ")] = value
    return lambda key: values[key]


sizes = Task(
    name="ex09.sizes",
    title="1 · Sizes and costs by hand",
    section="9.2 Dilated: a wider look for the same price; 9.3 Transposed: from small to large; "
    "9.7 Three axes: seeing motion; 9.8 Weights that are not shared, or not everywhere; "
    "9.10 Separable, in two ways",
    reference=_SIZES.__getitem__,
    cases=lambda rng: [
        Case("the transposed layer", 0.4, ("transposed side",)),
        Case("the dilated stack", 0.4, ("dilated stack",)),
        Case("the locally connected layer", 0.4, ("local parameters",)),
        Case("the separable layer", 0.4, ("separable weights",)),
        Case("the 3-D layer", 0.4, ("3-D products",)),
    ],
    misconceptions={
        "the way down": Misconception(
            _sizes_with(transposed_side=1),
            "That is the size of an ordinary convolution. The transposed one leads the other way.",
        ),
        "padding ignored": Misconception(
            _sizes_with(transposed_side=23),
            "The padding is missing: in a transposed layer it takes pixels away from each side.",
        ),
        "padding on one side": Misconception(
            _sizes_with(transposed_side=21), "Padding p takes p pixels away from each of the two sides."
        ),
        "padding added": Misconception(
            _sizes_with(transposed_side=27),
            "You added the padding. In a transposed layer it makes the output smaller.",
        ),
        "n strides": Misconception(
            _sizes_with(transposed_side=22),
            "Six stamps have five steps between them: the last one begins at (n - 1) s.",
        ),
        "n times s": Misconception(
            _sizes_with(transposed_side=18),
            "Not n times s: count where the last stamp begins and where it ends, then take the padding away.",
        ),
        "rates ignored": Misconception(
            _sizes_with(dilated_stack=7), "That is the stack with rate 1 in every layer."
        ),
        "last layer only": Misconception(
            _sizes_with(dilated_stack=19), "That is what the last layer alone spans. The others widen it."
        ),
        "spans added": Misconception(
            _sizes_with(dilated_stack=29),
            "You added the spans of the layers. Neighboring layers share a pixel: add d (k - 1), and 1 once.",
        ),
        "rate times kernel": Misconception(
            _sizes_with(dilated_stack=39),
            "Three taps at distance d have two gaps: a layer adds d (k - 1), not d k.",
        ),
        "rate times kernel, and one": Misconception(
            _sizes_with(dilated_stack=40),
            "The 1 is right, but a layer adds d (k - 1): three taps have two gaps between them, not three.",
        ),
        "one gap a layer": Misconception(
            _sizes_with(dilated_stack=14),
            "A layer adds d (k - 1) = 2 d: the window grows to the left and to the right.",
        ),
        "sum of the rates": Misconception(
            _sizes_with(dilated_stack=13),
            "That is the sum of the rates: how far the field reaches to one side. Asked for is its side.",
        ),
        "pixels of the field": Misconception(
            _sizes_with(dilated_stack=27**2), "That is how many pixels the field has. Asked for is its side."
        ),
        "without the pixel itself": Misconception(
            _sizes_with(dilated_stack=26), "The steps are right; the first pixel is missing."
        ),
        "shared": Misconception(
            _sizes_with(local_parameters=16 * 201),
            "That is one filter bank, as in a convolution. Here every position has one of its own.",
        ),
        "no bias": Misconception(
            _sizes_with(local_parameters=16 * 20 * 16 * 200),
            "Those are the weights. There is a bias for every output, too.",
        ),
        "shared bias": Misconception(
            _sizes_with(local_parameters=16 * 20 * 16 * 200 + 16),
            "The weights are right. The biases are not shared either.",
        ),
        "every pixel a position": Misconception(
            _sizes_with(local_parameters=20 * 24 * 16 * 201),
            "Without padding a 5×5 window does not fit everywhere: count the output positions.",
        ),
        "full layer": Misconception(
            _sizes_with(separable_weights=25 * 48 * 96), "That is one full layer, not two cheap ones."
        ),
        "other order": Misconception(
            _sizes_with(separable_weights=(25 + 48) * 96),
            "That is the mix first, then a kernel for each output channel. Here depthwise comes first.",
        ),
        "depthwise only": Misconception(
            _sizes_with(separable_weights=25 * 48), "The 1×1 layer that mixes the channels is missing."
        ),
        "pointwise only": Misconception(
            _sizes_with(separable_weights=48 * 96), "The depthwise kernels are missing."
        ),
        "flat kernel": Misconception(
            _sizes_with(volume=960 * 8 * 4 * 9), "The kernel has three axes: 3×3×3 weights for each channel."
        ),
        "frame by frame": Misconception(
            _sizes_with(volume=10 * 10 * 12 * 8 * 4 * 9),
            "That is a 3×3 filter on each frame alone. Here the kernel spans three frames.",
        ),
        "frames kept": Misconception(
            _sizes_with(volume=10 * 10 * 12 * 8 * 4 * 27),
            "The kernel slides over the frames as well: without padding fewer than 10 come out.",
        ),
        "every pixel of the film": Misconception(
            _sizes_with(volume=10 * 12 * 14 * 8 * 4 * 27),
            "Without padding there are fewer positions than pixels, along all three axes: count the outputs.",
        ),
        "one position": Misconception(
            _sizes_with(volume=8 * 4 * 27), "That is the work at one position of the film."
        ),
        "one channel": Misconception(
            _sizes_with(volume=960 * 8 * 27), "Each filter reads all four channels."
        ),
        "one filter": Misconception(_sizes_with(volume=960 * 4 * 27), "That is one filter out of eight."),
    },
)


# ---- 2. The transposed convolution -----------------------------------------------------------------------


def _transposed(x, weight, stride=1, padding=0):
    """Each pixel stamps its kernels onto the output."""
    (N, _, H, W), (_, K, kh, kw) = x.shape, weight.shape
    y = np.zeros((N, K, (H - 1) * stride + kh, (W - 1) * stride + kw))
    for i, j in np.ndindex(H, W):
        stamp = np.einsum("nc,ckuv->nkuv", x[:, :, i, j], weight)
        y[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] += stamp
    return _cropped(y, padding)


def _cropped(y, padding):
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


def _transposed_by_taps(x, weight, stride=1, padding=0):
    """Each tap writes the whole picture, spread out."""
    (N, _, H, W), (_, K, kh, kw) = x.shape, weight.shape
    y = np.zeros((N, K, (H - 1) * stride + kh, (W - 1) * stride + kw))
    for u in range(kh):
        for v in range(kw):
            mixed = np.einsum("ncij,ck->nkij", x, weight[:, :, u, v])
            y[:, :, u : u + (H - 1) * stride + 1 : stride, v : v + (W - 1) * stride + 1 : stride] += mixed
    return _cropped(y, padding)


def _transposed_by_zeros(x, weight, stride=1, padding=0):
    """Zeros between the pixels and around them, then an ordinary convolution with the turned kernels."""
    (N, C, H, W), (_, _, kh, kw) = x.shape, weight.shape
    spread = np.zeros((N, C, (H - 1) * stride + 2 * kh - 1, (W - 1) * stride + 2 * kw - 1))
    spread[:, :, kh - 1 : 1 - kh or None : stride, kw - 1 : 1 - kw or None : stride] = x
    windows = np.lib.stride_tricks.sliding_window_view(spread, (kh, kw), axis=(2, 3))
    y = np.einsum("ncijuv,ckuv->nkij", windows, weight[:, :, ::-1, ::-1])
    return _cropped(y, padding)


def _changed(weight=lambda w: w, x=lambda x: x, y=lambda y: y, stride=lambda s: s, padding=lambda p: p):
    """The right layer, with something done to one of its arguments or to its result."""
    change_weight, change_x, change_y, change_stride, change_padding = weight, x, y, stride, padding

    def layer(x, weight, stride=1, padding=0):
        arguments = change_x(x), change_weight(weight), change_stride(stride), change_padding(padding)
        return change_y(_transposed(*arguments))

    return layer


def _overwritten(x, weight, stride=1, padding=0):
    """`=` in place of `+=`."""
    (N, _, H, W), (_, K, kh, kw) = x.shape, weight.shape
    y = np.zeros((N, K, (H - 1) * stride + kh, (W - 1) * stride + kw))
    for i, j in np.ndindex(H, W):
        stamp = np.einsum("nc,ckuv->nkuv", x[:, :, i, j], weight)
        y[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] = stamp
    return _cropped(y, padding)


def _cut_with_minus(x, weight, stride=1, padding=0):
    """y[padding:-padding], which is empty for padding 0."""
    return _transposed(x, weight, stride)[:, :, padding:-padding, padding:-padding]


def _one_side(x, weight, stride=1, padding=0):
    y = _transposed(x, weight, stride)
    return y[:, :, padding:, padding:]


def _other_side(x, weight, stride=1, padding=0):
    y = _transposed(x, weight, stride)
    return y[:, :, : y.shape[2] - padding, : y.shape[3] - padding]


def _zeros_added(x, weight, stride=1, padding=0):
    return np.pad(_transposed(x, weight, stride), ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def _plain_convolution(x, weight, stride=1, padding=0):
    """An ordinary convolution with the weight of the way up: what the student knows from chapter 3."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    return np.einsum("ncijuv,ckuv->nkij", windows[:, :, ::stride, ::stride], weight)


def _size_n_times_s(x, weight, stride=1, padding=0):
    y = _transposed(x, weight, stride, padding)
    return y[:, :, : x.shape[2] * stride, : x.shape[3] * stride]


def _transposed_cases(rng) -> list[Case]:
    # Every kernel fits into its padded picture, so that an ordinary convolution runs and can be recognized.
    x, weight = rng.normal(size=(2, 3, 5, 7)), rng.normal(size=(3, 4, 4, 3))
    return [
        Case("stride 1", 0.5, (x, weight)),
        Case("stride 2", 0.5, (x, weight), {"stride": 2}),
        Case("stride 3, padding 1", 0.75, (x, weight), {"stride": 3, "padding": 1}),
        Case(
            "stride wider than the kernel",
            0.75,
            (rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(2, 3, 2, 3))),
            {"stride": 4},
        ),
    ]


transposed = Task(
    name="ex09.transposed",
    title="2 · A transposed convolution from scratch",
    section="9.3 Transposed: from small to large",
    reference=_transposed,
    cases=_transposed_cases,
    misconceptions={
        "overwritten": Misconception(
            _overwritten, "Where stamps overlap the last one wins. They should add up: += in place of =."
        ),
        "plain convolution": Misconception(
            _plain_convolution,
            "That is an ordinary convolution: it collects. Let every input pixel hand out a stamp.",
        ),
        "kernel turned": Misconception(
            _changed(weight=lambda w: w[:, :, ::-1, ::-1]),
            "The stamps are turned by 180 degrees. Turn the kernel only to collect from the spread input.",
        ),
        "stride ignored": Misconception(
            _changed(stride=lambda s: 1), "The stamps lie one pixel apart: the next one lies s further."
        ),
        "padding ignored": Misconception(
            _changed(padding=lambda p: 0),
            "The argument padding has no effect: take so many pixels away from each side.",
        ),
        "cut with -0": Misconception(
            _cut_with_minus,
            "With padding 0 nothing is left: y[0:-0] is empty. Cut at the size minus padding instead.",
        ),
        "padding before only": Misconception(
            _one_side, "Rows and columns are taken away at the top and left only. Padding means both sides."
        ),
        "padding after only": Misconception(
            _other_side,
            "Rows and columns are taken away at the bottom and right only. Padding means both sides.",
        ),
        "padding added": Misconception(
            _zeros_added, "You laid zeros around the output. Here padding takes pixels away."
        ),
        "cut to n s": Misconception(
            _size_n_times_s,
            "The output is cut to n times s pixels. It has (n - 1) s + k of them, less the padding.",
        ),
        "first channel only": Misconception(
            _changed(x=lambda x: x * (np.arange(x.shape[1]) == 0)[:, None, None]),
            "Only the first input channel is stamped. An output channel adds up the stamps of all of them.",
        ),
        "mean over channels": Misconception(
            lambda x, weight, stride=1, padding=0: _transposed(x, weight, stride, padding) / x.shape[1],
            "You took the mean over the input channels; it should be the sum.",
        ),
        "output transposed": Misconception(
            _changed(y=lambda y: y.swapaxes(2, 3)),
            "Rows and columns of the output are swapped: return (N, K, H', W').",
        ),
        "channels last": Misconception(
            _changed(y=lambda y: y.transpose(0, 2, 3, 1)),
            "The numbers are right, in the order (N, H', W', K): return (N, K, H', W').",
        ),
        "filters before pictures": Misconception(
            _changed(y=lambda y: y.swapaxes(0, 1)),
            "The numbers are right, in the order (K, N, H', W'): return (N, K, H', W').",
        ),
    },
    alternatives={"tap by tap": _transposed_by_taps, "zeros between": _transposed_by_zeros},
)


# ---- 3. Between the pixels -------------------------------------------------------------------------------


def _sample(x, rows, columns):
    """The bilinear mean of the four pixels around each place; zero outside."""
    places = np.stack([rows, columns], axis=1)
    return np.stack([_read(x, *place) for place in places], axis=1)


def _read(x, row, column):
    """All pixels of the picture, each with its share: more than zero for four of them."""
    total = 0
    for i, j in np.ndindex(x.shape[1:]):
        total = total + max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j)) * x[:, i, j]
    return total


def _sample_by_matrices(x, rows, columns):
    _, H, W = x.shape
    of_rows = np.maximum(1 - np.abs(rows[:, None] - np.arange(H)), 0)  # (P, H)
    of_columns = np.maximum(1 - np.abs(columns[:, None] - np.arange(W)), 0)
    return np.einsum("ph,chw,pw->cp", of_rows, x, of_columns)


def _sample_four(x, rows, columns):
    """The four pixels looked up, zeros where there is none."""
    pixels = {place: x[:, place[0], place[1]] for place in np.ndindex(x.shape[1:])}
    found = []
    for row, column in np.stack([rows, columns], axis=1):
        total, top, left = np.zeros(len(x)), int(np.floor(row)), int(np.floor(column))
        for i in range(top, top + 2):
            for j in range(left, left + 2):
                total += (1 - abs(row - i)) * (1 - abs(column - j)) * pixels.get((i, j), 0)
        found.append(total)
    return np.stack(found, axis=1)


def _moved(move: Callable) -> Callable:
    """The right answer at other places: `move(x, rows, columns)` gives those."""
    return lambda x, rows, columns: _sample(x, *move(x, rows, columns))


def _shares(change: Callable[[np.ndarray], np.ndarray]) -> Callable:
    """The right four pixels, their shares computed from changed distances to the pixel above or left."""

    def sample(x, rows, columns):
        top, left = np.floor(rows), np.floor(columns)
        return _sample(x, top + change(rows - top), left + change(columns - left))

    return sample


def _far_share(x, rows, columns):
    """(row - top) as the share of the upper pixel: the shares of a pair exchanged."""
    top, left = np.floor(rows), np.floor(columns)
    return _sample(x, 2 * top + 1 - rows, 2 * left + 1 - columns)


def _only_inside(x, rows, columns):
    """Zero as soon as one of the four pixels is outside."""
    inside = (rows >= 0) & (rows <= x.shape[1] - 1) & (columns >= 0) & (columns <= x.shape[2] - 1)
    return _sample(x, rows, columns) * inside


def _wraps(x, rows, columns):
    """Negative indices counted from the end, as Python does; zero beyond the end."""
    twice = np.concatenate([x, x], axis=1)
    twice = np.concatenate([twice, twice], axis=2)
    return _sample(twice, rows + x.shape[1], columns + x.shape[2])


def _toward_zero(x, rows, columns):
    """int(row) in place of floor(row): wrong between -1 and 0, where the pixels above are those of row 0."""
    y = np.zeros((len(x), len(rows)))
    for place, (row, column) in enumerate(zip(rows, columns, strict=True)):
        for i in (int(row), int(row) + 1):
            for j in (int(column), int(column) + 1):
                if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                    y[:, place] += (1 - abs(row - i)) * (1 - abs(column - j)) * x[:, i, j]
    return y


def _sample_cases(rng) -> list[Case]:
    H, W = 5, 8
    x = rng.normal(size=(3, H, W))
    inside = rng.uniform(0.1, H - 1.1, size=6), rng.uniform(0.1, W - 1.1, size=6)
    on_pixels = rng.permutation(H)[:4] * 1.0, rng.permutation(W)[:4] * 1.0
    partly = (  # half outside, then far outside
        np.array([-0.3, H - 0.6, 2.3, 1.6, -0.75, H - 0.2, -2.5, 2.5, H + 1.4, 1.3]),
        np.array([3.3, 2.2, -0.6, W - 0.7, -0.4, W - 0.9, 3.2, -1.8, 2.7, W + 0.6]),
    )
    return [
        Case("between four pixels", 0.75, (x, *inside)),
        Case("on a pixel", 0.25, (x, *on_pixels)),
        Case("half and far outside", 1.0, (x, *partly)),
    ]


sample = Task(
    name="ex09.sample",
    title="3 · Between the pixels",
    section="9.11 Deformable: taps that move",
    reference=_sample,
    cases=_sample_cases,
    misconceptions={
        "nearest": Misconception(
            _shares(np.round), "That is the nearest pixel. Take all four around, each with its share."
        ),
        "rounded down": Misconception(
            _shares(np.zeros_like),
            "That is the pixel above and left of the place. Take all four around, each with its share.",
        ),
        "plain mean": Misconception(
            _shares(lambda distance: np.where(distance > 0, 0.5, 0)),
            "The four pixels count alike. A near one should count more than a far one.",
        ),
        "shares exchanged": Misconception(
            _far_share, "The shares are exchanged: the pixel far away gets what belongs to the near one."
        ),
        "rows and columns exchanged": Misconception(
            _moved(lambda x, rows, columns: (columns, rows)),
            "Rows and columns are exchanged: x[:, i, j] has row i and column j.",
        ),
        "border repeated": Misconception(
            _moved(
                lambda x, rows, columns: (
                    np.clip(rows, 0, x.shape[1] - 1),
                    np.clip(columns, 0, x.shape[2] - 1),
                )
            ),
            "You repeat the border outside of the picture. Here everything outside is zero.",
        ),
        "only inside": Misconception(
            _only_inside,
            "A place half a pixel outside still touches the picture: each of the four pixels counts, or is "
            "zero, on its own.",
        ),
        "index -1": Misconception(
            _wraps, "Index -1 means the last row or column in Python. Here it lies outside and is zero."
        ),
        "int for floor": Misconception(
            _toward_zero, "`int(-0.3)` is 0, not -1: round down with np.floor before you turn it into an int."
        ),
        "half a pixel": Misconception(
            _moved(lambda x, rows, columns: (rows - 0.5, columns - 0.5)),
            "You read half a pixel too far up and left: here pixel (0, 0) has its middle at row 0, column 0.",
        ),
        "places first": Misconception(
            lambda *a: _sample(*a).T, "The numbers are right, in the order (P, C): return (C, P)."
        ),
    },
    alternatives={"two matrices": _sample_by_matrices, "four look-ups": _sample_four},
)


# ---- 4. Find the bug: the shuffle ------------------------------------------------------------------------


def _shuffle(x, groups):
    N, C, H, W = x.shape
    return x.reshape(N, groups, C // groups, H, W).transpose(0, 2, 1, 3, 4).reshape(N, C, H, W)


def _order(x, groups) -> np.ndarray:
    """Where the channels of the shuffled picture come from."""
    return np.arange(x.shape[1]).reshape(groups, -1).T.ravel()


def _shuffled_by_order(x, groups):
    return x[:, _order(x, groups)]


def _shuffled_in_loops(x, groups):
    y, size = np.empty_like(x), x.shape[1] // groups
    for q in range(groups):
        for r in range(size):
            y[:, r * groups + q] = x[:, q * size + r]
    return y


def _from(order: Callable) -> Callable:
    """The channels in the order that `order(C, groups)` gives."""
    return lambda x, groups: x[:, np.asarray(order(x.shape[1], groups)).ravel()]


shuffle = Task(
    name="ex09.shuffle",
    title="4 · Find the bug: a shuffle",
    section="9.9 Groups that talk: the channel shuffle",
    reference=_shuffle,
    cases=lambda rng: [
        Case("12 channels in 3 groups", 0.75, (rng.normal(size=(2, 12, 3, 5)), 3)),
        Case("10 channels in 5 groups", 0.75, (rng.normal(size=(3, 10, 4, 2)), 5)),
    ],
    misconceptions={
        "still there": Misconception(
            _from(lambda C, g: np.arange(C).reshape(C // g, g).T),
            "The bug is still there: the table has a row for each place in a group. How many rows should it "
            "have?",
        ),
        "nothing moved": Misconception(
            lambda x, groups: x.copy(),
            "No channel has moved: written and read in the same order. Exchange the two axes of the table.",
        ),
        "blocks reversed": Misconception(
            _from(lambda C, g: np.arange(C).reshape(g, -1)[::-1]),
            "Whole groups have moved, in reverse order. Deal one channel from each group in turn.",
        ),
        "channels reversed": Misconception(
            _from(lambda C, g: np.arange(C)[::-1]),
            "The channels are in reverse order. Deal one channel from each group in turn.",
        ),
        "last group first": Misconception(
            _from(lambda C, g: np.arange(C).reshape(g, -1)[::-1].T),
            "Dealt out, but beginning with the last group: the first channel should stay the first.",
        ),
        "moved by a group": Misconception(
            _from(lambda C, g: np.roll(np.arange(C), C // g)),
            "The groups have moved on by one, but their channels are still side by side.",
        ),
        "pixels mixed": Misconception(
            lambda x, groups: x.reshape(len(x), groups, -1).swapaxes(1, 2).reshape(x.shape),
            "The shape is right, but pixels have moved between places: keep H and W as axes of the table.",
        ),
        "pictures mixed": Misconception(
            lambda x, groups: x.reshape(groups, -1, *x.shape[2:]).swapaxes(0, 1).reshape(x.shape),
            "Channels have moved to another picture of the batch: keep N as the first axis.",
        ),
        "rows and columns exchanged": Misconception(
            lambda x, groups: _shuffle(x, groups).swapaxes(2, 3),
            "The channels are right; rows and columns of the pictures are exchanged.",
        ),
        "five axes": Misconception(
            lambda x, groups: x.reshape(len(x), groups, -1, *x.shape[2:]).swapaxes(1, 2),
            "The table is right, but it still has five axes: reshape it to (N, C, H, W).",
        ),
    },
    alternatives={"by order": _shuffled_by_order, "in loops": _shuffled_in_loops},
)


# ---- 5. An instrument ------------------------------------------------------------------------------------


def _reached(rates) -> set[int]:
    """The columns that 3-tap layers with these rates reach from column 0: in each a step back, none or on."""
    return {int(np.array(steps) @ rates) for steps in product(range(-1, 2), repeat=len(rates))}


def _holes(rates):
    """The share of the pixels of the receptive field that no path reaches."""
    side = 1 + 2 * sum(rates)
    return 1 - (len(_reached(rates)) / side) ** 2


def _holes_by_marking(rates):
    """A row of pixels, marked layer by layer."""
    row = np.zeros(1 + 2 * sum(rates), bool)
    row[sum(rates)] = True
    for rate in rates:
        row = row | np.roll(row, rate) | np.roll(row, -rate)
    return 1 - np.mean(row) ** 2


def _axis(rates) -> float:
    """The share of columns that are not reached."""
    return 1 - len(_reached(rates)) / (1 + 2 * sum(rates))


def _of_places(places: Callable, side: Callable = lambda rates: 1 + 2 * sum(rates)) -> Callable:
    """The share of holes if these columns are reached, in a field of this side."""
    return lambda rates: 1 - (len(places(rates)) / side(rates)) ** 2


def _union(rates) -> set[int]:
    """What the layers would reach side by side instead of one after the other."""
    return {0, *rates, *(-rate for rate in rates)}


holes = Task(
    name="ex09.holes",
    title="5 · An instrument: holes",
    section="9.2 Dilated: a wider look for the same price",
    reference=_holes,
    cases=lambda rng: [
        Case("one layer", 0.2, ((int(rng.integers(3, 6)),),)),
        Case("two layers", 0.2, ((1, int(rng.integers(4, 7))),)),
        Case("a common divisor", 0.2, ((2, 4, 4),)),
        Case("three layers", 0.2, ((1, 8, 2),)),
        Case("four layers", 0.2, ((1, 6, 2, int(rng.integers(21, 25))),)),
    ],
    misconceptions={
        "share that is touched": Misconception(
            lambda rates: 1 - _holes(rates), "That is the share of pixels that are touched. Return the rest."
        ),
        "one axis": Misconception(
            _axis, "That is the share of columns. A pixel is a hole if its column or its row is not reached."
        ),
        "both axes": Misconception(
            lambda rates: _axis(rates) ** 2,
            "That is the share whose row and column are both missed. One of the two is enough.",
        ),
        "counted twice": Misconception(
            lambda rates: 2 * _axis(rates),
            "Missed rows plus missed columns: the pixels where they cross are counted twice.",
        ),
        "percent": Misconception(
            lambda rates: 100 * _holes(rates), "A share lies between 0 and 1; this looks like percent."
        ),
        "number of pixels": Misconception(
            lambda rates: _holes(rates) * (1 + 2 * sum(rates)) ** 2,
            "That is how many pixels are holes. Divide by how many there are.",
        ),
        "layers side by side": Misconception(
            _of_places(_union),
            "You put the layers side by side. In a stack, a tap of one layer leads to the taps of the next.",
        ),
        "last layer": Misconception(
            _of_places(lambda rates: _reached(rates[-1:]), lambda rates: 1 + 2 * rates[-1]),
            "That is the last layer alone. The others fill some of its holes, and make new ones.",
        ),
        "largest layer's span": Misconception(
            lambda rates: 1 - (len(_reached(rates)) / (1 + 2 * max(rates))) ** 2,
            "The reached pixels are right, but the field is wider: every layer adds 2 d to its side.",
        ),
        "half a field": Misconception(
            _of_places(lambda rates: {p for p in _reached(rates) if p >= 0}, lambda rates: 1 + sum(rates)),
            "You counted to one side only. The field reaches as far to the left as to the right.",
        ),
        "field too wide": Misconception(
            _of_places(_reached, lambda rates: 3 * sum(rates)),
            "A layer adds d (k - 1) = 2 d to the field, not 3 d, and the first pixel counts once.",
        ),
    },
    alternatives={"by marking": _holes_by_marking},
)


# ---- 6. Rates without holes ------------------------------------------------------------------------------

_RATES = {
    "2, 2, 2": _holes((2, 2, 2)),
    "1, 5, 9": _holes((1, 5, 9)),
    "largest side": 27,
    "rule": "c",
}


def _rates_with(**wrong) -> Callable:
    """The right measurements, but for those given."""
    names = {"even": "2, 2, 2", "odd": "1, 5, 9", "largest": "largest side", "rule": "rule"}
    values = _RATES | {names[key]: value for key, value in wrong.items()}
    return lambda key: values[key]


def _both(change: Callable) -> Callable:
    """Both shares computed by another function of the rates."""
    return _rates_with(even=change((2, 2, 2)), odd=change((1, 5, 9)))


rates = Task(
    name="ex09.rates",
    title="6 · Experiment: rates without holes",
    section="9.2 Dilated: a wider look for the same price",
    reference=_RATES.__getitem__,
    cases=lambda rng: [
        Case("three times rate 2", 0.2, ("2, 2, 2",)),
        Case("no common divisor", 0.2, ("1, 5, 9",)),
        Case("the largest field without holes", 0.3, ("largest side",)),
        Case("the rule", 0.3, ("rule",)),
    ],
    misconceptions={
        "share that is touched": Misconception(
            _both(lambda r: 1 - _holes(r)), "Those are the shares that are touched. The holes were asked for."
        ),
        "one axis": Misconception(
            _both(_axis),
            "Those are shares of columns. A pixel is a hole if its column or row is missed.",
        ),
        "percent": Misconception(
            _both(lambda r: 100 * _holes(r)), "A share lies between 0 and 1; this looks like percent."
        ),
        "number of pixels": Misconception(
            _both(lambda r: round(_holes(r) * (1 + 2 * sum(r)) ** 2)),
            "Those are counts of pixels. Divide by how many pixels the field has.",
        ),
        "no divisor, no holes": Misconception(
            _rates_with(odd=0.0),
            "1, 5, 9 have no common divisor and still leave holes: measure, do not conclude.",
        ),
        "1, 2, 5": Misconception(
            _rates_with(largest=17), "1, 2, 5 leaves no holes, but three layers can see further."
        ),
        "doubling": Misconception(
            _rates_with(largest=15),
            "Doubling rates leave no holes, but three layers can see further: try other rates up to 12.",
        ),
        "one side": Misconception(
            _rates_with(largest=13),
            "That is the sum of the rates: how far the field reaches to one side. Asked for is its side.",
        ),
        "pixels of the field": Misconception(
            _rates_with(largest=27**2), "That is the number of pixels of the field. Asked for is its side."
        ),
        "largest with holes": Misconception(
            _rates_with(largest=73), "That is the largest field of all, holes or not."
        ),
        "rule a": Misconception(
            _rates_with(rule="a"), "Try your function on 1, 5, 9: no common divisor, and holes all the same."
        ),
        "rule b": Misconception(
            _rates_with(rule="b"),
            "Growing rates are not enough: how far may the next one jump? Try 1, 4 in your function.",
        ),
        "rule d": Misconception(
            _rates_with(rule="d"), "Try 3, 3, 3 in your function: all odd, and holes all the same."
        ),
    },
    rtol=1e-3,
    atol=1e-6,
)


TASKS = (sizes, transposed, sample, shuffle, holes, rates)
