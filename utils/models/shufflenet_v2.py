"""ShuffleNet v2: N. Ma, X. Zhang, H.-T. Zheng, J. Sun, "ShuffleNet V2: practical guidelines for efficient CNN
architecture design", 2018, arXiv:1807.11164.

Measured speed, not multiply-adds, is the aim: equal widths, few groups, few branches and few elementwise
operations are what a device likes. So a unit splits the channels, works on one half and leaves the other
alone, then joins and shuffles.

Weights start as PyTorch makes them, as in torchvision. Left out: the larger networks with shortcuts and with
squeeze-and-excitation.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from utils.models.arguments import positive
from utils.models.parts import conv_norm
from utils.models.shufflenet_v1 import channel_shuffle

__all__ = [
    "FACTORIES",
    "ShuffleNetV2",
    "SplitUnit",
    "from_torchvision",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]

REPEATS = (4, 8, 4)


class SplitUnit(nn.Module):
    """Half of the channels pass untouched, the other half is filtered; at stride 2 both are filtered."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        half = out_channels // 2
        self.stride = stride
        self.shortcut = nn.Identity()
        if stride == 2:
            self.shortcut = nn.Sequential(
                conv_norm(in_channels, in_channels, stride=2, groups=in_channels, activation=None),
                conv_norm(in_channels, half, kernel_size=1),
            )
        self.branch = nn.Sequential(
            conv_norm(in_channels if stride == 2 else half, half, kernel_size=1),
            conv_norm(half, half, stride=stride, groups=half, activation=None),
            conv_norm(half, half, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, worked = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        return channel_shuffle(torch.cat([self.shortcut(kept), self.branch(worked)], dim=1), groups=2)


class ShuffleNetV2(nn.Module):
    """Stem, three stages of split units, a 1×1 convolution, global average, dense layer."""

    def __init__(
        self,
        widths: tuple[int, int, int],
        last_channels: int = 1024,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        channels = 24
        self.stem = conv_norm(in_channels, channels, stride=1 if small else 2)  #        24 × 112 × 112
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)  #  24 × 56 × 56
        stages = []  # x1_0: 116 × 28 × 28, 232 × 14 × 14, 464 × 7 × 7
        for out_channels, repeats in zip(widths, REPEATS, strict=True):
            units = [SplitUnit(channels, out_channels, stride=2)]
            units += [SplitUnit(out_channels, out_channels, stride=1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*units))
            channels = out_channels
        self.stages = nn.Sequential(*stages)
        self.head = conv_norm(channels, last_channels, kernel_size=1)  #               1024 × 7 × 7
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(last_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.pool(self.stem(x)))
        return self.classifier(self.average(self.head(x)).flatten(1))


def shufflenet_v2_x0_5(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ShuffleNetV2:
    """The 0.5× network of the paper's table 5."""
    return ShuffleNetV2((48, 96, 192), 1024, num_classes, in_channels, small)


def shufflenet_v2_x1_0(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ShuffleNetV2:
    """The 1.0× network of the paper's table 5. small: stem with stride 1, no first pooling, 32×32 -> 4×4."""
    return ShuffleNetV2((116, 232, 464), 1024, num_classes, in_channels, small)


def shufflenet_v2_x1_5(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ShuffleNetV2:
    """The 1.5× network of the paper's table 5."""
    return ShuffleNetV2((176, 352, 704), 1024, num_classes, in_channels, small)


def shufflenet_v2_x2_0(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ShuffleNetV2:
    """The 2.0× network of the paper's table 5."""
    return ShuffleNetV2((244, 488, 976), 2048, num_classes, in_channels, small)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state for our ShuffleNet v2: numbers of layers become places in the branches."""
    renamed = {}
    for key, value in state_dict.items():
        match = re.fullmatch(r"stage(\d)\.(\d+)\.branch(\d)\.(\d+)\.(.+)", key)
        if match:
            stage, unit, branch, layer = (int(part) for part in match.groups()[:4])
            name, places = BRANCHES[branch]
            key = f"stages.{stage - 2}.{unit}.{name}.{places[layer]}.{match[5]}"
        for old, new in (("conv1.", "stem."), ("conv5.", "head."), ("fc.", "classifier.")):
            key = new + key.removeprefix(old) if key.startswith(old) else key
        renamed[key] = value
    return renamed


# branch of torchvision -> our name, and for each of its numbered layers our place
BRANCHES = {
    1: ("shortcut", {0: "0.0", 1: "0.1", 2: "1.0", 3: "1.1"}),
    2: ("branch", {0: "0.0", 1: "0.1", 3: "1.0", 4: "1.1", 5: "2.0", 6: "2.1"}),
}


FACTORIES = {
    "shufflenet_v2_x0_5": shufflenet_v2_x0_5,
    "shufflenet_v2_x1_0": shufflenet_v2_x1_0,
    "shufflenet_v2_x1_5": shufflenet_v2_x1_5,
    "shufflenet_v2_x2_0": shufflenet_v2_x2_0,
}
