"""MobileNet v3: A. Howard, M. Sandler, G. Chu, L.-C. Chen, B. Chen, M. Tan, W. Wang, Y. Zhu, R. Pang, V.
Vasudevan, Q. V. Le, H. Adam, "Searching for MobileNetV3", 2019, arXiv:1905.02244.

The inverted residuals of version 2 with kernels, widths and strides found by a search for low latency, with
squeeze-and-excitation in some blocks. Hard swish, x · relu6(x + 3) / 6, replaces ReLU where it pays, and
the last convolution moved behind the global average, where it costs next to nothing.

Weights start as in torchvision, which this file also follows where the paper leaves a choice: the widths of
the squeezes, the eps of batch normalization. Left out: the search itself, the "minimalistic" variants and the
segmentation head.
"""

from __future__ import annotations

import re
from functools import partial

from torch import Tensor, nn

from utils.models.arguments import positive, share
from utils.models.attention import SqueezeExcitation
from utils.models.parts import as_positive, initialize_fan_out, round_channels
from utils.models.parts import conv_norm as plain_conv_norm

__all__ = [
    "FACTORIES",
    "Bottleneck",
    "MobileNetV3",
    "from_torchvision",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]

conv_norm = partial(plain_conv_norm, eps=0.001, momentum=0.01)

RE, HS = nn.ReLU, nn.Hardswish

# the paper's tables 1 and 2: kernel_size, expanded channels, out_channels, squeeze, activation, stride
LARGE = (  #                           224 × 224 arrives at 16 × 112 × 112
    (3, 16, 16, False, RE, 1),  #     112 × 112
    (3, 64, 24, False, RE, 2),  #      56 × 56
    (3, 72, 24, False, RE, 1),
    (5, 72, 40, True, RE, 2),  #       28 × 28
    (5, 120, 40, True, RE, 1),
    (5, 120, 40, True, RE, 1),
    (3, 240, 80, False, HS, 2),  #     14 × 14
    (3, 200, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 480, 112, True, HS, 1),
    (3, 672, 112, True, HS, 1),
    (5, 672, 160, True, HS, 2),  #      7 × 7
    (5, 960, 160, True, HS, 1),
    (5, 960, 160, True, HS, 1),
)
SMALL = (
    (3, 16, 16, True, RE, 2),  #       56 × 56
    (3, 72, 24, False, RE, 2),  #      28 × 28
    (3, 88, 24, False, RE, 1),
    (5, 96, 40, True, HS, 2),  #       14 × 14
    (5, 240, 40, True, HS, 1),
    (5, 240, 40, True, HS, 1),
    (5, 120, 48, True, HS, 1),
    (5, 144, 48, True, HS, 1),
    (5, 288, 96, True, HS, 2),  #       7 × 7
    (5, 576, 96, True, HS, 1),
    (5, 576, 96, True, HS, 1),
)


class Bottleneck(nn.Module):
    """Version 2's inverted residual, with a choice of kernel and activation, and channel attention."""

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        squeeze: bool,
        activation: type[nn.Module],
    ):
        super().__init__()
        self.expand = nn.Identity()
        if hidden != in_channels:
            self.expand = conv_norm(in_channels, hidden, kernel_size=1, activation=activation)
        self.depthwise = conv_norm(
            hidden, hidden, kernel_size, stride=stride, groups=hidden, activation=activation
        )
        self.squeeze = nn.Identity()
        if squeeze:
            squeezed = round_channels(hidden // 4)
            self.squeeze = SqueezeExcitation(hidden, squeeze_channels=squeezed, gate=nn.Hardsigmoid)
        self.project = conv_norm(hidden, out_channels, kernel_size=1, activation=None)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y


class MobileNetV3(nn.Module):
    """Stem, bottlenecks by a table, a 1×1 convolution, the global average, then two dense layers."""

    def __init__(
        self,
        blocks: tuple[tuple, ...],
        last_channels: int,
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
        channels = round_channels(16 * width)
        self.stem = conv_norm(in_channels, channels, stride=1 if small else 2, activation=HS)
        first_stride = [block[-1] for block in blocks].index(2)
        layers = []
        for number, (kernel_size, hidden, out_channels, squeeze, activation, stride) in enumerate(blocks):
            stride = 1 if small and number == first_stride else stride
            hidden, out_channels = round_channels(hidden * width), round_channels(out_channels * width)
            layers.append(
                Bottleneck(channels, hidden, out_channels, kernel_size, stride, squeeze, activation)
            )
            channels = out_channels
        self.blocks = nn.Sequential(*layers)
        self.head = conv_norm(channels, 6 * channels, kernel_size=1, activation=HS)
        self.pool = nn.AdaptiveAvgPool2d(1)
        last = round_channels(last_channels * width)
        self.classifier = nn.Sequential(
            nn.Linear(6 * channels, last),
            nn.Hardswish(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(last, num_classes),
        )
        initialize_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))  # large: 160 × 7 × 7
        x = self.pool(self.head(x)).flatten(1)  # large: 960
        return self.classifier(x)


def mobilenet_v3_large(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    width: float = 1.0,
    dropout: float = 0.2,
) -> MobileNetV3:
    """The larger network (table 1). small: stride 1 in stem and first strided block, 32×32 -> 4×4."""
    return MobileNetV3(LARGE, 1280, num_classes, in_channels, small, width, dropout)


def mobilenet_v3_small(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    width: float = 1.0,
    dropout: float = 0.2,
) -> MobileNetV3:
    """The smaller network (table 2); `small` is about the input: stride 1 in stem and first block."""
    return MobileNetV3(SMALL, 1024, num_classes, in_channels, small, width, dropout)


def from_torchvision(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state for our MobileNet v3: numbers of layers become names.

    A block's parts stand in the order expand, depthwise, squeeze, project, and those it does not need are
    missing: the one with "fc1" is the squeeze, the last is the project, a filter of one channel is depthwise.
    """
    last = max(int(re.match(r"features\.(\d+)", key)[1]) for key in state_dict if key.startswith("features"))
    parts = {}
    for key, value in state_dict.items():
        match = re.fullmatch(r"(features\.\d+\.block\.\d+)\.(0|fc1)\.weight", key)
        if match:
            depthwise = match[2] == "0" and value.shape[1] == 1
            parts[match[1]] = "squeeze" if match[2] == "fc1" else "depthwise" if depthwise else "expand"
    ends = {prefix.rsplit(".", 1)[0]: prefix for prefix in parts}  # the last prefix of each block stays
    parts.update(dict.fromkeys(ends.values(), "project"))
    renamed = {}
    for key, value in state_dict.items():
        key = key.replace("features.0.", "stem.", 1).replace(f"features.{last}.", "head.", 1)
        match = re.match(r"features\.(\d+)\.block\.\d+", key)
        if match:
            rest = key[match.end() :].replace(".fc1.", ".reduce.").replace(".fc2.", ".restore.")
            key = f"blocks.{int(match[1]) - 1}.{parts[match[0]]}{rest}"
        renamed[key] = value
    return renamed


FACTORIES = {"mobilenet_v3_large": mobilenet_v3_large, "mobilenet_v3_small": mobilenet_v3_small}
