"""ShuffleNet: X. Zhang, X. Zhou, M. Lin, J. Sun, "ShuffleNet: an extremely efficient convolutional neural
network for mobile devices", 2018, arXiv:1707.01083.

In a separable convolution nearly all the work is in the 1×1 part, so ShuffleNet splits that into groups.
Alone that would cut the network into strands that never meet: a shuffle of the channels after each grouped
convolution lets every group see all others.

More groups are cheaper, so the paper makes the network wider until the work is the same: table 1. Weights
start as in MobileNet v2. Left out: the variants with squeeze-and-excitation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.arguments import positive
from utils.models.parts import as_positive, conv_norm, initialize_fan_out

__all__ = ["FACTORIES", "ShuffleNetV1", "ShuffleUnit", "channel_shuffle", "shufflenet_v1"]

# table 1: groups -> out_channels of stages 2, 3 and 4
WIDTHS = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}
REPEATS = (4, 8, 4)


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Deal the channels out like cards: first of each group, second of each group, ..."""
    if x.shape[1] % groups:
        raise ValueError(f"groups must divide the number of channels, {x.shape[1]}, got {groups}")
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class ShuffleUnit(nn.Module):
    """Grouped 1×1, shuffle, depthwise 3×3, grouped 1×1; added to the input, or beside it at stride 2."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int | None = None
    ):
        super().__init__()
        self.stride, self.groups = stride, groups
        hidden = out_channels // 4
        added = out_channels - in_channels if stride == 2 else out_channels  # the input fills the rest
        self.reduce = conv_norm(in_channels, hidden, kernel_size=1, groups=first_groups or groups)
        self.depthwise = conv_norm(hidden, hidden, stride=stride, groups=hidden, activation=None)
        self.restore = conv_norm(hidden, added, kernel_size=1, groups=groups, activation=None)
        self.pool = nn.AvgPool2d(kernel_size=3, stride=2, padding=1) if stride == 2 else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = channel_shuffle(self.reduce(x), self.groups)
        y = self.restore(self.depthwise(y))
        x = self.pool(x)
        return self.relu(torch.cat([x, y], dim=1) if self.stride == 2 else x + y)


class ShuffleNetV1(nn.Module):
    """Stem, three stages of shuffle units, global average, dense layer."""

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        groups: int = 3,
        width: float = 1.0,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        if groups not in WIDTHS:
            raise ValueError(f"groups must be one of {', '.join(map(str, WIDTHS))}, got {groups!r}")
        as_positive(width, "width")
        channels, *widths = (round(c * width) for c in (24, *WIDTHS[groups]))
        if any(c % 4 or (c // 4) % groups for c in widths) or (widths[0] - channels) % groups:
            raise ValueError(
                f"width must give channels that {groups} groups divide, in each stage and its quarter, "
                f"got {width!r}: {channels} in the stem, {widths} in the stages"
            )
        self.stem = conv_norm(in_channels, channels, stride=1 if small else 2)  #        24 × 112 × 112
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)  #  24 × 56 × 56
        stages = []  # groups = 3: 240 × 28 × 28, 480 × 14 × 14, 960 × 7 × 7
        for number, (out_channels, repeats) in enumerate(zip(widths, REPEATS, strict=True)):
            first_groups = 1 if number == 0 else groups  # only 24 channels come in: not worth grouping
            units = [ShuffleUnit(channels, out_channels, 2, groups, first_groups)]
            units += [ShuffleUnit(out_channels, out_channels, 1, groups) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            channels = out_channels
        self.stages = nn.Sequential(*stages)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        initialize_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.pool(self.stem(x)))
        return self.classifier(self.average(x).flatten(1))


def shufflenet_v1(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    groups: int = 3,
    width: float = 1.0,
) -> ShuffleNetV1:
    """ShuffleNet with 1, 2, 3, 4 or 8 groups, `width` times as wide.

    small: stride 1 in the stem and no first pooling, 32×32 -> 4×4.
    """
    return ShuffleNetV1(num_classes, in_channels, small, groups, width)


FACTORIES = {"shufflenet_v1": shufflenet_v1}
