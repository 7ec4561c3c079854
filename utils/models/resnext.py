"""ResNeXt: many narrow paths instead of one wide one.

S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He, Aggregated residual transformations for deep neural networks,
2016, arXiv:1611.05431.

The idea: a block adds up `cardinality` small bottlenecks of the same shape; at equal cost, more paths gain
more than more depth or width. A grouped 3×3 convolution computes all paths at once (figure 3 of the paper):
a ResNeXt is `utils.models.resnet.ResNet` with two numbers. 32×4d has 32 groups of 4 channels in the first
stage.

Weights start as in `utils.models.resnet`. This file leaves out the paper's ImageNet-5K networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.models.arguments import positive
from utils.models.resnet import Bottleneck, ResNet, conv1x1, conv3x3, from_torchvision, require_small

__all__ = [
    "FACTORIES",
    "Paths",
    "cifar_resnext",
    "from_torchvision",
    "resnext29_8x64d",
    "resnext29_16x64d",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
]


class Paths(nn.Module):
    """The branch of a block as in figure 3(a) of the paper: the sum of `cardinality` separate bottlenecks.

    Slow and easy to read: 1×1 to `width` channels, 3×3, 1×1 back, and the sum over the paths. Normalizations
    and activations are left out. `Paths.grouped` gives three convolutions that compute the same values.
    """

    def __init__(self, in_channels: int, out_channels: int, cardinality: int, width: int):
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(conv1x1(in_channels, width), conv3x3(width, width), conv1x1(width, out_channels))
            for _ in range(cardinality)
        )

    def forward(self, x: Tensor) -> Tensor:
        return sum(path(x) for path in self.paths)

    def grouped(self) -> nn.Sequential:
        """Figure 3(c): one wide 1×1, a grouped 3×3, one 1×1, with the weights of all the paths."""
        first, middle, last = zip(*self.paths, strict=True)
        cardinality, width = len(self.paths), first[0].out_channels
        result = nn.Sequential(
            conv1x1(first[0].in_channels, cardinality * width),
            conv3x3(cardinality * width, cardinality * width, groups=cardinality),
            conv1x1(cardinality * width, last[0].out_channels),
        )
        with torch.no_grad():
            result[0].weight.copy_(torch.cat([conv.weight for conv in first]))  # outputs side by side
            result[1].weight.copy_(torch.cat([conv.weight for conv in middle]))  # group by group
            result[2].weight.copy_(torch.cat([conv.weight for conv in last], dim=1))  # inputs side by side
        return result


def resnext50_32x4d(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """25.0 million parameters."""
    options = {"groups": 32, "group_width": 4, **options}
    return ResNet(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def resnext101_32x8d(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """88.8 million parameters."""
    options = {"groups": 32, "group_width": 8, **options}
    return ResNet(Bottleneck, (3, 4, 23, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def resnext101_64x4d(num_classes: int = 1000, in_channels: int = 3, small: bool = False, **options) -> ResNet:
    """83.5 million parameters."""
    options = {"groups": 64, "group_width": 4, **options}
    return ResNet(Bottleneck, (3, 4, 23, 3), (64, 128, 256, 512), num_classes, in_channels, small, **options)


def cifar_resnext(
    depth: int,
    cardinality: int,
    group_width: int,
    num_classes: int = 10,
    in_channels: int = 3,
    shortcut: str | None = "B",
    survival: float = 1.0,
    small: bool = True,
) -> ResNet:
    """The form for 32×32 pictures (section 5.3): a 64-channel stem and three stages; depth is 9n + 2."""
    require_small(small)
    positive(cardinality=cardinality, group_width=group_width)
    count, rest = divmod(depth - 2, 9)
    if rest or count < 1:
        raise ValueError(f"depth must be 9n + 2, n at least 1, got {depth}")
    # Shapes of 29 layers, 8×64d:
    #   stem      (N, 64, 32, 32)
    #   stage 1   (N, 256, 32, 32), 512 channels in the grouped convolutions
    #   stage 2   (N, 512, 16, 16), 1024
    #   stage 3   (N, 1024, 8, 8), 2048
    return ResNet(
        Bottleneck,
        (count, count, count),
        (64, 128, 256),
        num_classes,
        in_channels,
        small=True,
        shortcut=shortcut,
        survival=survival,
        groups=cardinality,
        group_width=group_width,
    )


def resnext29_8x64d(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """34.4 million parameters."""
    return cifar_resnext(29, 8, 64, num_classes, in_channels, **options)


def resnext29_16x64d(num_classes: int = 10, in_channels: int = 3, **options) -> ResNet:
    """68.1 million parameters."""
    return cifar_resnext(29, 16, 64, num_classes, in_channels, **options)


FACTORIES = {
    "resnext50_32x4d": resnext50_32x4d,
    "resnext101_32x8d": resnext101_32x8d,
    "resnext101_64x4d": resnext101_64x4d,
    "resnext29_8x64d": resnext29_8x64d,
    "resnext29_16x64d": resnext29_16x64d,
}
