"""The cost calculator."""

from __future__ import annotations

from utils.figures._arguments import one_of, whole
from utils.figures._figure import Figure

WAYS = ("standard", "1×1", "3×3 stack", "bottleneck", "depthwise separable", "grouped", "low rank")
KERNEL_SIZES = (1, 3, 5, 7, 9, 11)


def cost_calculator(
    input_size: int = 56,
    in_channels: int = 64,
    out_channels: int = 64,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 4,
    *,
    reduction: int = 4,
    bias: bool = False,
    chosen: str = "standard",
    log: bool = False,
) -> Figure:
    """A convolution layer and six others in its place: what each costs, with every number open to change.

    input_size      height and width of the picture, 1 to 512; the padding is half the kernel
    in_channels, out_channels       1 to 4096
    kernel_size     one of KERNEL_SIZES; stride from 1 to 4
    groups          of the grouped layer, 1 to 4096
    reduction       the bottleneck has in_channels // reduction channels inside, and at least 1; 1 to 64
    bias            count a bias for each output channel
    chosen          the way, one of WAYS, whose formula is worked out
    log             begin with a logarithmic scale

    Raises ValueError for anything else.
    """
    limits = {"input_size": 512, "in_channels": 4096, "out_channels": 4096, "groups": 4096}
    given = {
        "input_size": input_size,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "groups": groups,
        "stride": stride,
        "reduction": reduction,
    }
    for name, value in given.items():
        whole(name, value, 1, (limits | {"stride": 4, "reduction": 64})[name])
    if type(kernel_size) is not int or kernel_size not in KERNEL_SIZES:
        raise ValueError(f"kernel_size: got {kernel_size!r}, expected one of {KERNEL_SIZES}")
    one_of("chosen", chosen, WAYS)
    return Figure(
        "cost-calculator",
        "A convolution layer and six layers or stacks that could stand for it, side by side: parameters, "
        "multiply-adds and bytes of the results as bars, with their ratio to the standard layer.",
        kernel_size=kernel_size,
        bias=bias,
        chosen=chosen,
        log=log,
        **given,
    )
