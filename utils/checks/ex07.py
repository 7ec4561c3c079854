"""Exercise 7, receptive fields: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. Fields by hand -----------------------------------------------------------------------------------

# Convolution 7×7/2 padding 2; pooling 3×3/2; convolution 3×3 padding 1; convolution 3×3/2, dilation 2,
# padding 1. Unit 3 of the last layer. And three 3×3 layers against one 7×7, 32 channels, no biases.
_HAND = {
    "size": 1 + 6 + 2 * 2 + 2 * 4 + 2 * 2 * 4,
    "jump": 2 * 2 * 1 * 2,
    "start": (3 - 2) + 1 * 2 + (1 - 1) * 4 + (2 - 1) * 4,
    "first pixel": 7 + 3 * 8 - 17,
    "weights saved": (49 - 3 * 9) * 32 * 32,
}


def _hand_with(**wrong: float) -> Callable[[str], float]:
    """The right numbers, but for those given (underscores stand for spaces)."""
    values = _HAND | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


hand = Task(
    name="ex07.hand",
    title="1 · Fields by hand",
    section="7.2 The recursion; 7.6 Small kernels, stacked",
    reference=_HAND.__getitem__,
    cases=lambda rng: [
        Case("the size of the field", 0.4, ("size",)),
        Case("the jump", 0.4, ("jump",)),
        Case("the start", 0.4, ("start",)),
        Case("the first pixel of unit 3", 0.4, ("first pixel",)),
        Case("the weights saved", 0.4, ("weights saved",)),
    ],
    misconceptions={
        "jump of the same layer": Misconception(
            _hand_with(size=13 + 2 * 4 + 2 * 4 + 4 * 8, start=2 + 4 + 8),
            "You used the jump behind each layer. Its taps stand on the map below: use the jump of that one.",
        ),
        "strides ignored": Misconception(
            _hand_with(size=1 + 6 + 2 + 2 + 4, start=1 + 1 + 0 + 1),
            "That would be right without strides. A step on a strided map is several pixels long.",
        ),
        "dilation ignored": Misconception(
            _hand_with(size=1 + 6 + 4 + 8 + 8, start=3),
            "The last layer's taps are not neighbors: with dilation they span more of the map below.",
        ),
        "dilated kernel d times k": Misconception(
            _hand_with(size=19 + (2 * 3 - 1) * 4),
            "Three taps with dilation 2 have two gaps between them, so they span less than 2 times 3 units.",
        ),
        "kernels added": Misconception(
            _hand_with(size=1 + 7 + 3 * 2 + 3 * 4 + 6 * 4),
            "A kernel of k adds k - 1 steps: with k = 1 nothing is added.",
        ),
        "no pixel to begin with": Misconception(
            _hand_with(size=34), "One too few: a pixel sees itself, so the recursion begins with size 1."
        ),
        "last stride left out": Misconception(
            _hand_with(jump=4), "The stride of the last layer counts too: its units are further apart."
        ),
        "dilation in the jump": Misconception(
            _hand_with(jump=16), "Dilation widens a window. It does not move the units further apart."
        ),
        "strides added": Misconception(
            _hand_with(jump=2 + 2 + 1 + 2),
            "Strides multiply: a step on a strided map is already several pixels.",
        ),
        "padding ignored": Misconception(
            _hand_with(start=3 + 1 * 2 + 1 * 4 + 2 * 4),
            "Padding moves the first unit to the left: subtract it, in steps of the jump below.",
        ),
        "pixels begin at 0": Misconception(
            _hand_with(start=7.5, first_pixel=14.5),
            "Half a pixel too far: here the center of the first pixel is 0, not 0.5.",
        ),
        "first pixel of unit 0": Misconception(
            _hand_with(first_pixel=-10), "There the field of unit 0 begins. Unit 3 is three jumps further."
        ),
        "first pixel for the start": Misconception(
            _hand_with(start=-10),
            "That is where the field of unit 0 begins. The start is its center, half a field further.",
        ),
        "padding not scaled": Misconception(
            _hand_with(start=3 + 1 * 2 + 1 * 4 + 2 * 4 - (2 + 0 + 1 + 1)),
            "A zero before a deep map is not one pixel wide: padding counts in steps of the jump below.",
        ),
        "center for the first pixel": Misconception(
            _hand_with(first_pixel=31), "That is the center of unit 3. Its field begins half a field before."
        ),
        "half of the size": Misconception(
            _hand_with(first_pixel=31 - 17.5),
            "From the center to the first pixel it is half of size minus one: the center is a pixel itself.",
        ),
        "unit not scaled": Misconception(
            _hand_with(first_pixel=7 + 3 - 17), "Unit 3 stands three jumps from unit 0, not three pixels."
        ),
        "last pixel": Misconception(
            _hand_with(first_pixel=31 + 17),
            "That is the last pixel of the field, not the first.",
        ),
        "weights left": Misconception(
            _hand_with(weights_saved=27 * 32 * 32),
            "Those are the weights of the stack. How many are saved?",
        ),
        "one channel": Misconception(
            _hand_with(weights_saved=22),
            "That is one filter on one channel. Every filter is as deep as its input, and there are many.",
        ),
        "one filter": Misconception(
            _hand_with(weights_saved=22 * 32),
            "That is one filter of each layer. There are as many as channels.",
        ),
        "one small layer": Misconception(
            _hand_with(weights_saved=(49 - 9) * 32 * 32),
            "One 3×3 layer does not see as much as a 7×7 layer. How many of them do?",
        ),
        "two small layers": Misconception(
            _hand_with(weights_saved=(49 - 18) * 32 * 32),
            "Two 3×3 layers see 5×5. How many does it take for 7×7?",
        ),
        "with biases": Misconception(
            _hand_with(weights_saved=22 * 32 * 32 - 2 * 32), "Without biases, the task says: weights alone."
        ),
    },
)


# ---- 2. The recursion ------------------------------------------------------------------------------------


def _fields(layers):
    size, jump, start = 1, 1, 0
    rows = []
    for kernel, stride, padding, dilation in layers:
        reach = dilation * (kernel - 1)
        size = size + reach * jump
        start = start + (reach / 2 - padding) * jump
        jump = jump * stride
        rows.append((size, jump, start))
    return np.array(rows)


def _fields_by_ends(layers):
    """First and last pixel of the units 0 and 1, traced back to the picture."""
    rows = []
    for depth in range(1, len(layers) + 1):
        ends = []
        for unit in (0, 1):
            first = last = unit
            for kernel, stride, padding, dilation in reversed(layers[:depth]):
                first = first * stride - padding
                last = last * stride - padding + dilation * (kernel - 1)
            ends.append((first, last))
        (first, last), (following, _) = ends
        rows.append((last - first + 1, following - first, (first + last) / 2))
    return np.array(rows)


def _fields_by_products(layers):
    """(7.5): every layer's own share times all strides before it."""
    kernel, stride, padding, dilation = np.array(layers).T
    jump = np.cumprod(stride)
    before = jump / stride
    reach = dilation * (kernel - 1)
    size = 1 + np.cumsum(reach * before)
    return np.stack([size, jump, np.cumsum((reach / 2 - padding) * before)], axis=1)


def _fields_with(
    reach: Callable = lambda k, s, p, d: d * (k - 1),
    shift: Callable = lambda reach, p: reach / 2 - p,
    late: bool = False,
    scaled: bool = True,
    jump_of: Callable = lambda jump, s, d: jump * s,
    first: float = 1,
    start: float = 0.0,
) -> Callable:
    """The recursion with one of its parts exchanged; `late`: the jump is that behind the layer."""

    def fields(layers):
        size, jump, begin, rows = first, 1, start, []
        for k, s, p, d in layers:
            after = jump_of(jump, s, d)
            step = after if late else jump
            size += reach(k, s, p, d) * step
            begin += shift(reach(k, s, p, d), p) * (step if scaled else 1)
            jump = after
            rows.append((size, jump, begin))
        return np.array(rows, dtype=float)

    return fields


def _last_row(layers):
    return _fields(layers)[-1]


def _start_late(layers):
    """Size and jump are right; the start takes the jump behind the layer."""
    rows, begin = _fields(layers), 0.0
    for row, (kernel, _, padding, dilation) in zip(rows, layers, strict=True):
        begin += ((kernel - 1) * dilation / 2 - padding) * row[1]
        row[2] = begin
    return rows


def _start_undilated(layers):
    rows = _fields(layers)
    rows[:, 2] = _fields([(*layer[:3], 1) for layer in layers])[:, 2]
    return rows


def _with_the_picture(layers):
    return np.vstack([[1.0, 1.0, 0.0], _fields(layers)])


def _fields_cases(rng) -> list[Case]:
    def layer(stride=None, dilation=None, padded=True):
        k = int(rng.integers(2, 8))
        padding = int(rng.integers(1, 5)) if padded else 0
        return (k, stride or int(rng.integers(2, 5)), padding, dilation or int(rng.integers(2, 5)))

    return [
        Case("kernels alone", 0.5, ([(5, 1, 0, 1), (4, 1, 0, 1), (3, 1, 0, 1)],)),
        Case("strides", 0.5, ([(4, 2, 0, 1), (3, 3, 0, 1), (5, 2, 0, 1)],)),
        Case("padding and strides", 0.5, ([(7, 2, 2, 1), (3, 2, 0, 1), (4, 3, 3, 1)],)),
        Case("dilation", 0.5, ([(3, 1, 1, 2), (4, 1, 2, 3), (3, 1, 0, 5)],)),
        Case("all together", 0.5, ([layer() for _ in range(4)],)),
    ]


fields = Task(
    name="ex07.fields",
    title="2 · The recursion",
    section="7.2 The recursion",
    reference=_fields,
    cases=_fields_cases,
    misconceptions={
        "jump updated first": Misconception(
            _fields_with(late=True),
            "The jump is multiplied too early: size and start need the jump of the map below.",
        ),
        "stride ignored": Misconception(
            _fields_with(jump_of=lambda jump, s, d: jump),
            "The jump stays at one: multiply it by the stride of each layer, after using it.",
        ),
        "strides added": Misconception(
            _fields_with(jump_of=lambda jump, s, d: jump + s - 1),
            "You add the strides up. A step of this layer is s steps of the layer below: multiply.",
        ),
        "jump is the stride": Misconception(
            _fields_with(jump_of=lambda jump, s, d: s),
            "Your jump is the stride of one layer. It is the product of all strides so far.",
        ),
        "dilation in the jump": Misconception(
            _fields_with(jump_of=lambda jump, s, d: jump * s * d),
            "Dilation widens the window of its layer. It is no part of the jump, which tells units apart.",
        ),
        "dilation ignored": Misconception(
            _fields_with(reach=lambda k, s, p, d: k - 1),
            "The dilation is missing: from the first tap to the last there are d (k - 1) units.",
        ),
        "d times k": Misconception(
            _fields_with(reach=lambda k, s, p, d: d * k - 1),
            "That is too much: k taps have k - 1 gaps between them, each d wide.",
        ),
        "k for k - 1": Misconception(
            _fields_with(reach=lambda k, s, p, d: d * k),
            "A kernel of 1 must not widen the field: k taps have k - 1 gaps.",
        ),
        "padding in the size": Misconception(
            _fields_with(reach=lambda k, s, p, d: d * (k - 1) - 2 * p, shift=lambda reach, p: reach / 2),
            "You subtract the padding from the field. Padding moves fields, it does not shrink them.",
        ),
        "padding ignored": Misconception(
            _fields_with(shift=lambda reach, p: reach / 2),
            "The start lacks the padding: the first window begins p units before the first unit below.",
        ),
        "padding the wrong way": Misconception(
            _fields_with(shift=lambda reach, p: reach / 2 + p),
            "Padding moves the first unit to the left, so it is subtracted.",
        ),
        "half of the padding": Misconception(
            _fields_with(shift=lambda reach, p: (reach - p) / 2),
            "You halved the padding. p stands on one side already: half is taken of the window alone.",
        ),
        "start in units": Misconception(
            _fields_with(scaled=False),
            "The start counts units of the layer below as if they were pixels: multiply by the jump.",
        ),
        "start of the window": Misconception(
            _fields_with(shift=lambda reach, p: -p),
            "Your start is where the first field begins. It should be its center: add half of each window.",
        ),
        "start late": Misconception(
            _start_late,
            "Sizes and jumps are right. The start, too, needs the jump of the map below, not the new one.",
        ),
        "start undilated": Misconception(
            _start_undilated,
            "The dilation is missing in the start: the middle of the window lies d (k - 1) / 2 from its end.",
        ),
        "start rounded down": Misconception(
            lambda layers: np.floor(_fields(layers)),
            "Your starts are whole numbers. An even window has its center between two pixels: do not round.",
        ),
        "start rounded each time": Misconception(
            _fields_with(shift=lambda reach, p: reach // 2 - p),
            "You rounded half of the window. An even one has its center between two units: divide by 2.",
        ),
        "size from 0": Misconception(
            _fields_with(first=0), "All sizes are one too small: a pixel sees itself, so begin with size 1."
        ),
        "start at one half": Misconception(
            _fields_with(start=0.5),
            "All starts are half a pixel too far: here the center of the first pixel is 0.",
        ),
        "the last layer only": Misconception(
            _last_row, "That is the last layer alone. One row for each layer was asked for."
        ),
        "a row for the picture": Misconception(
            _with_the_picture, "One row too many: the picture itself is not a layer."
        ),
        "transposed": Misconception(
            lambda layers: _fields(layers).T, "Right numbers, wrong way around: a row is a layer."
        ),
    },
    alternatives={"by tracing two units": _fields_by_ends, "by products": _fields_by_products},
)


# ---- 3. The region of a unit -----------------------------------------------------------------------------


def _region(layers, shape, unit):
    size, jump, start = _fields(layers)[-1]
    ends = []
    for axis in (0, 1):
        center = start + unit[axis] * jump
        ends.append(max(center - (size - 1) / 2, 0))
        ends.append(min(center + (size - 1) / 2, shape[axis] - 1))
    return np.array(ends)


def _region_by_tracing(layers, shape, unit):
    """Backward through the layers; what lies outside of the picture is left out at the end."""
    ends = []
    for axis in (0, 1):
        first = last = unit[axis]
        for kernel, stride, padding, dilation in reversed(layers):
            first = first * stride - padding
            last = last * stride - padding + dilation * (kernel - 1)
        ends.append(max(first, 0))
        ends.append(min(last, shape[axis] - 1))
    return np.array(ends)


def _region_with(
    ends: Callable = lambda center, size: (center - (size - 1) / 2, center + (size - 1) / 2),
    clip: Callable = lambda first, last, length: (max(first, 0), min(last, length - 1)),
    swap: Callable = lambda shape, unit: (shape, unit),
    numbers: Callable = lambda layers: _fields(layers)[-1],
    order: tuple = (0, 1, 2, 3),
) -> Callable:
    """The region with one of its parts exchanged."""

    def region(layers, shape, unit):
        size, jump, start = numbers(layers)
        found = []
        for length, i in zip(*swap(shape, unit), strict=True):
            found += clip(*ends(start + i * jump, size), length)
        return np.floor(np.array(found))[list(order)].astype(int)

    return region


def _start_0(layers):
    size, jump, _ = _fields(layers)[-1]
    return size, jump, (size - 1) / 2


def _jump_1(layers):
    size, _, start = _fields(layers)[-1]
    return size, 1, start


def _region_cases(rng) -> list[Case]:
    # Every window of every layer fits, so that no pixel at the end is left unread: clipping (7.4) and
    # clipping map by map agree. Behind both stacks, 16 h + 1 pixels become 4 h + 1 units.
    stack = [(3, 2, 1, 1), (3, 1, 1, 1), (5, 2, 2, 1)]
    dilated = [(3, 1, 2, 2), (5, 4, 2, 1), (3, 1, 1, 1)]
    h, w = (int(n) for n in rng.permutation(np.arange(4, 8))[:2])
    shape, last = (16 * h + 1, 16 * w + 1), (4 * h, 4 * w)
    i, j = (int(n) for n in rng.permutation(np.arange(5, 11))[:2])
    return [
        Case("a unit far from the border", 0.5, ([(4, 2, 1, 1), (3, 2, 0, 1)], (91, 83), (i, j))),
        Case("a unit near the upper left corner", 0.5, (stack, shape, (0, 1))),
        Case("a unit near the lower right corner", 0.5, (stack, shape, (last[0] - 1, last[1]))),
        Case("a unit at the right edge, dilation", 0.5, (dilated, shape, (i, last[1]))),
    ]


region = Task(
    name="ex07.region",
    title="3 · The region of a unit",
    section="7.2 The recursion; 7.5 Padding",
    reference=_region,
    cases=_region_cases,
    misconceptions={
        "not clipped": Misconception(
            _region_with(clip=lambda first, last, length: (first, last)),
            "Your region reaches beyond the picture: what lies outside is padding, not pixels.",
        ),
        "clipped to the length": Misconception(
            _region_with(clip=lambda first, last, length: (max(first, 0), min(last, length))),
            "One pixel too far at the end: a picture of H rows ends with row H - 1.",
        ),
        "end excluded": Misconception(
            _region_with(clip=lambda first, last, length: (max(first, 0), min(last, length - 1) + 1)),
            "Your ends are one too large, as in a slice. Here the last row and column belong to the region.",
        ),
        "clipped at the beginning only": Misconception(
            _region_with(clip=lambda first, last, length: (max(first, 0), last)),
            "At the upper left the region is cut; at the lower right it still reaches beyond the picture.",
        ),
        "clipped at the end only": Misconception(
            _region_with(clip=lambda first, last, length: (first, min(last, length - 1))),
            "At the lower right the region is cut; at the upper left it still begins before the picture.",
        ),
        "moved inside": Misconception(
            _region_with(
                clip=lambda first, last, length: (
                    first - min(first, 0) - max(last - length + 1, 0),
                    last - min(first, 0) - max(last - length + 1, 0),
                )
            ),
            "You moved the region into the picture. It is cut off at the border, so it becomes smaller.",
        ),
        "center is the beginning": Misconception(
            _region_with(ends=lambda center, size: (center, center + size - 1)),
            "Your regions begin at the center of the field: half of it lies before.",
        ),
        "half of the size": Misconception(
            _region_with(ends=lambda center, size: (center - size / 2, center + size / 2)),
            "From the center to the border it is half of size minus one, for the center is a pixel itself.",
        ),
        "whole size each way": Misconception(
            _region_with(ends=lambda center, size: (center - size + 1, center + size - 1)),
            "Your regions are twice as wide as the field: half of it lies on each side of the center.",
        ),
        "padding ignored": Misconception(
            _region_with(numbers=_start_0),
            "Unit 0 begins at pixel 0 in your regions. With padding its field begins before the picture.",
        ),
        "jump forgotten": Misconception(
            _region_with(numbers=_jump_1),
            "Neighboring units lie one pixel apart in your regions. They are one jump apart.",
        ),
        "dilation ignored": Misconception(
            _region_with(numbers=lambda layers: _fields([(*layer[:3], 1) for layer in layers])[-1]),
            "The dilation has no effect on your regions: it widens the window of its layer.",
        ),
        "rows and columns swapped": Misconception(
            _region_with(order=(2, 3, 0, 1)),
            "Rows and columns are swapped: the unit is (row, column), the ends are top, bottom, left, right.",
        ),
        "height and width swapped": Misconception(
            _region_with(swap=lambda shape, unit: (shape[::-1], unit)),
            "Rows are cut at the width of the picture, columns at its height: shape is (H, W).",
        ),
        "corners": Misconception(
            _region_with(order=(0, 2, 1, 3)),
            "Right numbers in the order top, left, bottom, right. Return top, bottom, left, right.",
        ),
    },
    alternatives={"by tracing": _region_by_tracing},
)


# ---- 4. Find the bug -------------------------------------------------------------------------------------


def _field_size(layers):
    size, jump = 1, 1
    for kernel, stride, dilation in layers:
        size += (kernel - 1) * dilation * jump
        jump *= stride
    return size


def _field_size_backward(layers):
    """From the last layer to the picture: how many units of each map are needed."""
    size = 1
    for kernel, stride, dilation in reversed(layers):
        size = (size - 1) * stride + dilation * (kernel - 1) + 1
    return size


def _field_size_with(
    reach: Callable = lambda k, d: (k - 1) * d,
    late: bool = False,
    jump_of: Callable = lambda jump, s, d: jump * s,
) -> Callable:
    def field_size(layers):
        size, jump = 1, 1
        for k, s, d in layers:
            after = jump_of(jump, s, d)
            size += reach(k, d) * (after if late else jump)
            jump = after
        return size

    return field_size


def _field_size_cases(rng) -> list[Case]:
    k = rng.permutation(np.arange(3, 9))[:5].tolist()
    return [
        Case("strides without dilation", 0.5, ([(k[0], 2, 1), (k[1], 3, 1), (k[2], 2, 1)],)),
        Case("dilation without strides", 0.5, ([(k[1], 1, 2), (k[2], 1, 4), (k[3], 1, 3)],)),
        Case("strides and dilation", 0.5, ([(k[2], 3, 2), (k[3], 2, 5), (k[4], 2, 3)],)),
    ]


field_size = Task(
    name="ex07.field_size",
    title="4 · Find the bug: a calculator",
    section="7.2 The recursion; 7.4 Strides, and where they stand",
    reference=_field_size,
    cases=_field_size_cases,
    misconceptions={
        "not repaired": Misconception(
            _field_size_with(reach=lambda k, d: k * d - 1, late=True),
            "Both mistakes are still there. Work out two layers with stride 2 by hand, then a dilated one.",
        ),
        "jump still early": Misconception(
            _field_size_with(late=True),
            "The dilation is right now. But whose jump does a layer use: its own, or that of the map below?",
        ),
        "dilation still wrong": Misconception(
            _field_size_with(reach=lambda k, d: k * d - 1),
            "The jump is right now. How many units lie between the first and the last of k taps, d apart?",
        ),
        "k for k - 1": Misconception(
            _field_size_with(reach=lambda k, d: k * d),
            "A kernel of 1 must add nothing: k taps have k - 1 gaps between them.",
        ),
        "dilation dropped": Misconception(
            _field_size_with(reach=lambda k, d: k - 1), "Now the dilation has no effect at all."
        ),
        "dilation dropped, jump early": Misconception(
            _field_size_with(reach=lambda k, d: k - 1, late=True),
            "The dilation has no effect now, and the jump is still multiplied too early.",
        ),
        "dilation added": Misconception(
            _field_size_with(reach=lambda k, d: k - 1 + d - 1),
            "The dilation widens every gap between two taps, not one of them.",
        ),
        "dilation moved to the jump": Misconception(
            _field_size_with(reach=lambda k, d: k - 1, jump_of=lambda jump, s, d: jump * s * d),
            "You moved the dilation into the jump. It widens its own layer, and no later one.",
        ),
        "dilation in both": Misconception(
            _field_size_with(jump_of=lambda jump, s, d: jump * s * d),
            "The dilation now counts in the jump as well: units do not move apart by it.",
        ),
        "stride dropped": Misconception(
            _field_size_with(jump_of=lambda jump, s, d: 1), "Now the strides have no effect at all."
        ),
        "last stride only": Misconception(
            _field_size_with(jump_of=lambda jump, s, d: s),
            "Only the stride of one layer counts in your jump. It is the product of all strides before.",
        ),
    },
    alternatives={"backward": _field_size_backward},
)


# ---- 5. What a unit effectively sees ---------------------------------------------------------------------


def _influence(layers: list[tuple[int, int, int]]) -> np.ndarray:
    """Gradient of one unit for each pixel of its field; layers of (kernel, stride, dilation)."""
    gradient = np.ones(1)
    for kernel, stride, dilation in reversed(layers):
        spread = np.zeros((len(gradient) - 1) * stride + 1)
        spread[::stride] = gradient
        taps = np.zeros(dilation * (kernel - 1) + 1)
        taps[::dilation] = 1 / kernel
        gradient = np.convolve(spread, taps)
    return gradient


def _columns_holding(share: float, gradient: np.ndarray) -> int:
    """How many columns around the middle hold this share of the gradient."""
    middle = len(gradient) // 2
    for half in range(middle + 1):
        if gradient[middle - half : middle + half + 1].sum() >= share * gradient.sum():
            return 2 * half + 1
    return len(gradient)


def _sigma(gradient: np.ndarray) -> float:
    """The standard deviation of a gradient that sums to 1, in pixels."""
    place = np.arange(len(gradient))
    return float(np.sqrt((gradient * (place - (gradient * place).sum()) ** 2).sum()))


_STRIDED = [(3, 2, 1)] + [(3, 1, 1)] * 19
_GRIDDED = [(3, 1, 3)] * 3
_EFFECTIVE = {
    "columns 20": _columns_holding(0.95, _influence([(3, 1, 1)] * 20)),
    "columns 80": _columns_holding(0.95, _influence([(3, 1, 1)] * 80)),
    "columns strided": _columns_holding(0.95, _influence(_STRIDED)),
    "pixels read": int(np.count_nonzero(_influence(_GRIDDED)) ** 2),
    "rule": "c",
}


def _effective_with(**wrong) -> Callable[[str], float | str]:
    values = _EFFECTIVE | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


def _all_columns(change: Callable[[str, np.ndarray], float]) -> Callable[[str], float | str]:
    """The three widths measured in another way."""
    gradients = {
        "columns 20": _influence([(3, 1, 1)] * 20),
        "columns 80": _influence([(3, 1, 1)] * 80),
        "columns strided": _influence(_STRIDED),
    }
    return lambda key: change(key, gradients[key]) if key in gradients else _EFFECTIVE[key]


effective = Task(
    name="ex07.effective",
    title="5 · Experiment: what a unit effectively sees",
    section="7.9 What it effectively sees; 7.4 Strides, and where they stand",
    reference=_EFFECTIVE.__getitem__,
    cases=lambda rng: [
        Case("twenty layers", 0.4, ("columns 20",)),
        Case("eighty layers", 0.4, ("columns 80",)),
        Case("a stride in the first layer", 0.4, ("columns strided",)),
        Case("dilation 3 three times", 0.4, ("pixels read",)),
        Case("the rule", 0.4, ("rule",)),
    ],
    misconceptions={
        "the whole field": Misconception(
            _all_columns(lambda key, gradient: len(gradient)),
            "Those are whole fields. How few columns around the middle hold 95 % of the gradient?",
        ),
        "half of it": Misconception(
            _all_columns(lambda key, gradient: _columns_holding(0.95, gradient) // 2),
            "You counted the columns on one side of the middle. Count both sides and the middle.",
        ),
        "one column more": Misconception(
            _all_columns(lambda key, gradient: _columns_holding(0.95, gradient) + 1),
            "The middle and as many columns on each side of it: that is an odd number.",
        ),
        "by the formula": Misconception(
            _all_columns(lambda key, gradient: 4 * _sigma(gradient)),
            "That is four sigma, a good estimate. Count columns of the measured gradient: a whole number.",
        ),
        "one column short": Misconception(
            _all_columns(lambda key, gradient: _columns_holding(0.95, gradient) - 2),
            "That holds a little less than 95 %: take one more column on each side.",
        ),
        "above a threshold": Misconception(
            _all_columns(lambda key, gradient: int((gradient > 0.05 * gradient.max()).sum())),
            "You counted columns above 5 % of the maximum. Asked for are those that hold 95 % of the sum.",
        ),
        "four times as wide": Misconception(
            _effective_with(columns_80=4 * _EFFECTIVE["columns 20"]),
            "You multiplied the width of 20 layers by 4. Measure it: the field grows so, the bell does not.",
        ),
        "stride at the end": Misconception(
            _effective_with(columns_strided=_EFFECTIVE["columns 20"]),
            "That is the width without the stride, or with it in the last layer. It stands in the first.",
        ),
        "one axis": Misconception(
            _effective_with(pixels_read=7), "That is along one axis. How many pixels of the square are read?"
        ),
        "paths": Misconception(
            _effective_with(pixels_read=27 * 27),
            "Those are the paths. Several of them end at the same pixel: count the gradient's entries.",
        ),
        "field instead of pixels": Misconception(
            _effective_with(pixels_read=19 * 19),
            "Those are all pixels of the field. With dilation 3 in every layer, are all of them read?",
        ),
        "field along one axis": Misconception(
            _effective_with(pixels_read=19),
            "That is the width of the field. Count the pixels whose gradient is not 0, in two dimensions.",
        ),
        "rule a": Misconception(
            _effective_with(rule="a"),
            "With 20 and 80 layers you measured what more layers do: compare the widths with the depths.",
        ),
        "rule b": Misconception(
            _effective_with(rule="b"), "Does the number of channels occur anywhere in what you measured?"
        ),
        "rule d": Misconception(
            _effective_with(rule="d"),
            "Padding moves fields and fills them with zeros. Is the bell wider then?",
        ),
    },
)


TASKS = (hand, fields, region, field_size, effective)
