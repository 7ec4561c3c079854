"""GhostNet: K. Han, Y. Wang, Q. Tian, J. Guo, C. Xu, C. Xu, "GhostNet: more features from cheap operations",
2020, arXiv:1911.11907.

Many feature maps look like copies of each other. So a ghost module computes half of the maps with a 1×1
convolution and makes the other half, the ghosts, from them with a cheap depthwise 3×3. The bottlenecks are
those of MobileNet v3 with ghost modules for the expensive 1×1 convolutions.

Weights start as in MobileNet v2. Left out: other ratios s and kernels d than the paper's choice s = 2, d = 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.functional.shapes import as_integer
from utils.models.arguments import positive, share
from utils.models.attention import SqueezeExcitation
from utils.models.parts import as_positive, conv_norm, initialize_fan_out, round_channels

__all__ = ["FACTORIES", "GhostBottleneck", "GhostModule", "GhostNet", "ghostnet"]

# the paper's table 1: kernel_size, expanded channels, out_channels, squeeze-excitation, stride
BLOCKS = (  #                       224 × 224 arrives at 16 × 112 × 112
    (3, 16, 16, False, 1),  #     112 × 112
    (3, 48, 24, False, 2),  #      56 × 56
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),  #       28 × 28
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),  #     14 × 14
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),  #      7 × 7
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)


class GhostModule(nn.Module):
    """Half of the maps from a 1×1 convolution, the other half from those by a depthwise 3×3."""

    def __init__(self, in_channels: int, out_channels: int, activation: type[nn.Module] | None = nn.ReLU):
        super().__init__()
        if as_integer(out_channels, "out_channels") % 2:
            raise ValueError(f"out_channels must be even, half of them are ghosts, got {out_channels}")
        half = out_channels // 2
        self.primary = conv_norm(in_channels, half, kernel_size=1, activation=activation)
        self.cheap = conv_norm(half, half, kernel_size=3, groups=half, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary(x)
        return torch.cat([x, self.cheap(x)], dim=1)


class GhostBottleneck(nn.Module):
    """A ghost module widens, a depthwise convolution where stride is 2, a ghost module narrows; shortcut."""

    def __init__(
        self, in_channels: int, hidden: int, out_channels: int, kernel_size: int, stride: int, squeeze: bool
    ):
        super().__init__()
        self.expand = GhostModule(in_channels, hidden)
        self.depthwise = self.squeeze = self.shortcut = nn.Identity()
        if stride == 2:
            self.depthwise = conv_norm(hidden, hidden, kernel_size, stride, groups=hidden, activation=None)
        if squeeze:
            squeezed = round_channels(hidden / 4, divisor=4)
            self.squeeze = SqueezeExcitation(hidden, squeeze_channels=squeezed, gate=nn.Hardsigmoid)
        self.project = GhostModule(hidden, out_channels, activation=None)
        if stride == 2 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                conv_norm(in_channels, in_channels, kernel_size, stride, groups=in_channels, activation=None),
                conv_norm(in_channels, out_channels, kernel_size=1, activation=None),
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.project(self.squeeze(self.depthwise(self.expand(x))))


class GhostNet(nn.Module):
    """Stem, ghost bottlenecks, a 1×1 convolution, the global average, then two dense layers."""

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
        channels = round_channels(16 * width, divisor=4)
        self.stem = conv_norm(in_channels, channels, stride=1 if small else 2)
        blocks = []
        for number, (kernel_size, hidden, out_channels, squeeze, stride) in enumerate(BLOCKS):
            stride = 1 if small and number == 1 else stride
            hidden = round_channels(hidden * width, divisor=4)
            out_channels = round_channels(out_channels * width, divisor=4)
            blocks.append(GhostBottleneck(channels, hidden, out_channels, kernel_size, stride, squeeze))
            channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_norm(channels, hidden, kernel_size=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(hidden, 1280),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(1280, num_classes),
        )
        initialize_fan_out(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))  # 160 × 7 × 7
        x = self.pool(self.head(x)).flatten(1)  # 960
        return self.classifier(x)


def ghostnet(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    width: float = 1.0,
    dropout: float = 0.2,
) -> GhostNet:
    """GhostNet, `width` times as wide. small: stride 1 in stem and first strided block, 32×32 -> 4×4."""
    return GhostNet(num_classes, in_channels, small, width, dropout)


FACTORIES = {"ghostnet": ghostnet}
