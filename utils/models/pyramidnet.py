"""PyramidNet: the number of channels grows a little in every block.

D. Han, J. Kim, J. Kim, Deep pyramidal residual networks, 2016, arXiv:1610.02915.

The idea: ResNet doubles its channels where it halves the maps, and those few blocks matter most; spreading
the growth over all blocks, from 16 to 16 + alpha, generalizes better. Blocks have one activation fewer than
the pre-activation form and one normalization more.

The k-th of K blocks has 16 + k · alpha/K channels, rounded down (equation 2 of the paper; the authors'
PyTorch code rounds to the nearest). Weights start as in `utils.models.resnet`. Left out: the multiplicative
growth of equation 3 and the ImageNet networks.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.arguments import positive
from utils.models.resnet import conv1x1, conv3x3, initialize, linear_decay, make_drop, require_small

__all__ = [
    "FACTORIES",
    "PyramidBlock",
    "PyramidBottleneck",
    "PyramidNet",
    "pyramidnet110",
    "pyramidnet164",
    "pyramidnet272",
]


class GrowingShortcut(nn.Module):
    """The input, averaged 2×2 where the block has stride 2, and zeros for the new channels. No weights."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.new_channels = out_channels - in_channels
        self.pool = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(self.pool(x), (0, 0, 0, 0, 0, self.new_channels))


class PyramidBlock(nn.Module):
    """Normalization, 3×3, normalization, ReLU, 3×3, normalization, beside a growing shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1, survival: float = 1.0):
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            conv3x3(in_channels, channels, stride),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            conv3x3(channels, channels),
            nn.BatchNorm2d(channels),
        )
        self.drop = make_drop(survival)
        self.shortcut = GrowingShortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.branch(x)) + self.shortcut(x)


class PyramidBottleneck(nn.Module):
    """The same with 1×1, 3×3 and 1×1 to four times as many channels."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1, survival: float = 1.0):
        super().__init__()
        out_channels = channels * self.expansion
        self.branch = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            conv1x1(in_channels, channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            conv3x3(channels, channels, stride),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            conv1x1(channels, out_channels),
            nn.BatchNorm2d(out_channels),
        )
        self.drop = make_drop(survival)
        self.shortcut = GrowingShortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.branch(x)) + self.shortcut(x)


class PyramidNet(nn.Module):
    """The form for 32×32 pictures: three stages of equal depth; depth is 6n + 2, with `bottleneck` 9n + 2.

    `alpha` is how many channels are added in all. `survival` is that of the last block, by linear decay.
    """

    def __init__(
        self,
        depth: int,
        alpha: int,
        num_classes: int = 10,
        in_channels: int = 3,
        bottleneck: bool = False,
        survival: float = 1.0,
        small: bool = True,
    ):
        super().__init__()
        positive(alpha=alpha, num_classes=num_classes, in_channels=in_channels)
        require_small(small)
        block = PyramidBottleneck if bottleneck else PyramidBlock
        layers = 9 if bottleneck else 6
        count, rest = divmod(depth - 2, layers)
        if rest or count < 1:
            raise ValueError(
                f"depth must be {layers}n + 2 with bottleneck={bottleneck}, n at least 1, got {depth}"
            )
        total = 3 * count
        survivals = linear_decay(total, survival)
        self.stem = nn.Sequential(conv3x3(in_channels, 16), nn.BatchNorm2d(16))
        channels = 16
        blocks = []
        for k in range(1, total + 1):
            stride = 2 if k in (count + 1, 2 * count + 1) else 1
            width = 16 + k * alpha // total
            blocks.append(block(channels, width, stride, survivals[k - 1]))
            channels = width * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:  # depth 110, alpha 48: (N, 3, 32, 32)
        x = self.stem(x)  # (N, 16, 32, 32)
        x = self.blocks(x)  # (N, 32, 32, 32), (N, 48, 16, 16), (N, 64, 8, 8)
        x = self.pool(self.norm(x)).flatten(1)  # (N, 64)
        return self.fc(x)  # (N, 10)


def pyramidnet110(num_classes: int = 10, in_channels: int = 3, alpha: int = 48, **options) -> PyramidNet:
    """1.7 million parameters with alpha 48, 3.8 with 84, 28.5 with 270."""
    return PyramidNet(110, alpha, num_classes, in_channels, **options)


def pyramidnet164(num_classes: int = 10, in_channels: int = 3, alpha: int = 270, **options) -> PyramidNet:
    """Bottlenecks, 27.2 million parameters."""
    return PyramidNet(164, alpha, num_classes, in_channels, bottleneck=True, **options)


def pyramidnet272(num_classes: int = 10, in_channels: int = 3, alpha: int = 200, **options) -> PyramidNet:
    """Bottlenecks, 26.0 million parameters."""
    return PyramidNet(272, alpha, num_classes, in_channels, bottleneck=True, **options)


FACTORIES = {"pyramidnet110": pyramidnet110, "pyramidnet164": pyramidnet164, "pyramidnet272": pyramidnet272}
