"""Inception-ResNet: Inception modules as branches of residual blocks.

C. Szegedy, S. Ioffe, V. Vanhoucke, A. Alemi, Inception-v4, Inception-ResNet and the impact of residual
connections on learning, 2016, arXiv:1602.07261.

The idea: the branches of an Inception module, joined and mixed by a 1×1 convolution, are added to the input.
With more than 1000 maps such sums made training unstable, so each branch is multiplied by 0.1 to 0.3 first.

`inception_resnet_v2` follows the authors' published code, whose channel numbers differ from the paper's
figures in places (320, 1088 and 2080 maps in the three stages). Left out: the auxiliary head, Inception-v4
and Inception-ResNet-v1. Weights start with He's initialization, by the fan-out, as in `utils.models.resnet`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.arguments import positive, share
from utils.models.resnet import initialize

__all__ = [
    "FACTORIES",
    "Branches",
    "InceptionResNet",
    "InceptionResidual",
    "block_a",
    "block_b",
    "block_c",
    "inception_resnet_v2",
]


class Conv(nn.Sequential):
    """Convolution, normalization, ReLU; keeps height and width at stride 1 unless `padding` is given."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] | None = None,
    ):
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        if padding is None:
            padding = (height // 2, width // 2)
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class Branches(nn.Module):
    """Modules side by side on the same input, their results one after the other along the channels."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class InceptionResidual(nn.Module):
    """relu(x + scale · mix(branches(x))), with `mix` a 1×1 convolution to the channels of x."""

    def __init__(
        self, channels: int, joined_channels: int, branches: Branches, scale: float = 0.2, relu: bool = True
    ):
        super().__init__()
        if not 0 < scale <= 1:
            raise ValueError(f"scale must be greater than 0 and at most 1, got {scale!r}")
        self.branches = branches
        self.mix = nn.Conv2d(joined_channels, channels, 1)
        self.scale = scale
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.scale * self.mix(self.branches(x)))


def block_a(channels: int = 320, scale: float = 0.17) -> InceptionResidual:
    """For 35×35 maps: 1×1, one 3×3, and two 3×3."""
    branches = Branches(
        Conv(channels, 32, 1),
        nn.Sequential(Conv(channels, 32, 1), Conv(32, 32, 3)),
        nn.Sequential(Conv(channels, 32, 1), Conv(32, 48, 3), Conv(48, 64, 3)),
    )
    return InceptionResidual(channels, 128, branches, scale)


def block_b(channels: int = 1088, scale: float = 0.1) -> InceptionResidual:
    """For 17×17 maps: 1×1, and a 7×7 in two steps, 1×7 and 7×1."""
    branches = Branches(
        Conv(channels, 192, 1),
        nn.Sequential(Conv(channels, 128, 1), Conv(128, 160, (1, 7)), Conv(160, 192, (7, 1))),
    )
    return InceptionResidual(channels, 384, branches, scale)


def block_c(channels: int = 2080, scale: float = 0.2, relu: bool = True) -> InceptionResidual:
    """For 8×8 maps: 1×1, and a 3×3 in two steps, 1×3 and 3×1."""
    branches = Branches(
        Conv(channels, 192, 1),
        nn.Sequential(Conv(channels, 192, 1), Conv(192, 224, (1, 3)), Conv(224, 256, (3, 1))),
    )
    return InceptionResidual(channels, 448, branches, scale, relu)


class InceptionResNet(nn.Module):
    """Inception-ResNet-v2. `counts` says how many blocks of the kinds A, B and C it has.

    `small`, for 28×28 and 32×32 inputs: the stem keeps height and width. `scale` replaces the three scales of
    the published code, for experiments: 1 switches the scaling off.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        counts: tuple[int, int, int] = (10, 20, 10),
        scale: float | None = None,
        dropout: float = 0.2,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels)
        share(dropout=dropout)
        if len(counts) != 3 or min(counts) < 1:
            raise ValueError(f"counts must be three numbers, each at least 1, got {counts!r}")
        scales = (0.17, 0.1, 0.2) if scale is None else (scale, scale, scale)
        self.stem = make_stem(in_channels, small)
        self.stage_a = nn.Sequential(
            Branches(
                Conv(192, 96, 1),
                nn.Sequential(Conv(192, 48, 1), Conv(48, 64, 5)),
                nn.Sequential(Conv(192, 64, 1), Conv(64, 96, 3), Conv(96, 96, 3)),
                nn.Sequential(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), Conv(192, 64, 1)),
            ),
            *(block_a(320, scales[0]) for _ in range(counts[0])),
        )
        self.stage_b = nn.Sequential(
            Branches(
                Conv(320, 384, 3, stride=2, padding=0),
                nn.Sequential(Conv(320, 256, 1), Conv(256, 256, 3), Conv(256, 384, 3, stride=2, padding=0)),
                nn.MaxPool2d(3, stride=2),
            ),
            *(block_b(1088, scales[1]) for _ in range(counts[1])),
        )
        self.stage_c = nn.Sequential(
            Branches(
                nn.Sequential(Conv(1088, 256, 1), Conv(256, 384, 3, stride=2, padding=0)),
                nn.Sequential(Conv(1088, 256, 1), Conv(256, 288, 3, stride=2, padding=0)),
                nn.Sequential(Conv(1088, 256, 1), Conv(256, 288, 3), Conv(288, 320, 3, stride=2, padding=0)),
                nn.MaxPool2d(3, stride=2),
            ),
            *(block_c(2080, scales[2]) for _ in range(counts[2] - 1)),
            block_c(2080, scale=1.0, relu=False),  # the last block is neither scaled nor rectified
        )
        self.last = Conv(2080, 1536, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1536, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 299, 299)
        x = self.stem(x)  # (N, 192, 35, 35)
        x = self.stage_a(x)  # (N, 320, 35, 35)
        x = self.stage_b(x)  # (N, 1088, 17, 17)
        x = self.stage_c(x)  # (N, 2080, 8, 8)
        x = self.pool(self.last(x)).flatten(1)  # (N, 1536)
        return self.fc(self.dropout(x))  # (N, 1000)


def make_stem(in_channels: int, small: bool) -> nn.Sequential:
    """Five convolutions to 192 maps: 299×299 becomes 35×35; `small` keeps height and width."""
    if small:
        return nn.Sequential(
            Conv(in_channels, 32, 3), Conv(32, 32, 3), Conv(32, 64, 3), Conv(64, 80, 1), Conv(80, 192, 3)
        )
    return nn.Sequential(
        Conv(in_channels, 32, 3, stride=2, padding=0),  # (N, 32, 149, 149)
        Conv(32, 32, 3, padding=0),  # (N, 32, 147, 147)
        Conv(32, 64, 3),  # (N, 64, 147, 147)
        nn.MaxPool2d(3, stride=2),  # (N, 64, 73, 73)
        Conv(64, 80, 1),  # (N, 80, 73, 73)
        Conv(80, 192, 3, padding=0),  # (N, 192, 71, 71)
        nn.MaxPool2d(3, stride=2),  # (N, 192, 35, 35)
    )


def inception_resnet_v2(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options
) -> InceptionResNet:
    """55.8 million parameters."""
    return InceptionResNet(num_classes, in_channels, small, **options)


FACTORIES = {"inception_resnet_v2": inception_resnet_v2}
