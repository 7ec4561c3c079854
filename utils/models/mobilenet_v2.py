"""MobileNet v2: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and
linear bottlenecks", 2018, arXiv:1801.04381.

The residual block turned inside out: the shortcut joins the thin ends, and between them the channels are
widened six times for a cheap depthwise convolution. The thin end has no activation, because a ReLU there
would throw away what few channels can hold.

Weights start as in torchvision: see `initialize_fan_out`. Left out: nothing; the resolution, a second knob,
needs no code.
"""

from __future__ import annotations

import re

from torch import Tensor, nn

from utils.models.arguments import positive, share
from utils.models.parts import as_positive, conv_norm, initialize_fan_out, round_channels

__all__ = ["FACTORIES", "InvertedResidual", "MobileNetV2", "from_torchvision", "mobilenet_v2"]

# the paper's table 2: expansion t, out_channels c, repeats n, stride s of the first
STAGES = (  #          224 × 224 arrives at 112 × 112
    (1, 16, 1, 1),  #  112 × 112
    (6, 24, 2, 2),  #   56 × 56
    (6, 32, 3, 2),  #   28 × 28
    (6, 64, 4, 2),  #   14 × 14
    (6, 96, 3, 1),  #   14 × 14
    (6, 160, 3, 2),  #   7 × 7
    (6, 320, 1, 1),  #   7 × 7
)


class InvertedResidual(nn.Module):
    """Expand with 1×1, filter each channel with 3×3, project linearly; shortcut where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int):
        super().__init__()
        hidden = in_channels * expansion
        self.expand = nn.Identity()
        if expansion > 1:
            self.expand = conv_norm(in_channels, hidden, kernel_size=1, activation=nn.ReLU6)
        self.depthwise = conv_norm(hidden, hidden, stride=stride, groups=hidden, activation=nn.ReLU6)
        self.project = conv_norm(hidden, out_channels, kernel_size=1, activation=None)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """A strided stem, seventeen inverted residuals, a 1×1 convolution to 1280 channels, a dense layer."""

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        width: float = 1.0,
        dropout: float = 0.2,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        as_positive(width, "width")
        channels = round_channels(32 * width)
        last = round_channels(1280 * max(1.0, width))
        self.stem = conv_norm(in_channels, channels, stride=1 if small else 2, activation=nn.ReLU6)
        blocks = []
        for number, (expansion, out_channels, repeats, stride) in enumerate(STAGES):
            out_channels = round_channels(out_channels * width)
            stride = 1 if small and number == 1 else stride
            for s in (stride, *[1] * (repeats - 1)):
                blocks.append(InvertedResidual(channels, out_channels, s, expansion))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_norm(channels, last, kernel_size=1, activation=nn.ReLU6)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(last, num_classes)
        initialize_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))  # 320 × 7 × 7
        x = self.pool(self.head(x)).flatten(1)  # 1280
        return self.classifier(self.dropout(x))


def mobilenet_v2(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    width: float = 1.0,
    dropout: float = 0.2,
) -> MobileNetV2:
    """MobileNet v2 with the width multiplier `width`. small: stride 1 in the stem and in stage 2."""
    return MobileNetV2(num_classes, in_channels, small, width, dropout)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state for our MobileNet v2: numbers of layers become names."""
    last = max(int(re.match(r"features\.(\d+)", key)[1]) for key in state_dict if key.startswith("features"))
    renamed = {}
    for key, value in state_dict.items():
        key = key.replace("features.0.", "stem.", 1).replace(f"features.{last}.", "head.", 1)
        key = key.replace("classifier.1.", "classifier.", 1)
        match = re.fullmatch(r"features\.(\d+)\.conv\.(.+)", key)
        if match:
            number, rest = int(match[1]), match[2]
            for old, new in BLOCK_NAMES if number > 1 else BLOCK_NAMES_WITHOUT_EXPANSION:
                if rest.startswith(old):
                    rest = rest.replace(old, new, 1)
                    break
            key = f"blocks.{number - 1}.{rest}"
        renamed[key] = value
    return renamed


BLOCK_NAMES = (("0.", "expand."), ("1.", "depthwise."), ("2.", "project.0."), ("3.", "project.1."))
BLOCK_NAMES_WITHOUT_EXPANSION = (("0.", "depthwise."), ("1.", "project.0."), ("2.", "project.1."))


FACTORIES = {"mobilenet_v2": mobilenet_v2}
