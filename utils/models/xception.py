"""Xception: convolutions that look at pixels and at channels separately.

F. Chollet, Xception: deep learning with depthwise separable convolutions, 2016, arXiv:1610.02357, figure 5.

The idea: an Inception module half separates the two jobs of a convolution, mixing channels (1×1) and mixing
neighbors (3×3). Separate them completely: one 3×3 kernel for each channel, then a 1×1 convolution, with no
activation between; with residual connections around every pair or triple, the same number of parameters
as Inception v3 gives a better network.

Left out: the optional dense layers before the last one, and the auxiliary head. The paper gives no
initialization; convolutions start here with He's, by the fan-out, as in `utils.models.resnet`.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from utils.models.arguments import positive, share
from utils.models.resnet import conv1x1, initialize

__all__ = ["FACTORIES", "SeparableConv", "Xception", "XceptionBlock", "xception"]


class SeparableConv(nn.Sequential):
    """A 3×3 kernel for each channel, then a 1×1 convolution that mixes the channels, then normalization."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            conv1x1(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
        )


class XceptionBlock(nn.Module):
    """Separable convolutions, an activation before each, beside a shortcut.

    channels   of the input and of each result: (728, 728, 728, 728) is a block of the middle flow
    stride     2: 3×3 max pooling at the end of the branch, and a 1×1 convolution as shortcut
    first_relu the first block of the network follows an activation and needs none
    """

    def __init__(self, channels: tuple[int, ...], stride: int = 1, first_relu: bool = True):
        super().__init__()
        layers = []
        for in_channels, out_channels in itertools.pairwise(channels):
            layers += [nn.ReLU(), SeparableConv(in_channels, out_channels)]
        if not first_relu:
            layers.pop(0)
        self.shortcut = nn.Identity()
        if stride == 2:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            self.shortcut = nn.Sequential(
                conv1x1(channels[0], channels[-1], stride), nn.BatchNorm2d(channels[-1])
            )
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.shortcut(x)


class Xception(nn.Module):
    """Entry flow, `middle` blocks of the middle flow (8), exit flow, global pooling, dropout, a dense layer.

    `small`, for 28×28 and 32×32 inputs: the stem keeps height and width.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        small: bool = False,
        middle: int = 8,
        dropout: float = 0.5,
    ):
        super().__init__()
        positive(num_classes=num_classes, in_channels=in_channels, middle=middle)
        share(dropout=dropout)
        stride, padding = (1, 1) if small else (2, 0)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, stride, padding, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=padding, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.entry = nn.Sequential(
            XceptionBlock((64, 128, 128), stride=2, first_relu=False),
            XceptionBlock((128, 256, 256), stride=2),
            XceptionBlock((256, 728, 728), stride=2),
        )
        self.middle = nn.Sequential(*(XceptionBlock((728, 728, 728, 728)) for _ in range(middle)))
        self.exit = nn.Sequential(
            XceptionBlock((728, 728, 1024), stride=2),
            SeparableConv(1024, 1536),
            nn.ReLU(),
            SeparableConv(1536, 2048),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, 3, 299, 299)
        x = self.stem(x)  # (N, 64, 147, 147)
        x = self.entry(x)  # (N, 128, 74, 74), (N, 256, 37, 37), (N, 728, 19, 19)
        x = self.middle(x)  # (N, 728, 19, 19)
        x = self.exit(x)  # (N, 2048, 10, 10)
        x = self.dropout(self.pool(x).flatten(1))  # (N, 2048)
        return self.fc(x)  # (N, 1000)


def xception(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> Xception:
    """22.9 million parameters."""
    return Xception(num_classes, in_channels, small, **options)


FACTORIES = {"xception": xception}
