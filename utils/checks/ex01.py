"""Exercise 1, Images are arrays: counting weights, layouts, bytes, shifts, normalization."""

from __future__ import annotations

from functools import cache

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. How many weights? --------------------------------------------------------------------------------

_COLOR, _GRAY, _UNITS, _WINDOW = 480 * 640 * 3, 480 * 640, 2000, 7 * 7


def _counts(key: str, **changed: float) -> float:
    """The numbers asked for; `changed` replaces some of them, to describe a mistake."""
    right = {
        "dense weights": _COLOR * _UNITS,
        "dense gigabytes": _COLOR * _UNITS * 4 / 1e9,
        "local weights": _GRAY * _WINDOW,
        "shared weights": _WINDOW,
        "shared products": _GRAY * _WINDOW,
    }
    return {**right, **{name.replace("_", " "): value for name, value in changed.items()}}[key]


def _but(**changed: float):
    return lambda key: _counts(key, **changed)


counts = Task(
    name="ex01.counts",
    title="1 · How many weights?",
    section="1.6 The plainest layer: connect everything; 1.10 Counting wires",
    reference=_counts,
    cases=lambda rng: [
        Case("weights of the dense layer", 0.4, ("dense weights",)),
        Case("gigabytes of the dense layer", 0.4, ("dense gigabytes",)),
        Case("weights of the locally connected layer", 0.4, ("local weights",)),
        Case("weights of the shared layer", 0.4, ("shared weights",)),
        Case("products of the shared layer", 0.4, ("shared products",)),
    ],
    misconceptions={
        "one channel": Misconception(
            _but(dense_weights=_GRAY * _UNITS, dense_gigabytes=_GRAY * _UNITS * 4 / 1e9),
            "The picture of the dense layer has color: three numbers a pixel, each with its own weights.",
        ),
        "inputs only": Misconception(
            _but(dense_weights=_COLOR, dense_gigabytes=_COLOR * 4 / 1e9),
            "That is the number of inputs. Each of them is connected to every hidden unit.",
        ),
        "with biases": Misconception(
            _but(dense_weights=_COLOR * _UNITS + _UNITS, dense_gigabytes=(_COLOR + 1) * _UNITS * 4 / 1e9),
            "You counted one bias for each unit as well. Good, but here we ask for the weights alone.",
        ),
        "float64": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS * 8 / 1e9),
            "Eight bytes are a float64. A float32 has 32 bits.",
        ),
        "bits": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS * 32 / 1e9),
            "A float32 has 32 bits, and a byte has eight of them.",
        ),
        "one byte": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS / 1e9),
            "One byte a number is uint8, the type of the picture. The weights are float32.",
        ),
        "binary gigabytes": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS * 4 / 2**30),
            "You divided by 2**30, which gives gibibytes (GiB). Here a gigabyte has 10**9 bytes.",
        ),
        "megabytes": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS * 4 / 1e6),
            "These are megabytes. A gigabyte has 10**9 bytes.",
        ),
        "bytes": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS * 4),
            "These are bytes. Divide them by 10**9.",
        ),
        "training": Misconception(
            _but(dense_gigabytes=_COLOR * _UNITS * 4 * 4 / 1e9),
            "You counted what an optimizer such as Adam adds while a layer learns. Count the weights alone.",
        ),
        "side of the window": Misconception(
            _but(local_weights=_GRAY * 7, shared_weights=7, shared_products=_GRAY * 7),
            "A window of 7 by 7 pixels holds more than 7 of them.",
        ),
        "inside only": Misconception(
            _but(
                local_weights=(480 - 6) * (640 - 6) * _WINDOW, shared_products=(480 - 6) * (640 - 6) * _WINDOW
            ),
            "You left out the units whose windows stick out of the picture. There is one unit for each "
            "pixel, and each multiplies a whole window, zeros included.",
        ),
        "color in the window": Misconception(
            _but(
                local_weights=3 * _GRAY * _WINDOW,
                shared_weights=3 * _WINDOW,
                shared_products=_COLOR * _WINDOW,
            ),
            "You counted three channels. The second picture is gray.",
        ),
        "local is dense": Misconception(
            _but(local_weights=_GRAY**2),
            "You connected every unit to every pixel. A locally connected unit sees its window only.",
        ),
        "local is shared": Misconception(
            _but(local_weights=_WINDOW),
            "These are the weights of one unit. In the locally connected layer every unit has its own.",
        ),
        "not shared": Misconception(
            _but(shared_weights=_GRAY * _WINDOW),
            "That is the number when each unit has its own. Sharing means that all units use the same ones.",
        ),
        "sharing saves work": Misconception(
            _but(shared_products=_WINDOW),
            "Sharing saves memory, not work: every unit still multiplies all pixels of its window.",
        ),
    },
    alternatives={"floats": lambda key: float(_counts(key))},
    rtol=1e-12,  # whole numbers
)

# ---- 2. From bytes to a batch ----------------------------------------------------------------------------


def _to_nchw(pictures: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    x = pictures.transpose(0, 3, 1, 2).astype(np.float64) / 255  # (N, C, H, W)
    return ((x - _column(mean)) / _column(std)).astype(np.float32)


def _column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values)[:, None, None]  # (C, 1, 1): one value a channel


def _to_nchw_reshaped(pictures, mean, std):
    n, h, w, c = pictures.shape
    x = pictures.reshape(n, c, h, w) / 255
    return ((x - _column(mean)) / _column(std)).astype(np.float32)


def _to_nchw_without_parentheses(pictures, mean, std):
    x = pictures.transpose(0, 3, 1, 2) / 255
    return (x - _column(mean) / _column(std)).astype(np.float32)


def _to_nchw_own_statistics(pictures, mean, std):
    x = pictures / 255
    return _to_nchw(pictures, x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2)))


def _to_nchw_without_255(pictures, mean, std):
    x = pictures.transpose(0, 3, 1, 2)
    return ((x - _column(mean)) / _column(std)).astype(np.float32)


def _to_nchw_along_columns(pictures, mean, std):
    # Raises an error unless the picture has as many columns as channels, or one channel.
    return ((pictures.transpose(0, 3, 1, 2) / 255 - mean) / std).astype(np.float32)


def _to_nchw_loop(pictures, mean, std):
    n, h, w, c = pictures.shape
    result = np.empty((n, c, h, w), np.float32)
    for channel in range(c):
        result[:, channel] = (pictures[..., channel] / np.float32(255) - mean[channel]) / std[channel]
    return result


def _to_nchw_cases(rng: np.random.Generator) -> list[Case]:
    def arguments(*shape):
        pictures = rng.integers(0, 256, shape, dtype=np.uint8)
        return pictures, rng.uniform(0.3, 0.6, shape[-1]), rng.uniform(0.15, 0.35, shape[-1])

    return [
        Case("two color pictures", 0.8, arguments(2, 5, 7, 3)),
        Case("one picture, three pixels wide", 0.4, arguments(1, 6, 3, 3)),
        Case("gray pictures with a channel axis", 0.4, arguments(3, 4, 6, 1)),
        Case("the same as float32", 0.4, arguments(2, 3, 4, 3), same_dtype=True),
    ]


to_nchw = Task(
    name="ex01.to_nchw",
    title="2 · From bytes to a batch",
    section="1.2 Which axis is which: layouts; 1.4 The range a network likes",
    reference=_to_nchw,
    cases=_to_nchw_cases,
    misconceptions={
        "reshape": Misconception(
            _to_nchw_reshaped,
            "The shape is right, but reshape cuts the row of numbers anew and mixes channels and places. "
            "Give the axes a new order with transpose.",
        ),
        "rows and columns": Misconception(
            lambda pictures, mean, std: _to_nchw(pictures, mean, std).swapaxes(2, 3),
            "Rows and columns are exchanged: the order is picture, channel, row, column.",
        ),
        "still NHWC": Misconception(
            lambda pictures, mean, std: _to_nchw(pictures, mean, std).transpose(0, 2, 3, 1),
            "The channels are still the last axis: the order is picture, channel, row, column.",
        ),
        "mean along the columns": Misconception(
            _to_nchw_along_columns,
            "Broadcasting lines shapes up from the right, so a mean of shape (C,) meets the columns. "
            "Give it the shape (C, 1, 1).",
        ),
        "without 255": Misconception(
            _to_nchw_without_255,
            "The given mean and std are for pixels between 0 and 1: divide by 255 first.",
        ),
        "mean only": Misconception(
            lambda pictures, mean, std: _to_nchw(pictures, mean, np.ones_like(std)),
            "You subtracted the mean. Now divide by the standard deviation.",
        ),
        "not normalized": Misconception(
            lambda pictures, mean, std: _to_nchw(pictures, 0 * mean, np.ones_like(std)),
            "The pixels are between 0 and 1. Now subtract the mean of each channel and divide by its std.",
        ),
        "variance": Misconception(
            lambda pictures, mean, std: _to_nchw(pictures, mean, std**2),
            "You divided by std squared, which is the variance.",
        ),
        "parentheses": Misconception(
            _to_nchw_without_parentheses,
            "You divided the mean alone by std: `x - mean / std` needs parentheses around `x - mean`.",
        ),
        "own statistics": Misconception(
            _to_nchw_own_statistics,
            "Use the mean and std that came as arguments (of the training set), not those of this batch.",
        ),
        "float64": Misconception(
            lambda pictures, mean, std: _to_nchw(pictures, mean, std).astype(np.float64),
            "The numbers are right, the dtype is float64, twice the memory. One float64 among the arrays, "
            "here mean and std, makes the result float64: go back to float32 at the end.",
        ),
    },
    alternatives={
        "one channel at a time": _to_nchw_loop,
        "all in float32": lambda pictures, mean, std: np.moveaxis(
            (pictures.astype(np.float32) / 255 - mean.astype(np.float32)) / std.astype(np.float32), -1, 1
        ),
    },
    rtol=1e-5,  # float32 on the way, then float64, is the right numbers too
    atol=1e-5,
)

# ---- 3. Brighter, not broken -----------------------------------------------------------------------------


def _bytes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def _brighten(picture: np.ndarray, amount: int) -> np.ndarray:
    return np.clip(picture.astype(np.int64) + amount, 0, 255).astype(np.uint8)


def _wrap(values: np.ndarray) -> np.ndarray:
    """To uint8 as a byte counts: around in a circle."""
    return (values % 256).astype(np.uint8)


def _brighten_int8(picture, amount):
    # Raises an error for an amount that int8 does not hold.
    return np.clip((picture.astype(np.int8) + amount).astype(np.int64), 0, 255).astype(np.uint8)


def _brighten_stretched(picture, amount):
    x = picture.astype(np.float64) + amount
    return (255 * (x - x.min()) / (x.max() - x.min())).astype(np.uint8)


brighten = Task(
    name="ex01.brighten",
    title="3 · Brighter, not broken",
    section="1.3 One byte a number, and what breaks",
    reference=_brighten,
    cases=lambda rng: [
        Case("brighter", 0.3, (_bytes(rng, 5, 7, 3), int(rng.integers(60, 100)))),
        Case("darker", 0.3, (_bytes(rng, 4, 6), -int(rng.integers(60, 100)))),
        Case("an amount that fits no byte", 0.2, (_bytes(rng, 3, 8), 300)),
        Case("a new picture, uint8", 0.2, (_bytes(rng, 4, 3), 40), same_dtype=True, keeps_inputs=True),
    ],
    misconceptions={
        "wraps": Misconception(
            lambda picture, amount: _wrap(picture.astype(np.int64) + amount),
            "Some values went around in a circle. Add in a wider type, cut off there what no byte can hold, "
            "and only then go back to uint8; cutting off what is already uint8 comes too late.",
        ),
        "only above": Misconception(
            lambda picture, amount: _wrap(np.minimum(picture.astype(np.int64) + amount, 255)),
            "Cut off below as well: a negative amount takes values under zero.",
        ),
        "only below": Misconception(
            lambda picture, amount: _wrap(np.maximum(picture.astype(np.int64) + amount, 0)),
            "Cut off above as well: the largest values no longer fit into a byte.",
        ),
        "one too many": Misconception(
            lambda picture, amount: _wrap(np.clip(picture.astype(np.int64) + amount, 0, 256)),
            "You cut off one too high: that value does not fit into a byte any more, and turns black.",
        ),
        "int8": Misconception(
            lambda picture, amount: _brighten_int8(picture, amount),
            "An int8 runs from -128 to 127: it holds no byte above 127. Take a type with more bytes, such as "
            "int16.",
        ),
        "stretched": Misconception(
            _brighten_stretched,
            "You stretched the values over the whole range, which changes the contrast. Add, then cut off.",
        ),
        "not bytes": Misconception(
            lambda picture, amount: np.clip(picture.astype(np.int64) + amount, 0, 255),
            "The numbers are right, but the picture shall be uint8 again.",
        ),
    },
    alternatives={
        "through floats": lambda picture, amount: (picture + float(amount)).clip(0, 255).astype(np.uint8),
        "minimum and maximum": lambda picture, amount: np.maximum(
            np.minimum(np.int32(picture) + amount, 255), 0
        ).astype("uint8"),
    },
)

# ---- 4. Move a picture -----------------------------------------------------------------------------------


_KEPT = {"same_dtype": True, "keeps_inputs": True}


def _shift(x: np.ndarray, dy: int, dx: int) -> np.ndarray:
    height, width = x.shape[-2:]
    y = np.zeros_like(x)
    rows, columns = height - abs(dy), width - abs(dx)  # of the part that stays in the frame
    to_row, to_column = max(dy, 0), max(dx, 0)
    row, column = max(-dy, 0), max(-dx, 0)
    part = x[..., row : row + rows, column : column + columns]
    y[..., to_row : to_row + rows, to_column : to_column + columns] = part
    return y


def _shift_edge(x, dy, dx):
    height, width = x.shape[-2:]
    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    return x[..., rows[:, None], columns]


def _shift_first_axes(x, dy, dx):
    return np.moveaxis(_shift(np.moveaxis(x, (0, 1), (-2, -1)), dy, dx), (-2, -1), (0, 1))


def _shift_down_right(x, dy, dx):
    y = np.zeros_like(x)
    y[..., dy:, dx:] = x[..., :-dy, :-dx]
    return y


def _shift_rolled(x, dy, dx):
    y = np.roll(x, (dy, dx), axis=(-2, -1))
    y[..., :dy, :] = 0  # right for a move down or right; a negative limit counts from the other end
    y[..., :dx] = 0
    return y


def _shift_rolled_abs(x, dy, dx):
    y = np.roll(x, (dy, dx), axis=(-2, -1))
    y[..., : abs(dy), :] = 0  # for a move up, zeros come in at the bottom
    y[..., : abs(dx)] = 0
    return y


def _shift_rolled_half(x, dy, dx):
    y = np.roll(x, (dy, dx), axis=(-2, -1))
    y[..., : max(dy, 0), :] = 0  # nothing yet for a move up or left
    y[..., : max(dx, 0)] = 0
    return y


def _shift_float64(x, dy, dx):
    return _shift(x, dy, dx).astype(np.float64)


def _shift_padded(x, dy, dx):
    height, width = x.shape[-2:]
    margin = abs(dy), abs(dx)
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(m, m) for m in margin])
    top, left = margin[0] - dy, margin[1] - dx
    return padded[..., top : top + height, left : left + width]


def _shift_loop(x, dy, dx):
    height, width = x.shape[-2:]
    y = np.zeros(x.shape, x.dtype)
    for i in range(height):
        for j in range(width):
            if 0 <= i - dy < height and 0 <= j - dx < width:
                y[..., i, j] = x[..., i - dy, j - dx]
    return y


shift = Task(
    name="ex01.shift",
    title="4 · Move a picture",
    section="1.7 One pixel to the right",
    reference=_shift,
    cases=lambda rng: [
        Case("down and right", 0.4, (rng.normal(size=(2, 5, 7)), 1, 2)),
        Case("up and right, a single picture", 0.4, (rng.normal(size=(8, 5)), -3, 1)),
        Case("left only", 0.4, (rng.normal(size=(3, 2, 4, 7)), 0, -3)),
        Case("nearly out of the frame", 0.4, (rng.normal(size=(2, 5, 6)), 4, -3)),
        Case("x kept, and its dtype", 0.4, (1 + _bytes(rng, 2, 4, 6) // 2, 1, -2), **_KEPT),
    ],
    misconceptions={
        "wraps around": Misconception(
            lambda x, dy, dx: np.roll(x, (dy, dx), axis=(-2, -1)),
            "What leaves on one side enters on the other, as np.roll does. Zeros shall come in.",
        ),
        "axes exchanged": Misconception(
            lambda x, dy, dx: _shift(x, dx, dy),
            "Rows and columns are exchanged: dy moves along the axis before the last, dx along the last.",
        ),
        "wrong direction": Misconception(
            lambda x, dy, dx: _shift(x, -dy, -dx),
            "The pictures move the other way: a positive dy moves down, a positive dx moves right.",
        ),
        "edge repeated": Misconception(
            _shift_edge,
            "The edge is repeated where zeros shall come in.",
        ),
        "first axes": Misconception(
            lambda x, dy, dx: _shift_first_axes(x, dy, dx),
            "You moved along the first two axes. Rows and columns are the last two, whatever comes before.",
        ),
        "slices for positive moves": Misconception(
            _shift_down_right,
            "Slices such as y[dy:] and x[:-dy] fit a move down or right only: a negative limit counts from "
            "the other end, and x[:-0] is empty.",
        ),
        "rolled, then wrong zeros": Misconception(
            _shift_rolled,
            "What you set to zero after np.roll is right for a move down or right only: of a move up, the "
            "rows at the bottom came from the other side, of a move left, the columns at the right.",
        ),
        "rolled, zeros on one side": Misconception(
            _shift_rolled_abs,
            "The zeros are always at the top and at the left. On a move up they come in at the bottom, on a "
            "move left at the right.",
        ),
        "rolled, no zeros for negative moves": Misconception(
            _shift_rolled_half,
            "On a move up or left, what has left still enters on the other side: set it to zero there too.",
        ),
        "empty": Misconception(
            lambda x, dy, dx: np.zeros_like(x),
            "The result is zero everywhere: nothing was copied into it.",
        ),
        "float64": Misconception(
            _shift_float64,
            "The numbers are right, but np.zeros makes float64: give it the dtype of x, or use zeros_like.",
        ),
        "negative ignored": Misconception(
            lambda x, dy, dx: _shift(x, max(dy, 0), max(dx, 0)),
            "Negative dy (up) or dx (left) does nothing yet.",
        ),
        "sign lost": Misconception(
            lambda x, dy, dx: _shift(x, abs(dy), abs(dx)),
            "Negative dy or dx moves the wrong way: the sign got lost.",
        ),
    },
    alternatives={"pad and crop": _shift_padded, "loops": _shift_loop},
)

# ---- 5. Find the bug: a normalization --------------------------------------------------------------------

_CHANNEL = (0, 2, 3)  # the axes over which a statistic of one channel is taken in NCHW


def _standardize(batch: np.ndarray) -> np.ndarray:
    return (batch - batch.mean(axis=_CHANNEL, keepdims=True)) / batch.std(axis=_CHANNEL, keepdims=True)


def _wrapped(batch: np.ndarray) -> np.ndarray:
    """The batch minus its rounded means, in uint8: what lies below the mean wraps around."""
    return batch - batch.mean(axis=_CHANNEL, keepdims=True).astype(np.uint8)


def _standardize_buggy(batch):
    centered = _wrapped(batch)
    return centered / centered.std(axis=(1, 2, 3), keepdims=True)


def _standardize_only_axes(batch):
    centered = _wrapped(batch)
    return centered / centered.std(axis=_CHANNEL, keepdims=True)


def _standardize_by(axes_of_mean, axes_of_std, power=1):
    def mistaken(batch):
        mean = batch.mean(axis=axes_of_mean, keepdims=True)
        return (batch - mean) / (batch - mean).std(axis=axes_of_std, keepdims=True) ** power

    return mistaken


def _standardize_rounded(batch):
    mean = batch.mean(axis=_CHANNEL, keepdims=True).astype(np.uint8)
    return (batch.astype(np.float64) - mean) / batch.std(axis=_CHANNEL, keepdims=True)


def _standardize_formula(batch):
    x = batch.astype(np.float64).transpose(1, 0, 2, 3).reshape(batch.shape[1], -1)  # (C, N H W)
    mean = x.mean(axis=1)
    std = np.sqrt((x**2).mean(axis=1) - mean**2)
    return (batch - mean.reshape(1, -1, 1, 1)) / std.reshape(1, -1, 1, 1)


def _batch(rng: np.random.Generator, n: int, c: int, h: int, w: int) -> np.ndarray:
    """Random pictures whose channels and pictures differ in brightness and contrast."""
    contrast, level = rng.uniform(20, 60, (n, c, 1, 1)), rng.uniform(70, 180, (n, c, 1, 1))
    return np.clip(rng.normal(level, contrast, (n, c, h, w)), 0, 255).astype(np.uint8)


standardize = Task(
    name="ex01.standardize",
    title="5 · Find the bug: a normalization",
    section="1.3 One byte a number, and what breaks; 1.4 The range a network likes",
    reference=_standardize,
    cases=lambda rng: [
        Case("two color pictures", 1.0, (_batch(rng, 2, 3, 5, 4),)),
        Case("three pictures, two channels", 0.5, (_batch(rng, 3, 2, 4, 6),)),
    ],
    misconceptions={
        "as it was": Misconception(
            _standardize_buggy,
            "This is the result of the given code. Print the smallest value of `centered`: can it be right?",
        ),
        "still wraps": Misconception(
            _standardize_only_axes,
            "The axes are right now. But the subtraction still happens in uint8: pixels darker than the mean "
            "wrap around and come out bright.",
        ),
        "std of each picture": Misconception(
            _standardize_by(_CHANNEL, (1, 2, 3)),
            "The subtraction is right now. But the std is taken over all channels of each picture, "
            "not over all pictures for each channel.",
        ),
        "std of each picture as it came": Misconception(
            lambda batch: (
                (batch - batch.mean(axis=_CHANNEL, keepdims=True)) / batch.std(axis=(1, 2, 3), keepdims=True)
            ),
            "The mean is right now. But the std is still that of each whole picture: take it over the same "
            "axes as the mean.",
        ),
        "rounded mean": Misconception(
            _standardize_rounded,
            "Nothing wraps now, but the mean is still cut to a whole number.",
        ),
        "each picture alone": Misconception(
            _standardize_by((2, 3), (2, 3)),
            "You normalized each picture by itself. Take the statistics of a channel over the whole batch.",
        ),
        "all channels alike": Misconception(
            _standardize_by((0, 1, 2, 3), (0, 1, 2, 3)),
            "There is one mean and one std for all channels. Each channel has its own: leave axis 1 out.",
        ),
        "each place alone": Misconception(
            _standardize_by((0,), (0,)),
            "You took the statistics over the pictures only, place by place. Rows and columns belong to a "
            "channel too.",
        ),
        "parentheses": Misconception(
            lambda batch: (
                batch - batch.mean(axis=_CHANNEL, keepdims=True) / batch.std(axis=_CHANNEL, keepdims=True)
            ),
            "You divided the mean alone by the std: put parentheses around the subtraction.",
        ),
        "int8": Misconception(
            lambda batch: _standardize(batch.astype(np.int8)),
            "An int8 runs from -128 to 127: the bright half of the bytes does not fit. Use a float type.",
        ),
        "variance": Misconception(
            _standardize_by(_CHANNEL, _CHANNEL, power=2),
            "You divided by the variance, not by its root.",
        ),
        "mean only": Misconception(
            _standardize_by(_CHANNEL, _CHANNEL, power=0),
            "You subtracted the mean. Now divide by the standard deviation.",
        ),
    },
    alternatives={
        "through the squares": _standardize_formula,
        "float32": lambda batch: _standardize(batch.astype(np.float32)),
    },
)

# ---- 6. Experiment: which way hurts more? ----------------------------------------------------------------

_MOVES = {"not moved": (0, 0), "right by 2": (0, 2), "down by 2": (2, 0)}
_CONCLUSION = "b"


@cache
def _garments() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    from utils import data

    train, test = (data.load(split=split, sample=True) for split in ("train", "test"))
    return train.images / 255, train.labels, test.images / 255, test.labels


@cache
def _weights(dy: int = 0, dx: int = 0) -> np.ndarray:
    """Weights of the dense layer, formula (1.5), for training pictures moved by (dy, dx)."""
    images, labels, _, _ = _garments()
    x = np.column_stack([_shift(images, dy, dx).reshape(len(images), -1), np.ones(len(images))])
    return np.linalg.solve(x.T @ x + 100 * np.eye(x.shape[1]), x.T @ np.eye(10)[labels])


def _accuracy(weights: np.ndarray, x: np.ndarray, labels: np.ndarray) -> float:
    scores = x.reshape(len(x), -1) @ weights[:-1] + weights[-1]
    return float(np.mean(scores.argmax(axis=1) == labels))


def _moved(key: str, move=_shift, trained_on_moved: bool = False, split: str = "test") -> float | str:
    if key == "conclusion":
        return _CONCLUSION
    dy, dx = _MOVES[key]
    images, labels = _garments()[:2] if split == "train" else _garments()[2:]
    weights = _weights(dy, dx) if trained_on_moved else _weights()
    return _accuracy(weights, move(images, dy, dx), labels)


def _concluded(letter: str):
    return lambda key: letter if key == "conclusion" else _moved(key)


moved = Task(
    name="ex01.moved",
    title="6 · Experiment: which way hurts more?",
    section="1.7 One pixel to the right",
    reference=_moved,
    cases=lambda rng: [
        Case("accuracy, not moved", 0.3, ("not moved",)),
        Case("accuracy, moved right by 2", 0.4, ("right by 2",)),
        Case("accuracy, moved down by 2", 0.4, ("down by 2",)),
        Case("conclusion", 0.4, ("conclusion",)),
    ],
    misconceptions={
        "percent": Misconception(
            lambda key: 100 * _moved(key) if key != "conclusion" else _CONCLUSION,
            "These are percent. Give the accuracy as a number between 0 and 1.",
        ),
        "percent, rounded": Misconception(
            lambda key: float(round(100 * _moved(key))) if key != "conclusion" else _CONCLUSION,
            "These are whole percent. Give the accuracy as a number between 0 and 1, with three decimals.",
        ),
        "two decimals": Misconception(
            lambda key: round(_moved(key), 2) if key != "conclusion" else _CONCLUSION,
            "Rounded to two decimals, as the chapter prints them: give at least three.",
        ),
        "training pictures": Misconception(
            lambda key: _moved(key, split="train"),
            "This is the accuracy on the training pictures, which the layer has seen. Use the test pictures.",
        ),
        "trained on moved pictures": Misconception(
            lambda key: _moved(key, trained_on_moved=True),
            "You moved the training pictures too. Fit once, on pictures that are not moved.",
        ),
        "wraps around": Misconception(
            lambda key: _moved(key, move=lambda x, dy, dx: np.roll(x, (dy, dx), axis=(-2, -1))),
            "What leaves on one side enters on the other, as np.roll does. Let zeros come in.",
        ),
        "wrong direction": Misconception(
            lambda key: _moved(key, move=lambda x, dy, dx: _shift(x, -dy, -dx)),
            "The pictures move the other way. Show one with plot.images and look.",
        ),
        "axes exchanged": Misconception(
            lambda key: _moved(key, move=lambda x, dy, dx: _shift(x, dx, dy)),
            "Right and down are exchanged. The last axis runs along a row: to move right, shift along it.",
        ),
        "a pixel is a pixel": Misconception(
            _concluded("a"),
            "Compare both losses with the first accuracy: they differ by much more than the luck of a "
            "thousand test pictures.",
        ),
        "cut off": Misconception(
            _concluded("c"),
            "Look at the two accuracies again: which is lower?",
        ),
        "cut off at the side": Misconception(
            _concluded("d"),
            "The direction is right, the cause is not: move with np.roll, which cuts nothing off.",
        ),
    },
    alternatives={
        "pad and crop": lambda key: _moved(key, move=_shift_padded),
        "capital letter": lambda key: "B)" if key == "conclusion" else _moved(key),
        "three decimals": lambda key: _CONCLUSION if key == "conclusion" else round(_moved(key), 3),
    },
    rtol=0.0,
    atol=1.5e-3,  # one picture in a thousand may fall on the other side with another linear-algebra library
)

TASKS = (counts, to_nchw, brighten, shift, standardize, moved)
