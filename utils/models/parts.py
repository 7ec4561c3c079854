"""Parts that several light networks share: a convolution with its normalization, and rounded widths."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

__all__ = ["as_positive", "conv_norm", "initialize_fan_out", "round_channels"]


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[..., nn.Module] | None = nn.ReLU,
    **norm,
) -> nn.Sequential:
    """Convolution without bias, batch normalization, activation. An odd kernel with stride 1 keeps the size.

    groups=in_channels makes the convolution depthwise; activation=None leaves the result linear; `norm` goes
    to `nn.BatchNorm2d`.
    """
    layers = [
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_channels, **norm),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


def round_channels(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` that is nearest to `channels`, but never less than 90 % of it.

    The rule of the MobileNets' authors for width multipliers: hardware likes multiples of 8.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def initialize_fan_out(model: nn.Module) -> None:
    """Convolutions normal with variance 2 / fan out, dense layers normal with deviation 0.01, biases 0.

    torchvision's choice for MobileNet v2 and v3. Batch normalization starts with scale 1 and shift 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


def as_positive(value: object, name: str) -> float:
    """`value` if it is a finite number above 0; otherwise a ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
    return value
