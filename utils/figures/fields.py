"""The receptive field explorer."""

from __future__ import annotations

from collections.abc import Sequence

from utils.figures._arguments import one_of, whole
from utils.figures._figure import Figure

STACKS = (
    "three 3×3",
    "one 7×7",
    "stride 2 first",
    "stride 2 last",
    "dilation 1, 2, 4",
    "dilation 2, 2, 2",
    "three 3×3, padded",
    "twenty 3×3",
    "LeNet-5",
    "AlexNet",
    "VGG-16",
)
MOST_LAYERS = 20
_LIMITS = {"kernel": (1, 11), "stride": (1, 4), "padding": (0, 5), "dilation": (1, 8)}


def receptive_field_explorer(
    stack: str | Sequence[Sequence[int | str] | int] = "three 3×3",
    pixels: int | None = None,
    *,
    unit: int | None = None,
    effective: bool = False,
) -> Figure:
    """A stack of layers to build, seen from the side: which pixels one unit sees, and how much each counts.

    stack       one of STACKS, or the layers: (kernel, stride, padding, dilation) of each, as in
                `utils.receptive_field.sequence`; what is left out is 1, 0 and 1, a plain number is a kernel,
                and a leading "pool" makes it a pooling. At most 20 layers, kernels up to 11, strides up to 4,
                padding up to 5, dilation up to 8
    pixels      width of the picture, 4 to 256; the stack's own, or 32, if left out
    unit        unit of the last layer to trace back; one in the middle if left out
    effective   also show the share of the paths for each pixel, with all weights equal

    Raises ValueError for anything else.
    """
    if pixels is not None:
        whole("pixels", pixels, 4, 256)
    if unit is not None:
        whole("unit", unit, 0, 511)
    if isinstance(stack, str):
        one_of("stack", stack, STACKS)
    return Figure(
        "receptive-field-explorer",
        "A stack of layers seen from the side: one unit of the last layer and below it, wider from layer to "
        "layer, the units and pixels that it sees; a table of size, jump and start of every layer.",
        stack=stack if isinstance(stack, str) else " ".join(["32", *_words(stack)]),
        pixels=pixels,
        unit=None if unit is None else str(unit),
        effective=effective,
    )


def _words(stack: object) -> list[str]:
    """The layers as the script reads them: P for a pooling, the kernel, /stride, p padding, d dilation."""
    try:
        given = [(one,) if isinstance(one, int) else tuple(one) for one in stack]
    except TypeError:
        raise ValueError(f"stack: got {stack!r}, expected a name or a list of layers") from None
    if not 1 <= len(given) <= MOST_LAYERS:
        raise ValueError(f"stack: got {len(given)} layers, expected 1 to {MOST_LAYERS}")
    words = []
    for i, one in enumerate(given):
        pool = one[:1] == ("pool",)
        numbers = one[pool:]
        if not 1 <= len(numbers) <= 4:
            raise ValueError(f"stack[{i}]: got {one!r}, expected (kernel, stride, padding, dilation)")
        numbers = numbers + (1, 1, 0, 1)[len(numbers) :]
        for (name, (low, high)), value in zip(_LIMITS.items(), numbers, strict=True):
            whole(f"stack[{i}], {name}", value, low, high)
        words.append("P" * pool + "{}/{}p{}d{}".format(*numbers))
    return words
